#include "memory.h"

#include "platform.h"

#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE // of older C libraries
#define MADV_POPULATE_WRITE 23
#endif

enum {
  HUGE_BYTES = 2 << 20,
  SLOTS_IN_HUGE_PAGES = 1 << 20, // from so many bytes on
  SLOTS_OFFSET = 64,             // keeps two areas of slots apart
  FAULT_IN_BYTES = 8 << 20,      // of chunks, and of slots
};

typedef struct {
  void *at;
  size_t bytes;
} Range;

static Range fresh;
static Range firstChunks, firstSlots; // where a heap is loaded to

int32_t memoryPageBytes(void) { return (int32_t)sysconf(_SC_PAGESIZE); }

// mapAligned maps bytes from a huge page's begin on.
static uint8_t *mapAligned(size_t bytes, int protection) {
  size_t room = bytes + HUGE_BYTES;
  uint8_t *at = mmap(NULL, room, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    hostRefused(bytes);
    return NULL;
  }
  size_t before = (HUGE_BYTES - (uintptr_t)at % HUGE_BYTES) % HUGE_BYTES;
  if (before > 0)
    munmap(at, before);
  munmap(at + before + bytes, room - before - bytes);
  madvise(at + before, bytes, MADV_HUGEPAGE); // without it all is as well, but slower
  return at + before;
}

void *memoryReserve(size_t bytes) { return mapAligned(bytes, PROT_NONE); }

bool memoryCommit(void *at, size_t bytes) {
  if (bytes > 0 && mprotect(at, bytes, PROT_READ | PROT_WRITE)) {
    hostRefused(bytes);
    return false;
  }
  if (!firstChunks.at)
    firstChunks = (Range){at, bytes};
  return true;
}

void *memorySlots(size_t bytes) {
  if (bytes < SLOTS_IN_HUGE_PAGES)
    return platformMalloc(bytes); // its own head keeps it apart
  size_t page = (size_t)memoryPageBytes();
  size_t whole = (bytes + SLOTS_OFFSET + page - 1) / page * page;
  uint8_t *at = mapAligned(whole, PROT_READ | PROT_WRITE);
  if (!at)
    return NULL;
  if (!firstSlots.at)
    firstSlots = (Range){at, whole};
  return at + SLOTS_OFFSET;
}

static void faultIn(Range range) {
  size_t bytes = range.bytes < FAULT_IN_BYTES ? range.bytes : FAULT_IN_BYTES;
  if (bytes > 0)
    madvise(range.at, bytes, MADV_POPULATE_WRITE); // older kernels refuse
}

void memoryFaultIn(void) {
  faultIn(firstChunks);
  faultIn(firstSlots);
}

void memoryIsFresh(void *at, size_t bytes) {
  fresh.at = at;
  fresh.bytes = bytes;
}

bool memoryWasFresh(void *at, size_t bytes) {
  bool was = at == fresh.at && bytes <= fresh.bytes;
  fresh.bytes = 0;
  return was;
}
