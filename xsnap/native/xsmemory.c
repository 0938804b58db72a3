// xsMemory.c of the XS sources, with one thing less: it zeroes the memory of
// every new block of chunks, and where that has just come from the kernel it is
// zero already. Touching its 32 MB costs a starting worker more than all else.
#include <xsAll.h>

#include "memory.h"

enum { WORTH_ASKING_BYTES = 1 << 20 };

static inline void *zero(void *at, int value, size_t bytes) {
  if (bytes >= WORTH_ASKING_BYTES && value == 0 && memoryWasFresh(at, bytes))
    return at;
  return memset(at, value, bytes);
}

#undef c_memset
#define c_memset zero
#include <xsMemory.c>
