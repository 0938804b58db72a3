// A heap on its way in: from a pipe, or from memory that vatworkerd unpacks it to.
#ifndef HEAPIN_H
#define HEAPIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// HeapIn hands out small pieces from a buffer and reads large ones into place.
typedef struct {
  bool area;        // the heap comes in portions
  unsigned portion; // number of the one being read, from 1
  int from;         // descriptor where its rest is
  size_t left;      // bytes of its rest
  size_t start, end;
  uint8_t buffer[16 << 10];
} HeapIn;

// heapInOpen begins to read FD_HEAP_IN. With an area the heap comes in portions:
// four bytes on FD_HEAP_IN, big-endian, say how many bytes follow there, or, if
// the highest bit is set, so many follow in FD_HEAP_AREA, which is closed by
// heapInClose.
void heapInOpen(HeapIn *in, bool area);
void heapInClose(HeapIn *in);

// heapInRead gives XS exactly size bytes, or an errno. A heap that ends too
// early must not pass for a whole one: ENODATA.
int heapInRead(void *in, void *address, size_t size);

// heapInEnd returns 0 at the end of the heap, 1 if there is more of it, -1 for errno.
int heapInEnd(HeapIn *in);

#endif
