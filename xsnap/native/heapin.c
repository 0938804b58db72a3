#include "heapin.h"

#include "memory.h"
#include "worker.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
  PORTION_HEAD_BYTES = 4,
  // After the first portion, the head of the heap, the machine is made and the
  // rest may be long in coming.
  PORTION_OF_HEAD = 1,
};

static const uint32_t inArea = 1u << 31;

void heapInOpen(HeapIn *in, bool area) {
  in->area = area;
  in->portion = 0;
  in->from = FD_HEAP_IN;
  in->left = in->start = in->end = 0;
}

void heapInClose(HeapIn *in) {
  if (in->area)
    close(FD_HEAP_AREA); // its memory is not needed any more
}

// readSome returns how many bytes came; 0 at the end, -1 for errno.
static ssize_t readSome(int from, void *at, size_t size) {
  for (;;) {
    ssize_t n = read(from, at, size);
    if (n >= 0 || errno != EINTR)
      return n;
  }
}

// nextPortion waits for a portion; false is the end, or errno.
static bool nextPortion(HeapIn *in) {
  uint8_t head[PORTION_HEAD_BYTES];
  size_t have = 0;
  if (in->portion++ == PORTION_OF_HEAD)
    memoryFaultIn();
  errno = 0;
  while (have < sizeof head) {
    ssize_t n = readSome(FD_HEAP_IN, head + have, sizeof head - have);
    if (n == 0 && have > 0)
      errno = ENODATA;
    if (n <= 0)
      return false;
    have += (size_t)n;
  }
  uint32_t says = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
  in->from = says & inArea ? FD_HEAP_AREA : FD_HEAP_IN;
  in->left = says & ~inArea;
  return true;
}

// readPortion is readSome of the heap.
static ssize_t readPortion(HeapIn *in, void *at, size_t size) {
  if (!in->area)
    return readSome(FD_HEAP_IN, at, size);
  while (in->left == 0)
    if (!nextPortion(in))
      return errno ? -1 : 0;
  ssize_t n = readSome(in->from, at, size < in->left ? size : in->left);
  if (n > 0)
    in->left -= (size_t)n;
  return n;
}

static size_t takeBuffered(HeapIn *in, uint8_t *at, size_t size) {
  size_t have = in->end - in->start;
  size_t n = size < have ? size : have;
  memcpy(at, in->buffer + in->start, n);
  in->start += n;
  return n;
}

int heapInRead(void *stream, void *address, size_t size) {
  HeapIn *in = stream;
  uint8_t *at = address;
  for (;;) {
    size_t n = takeBuffered(in, at, size);
    at += n;
    size -= n;
    if (size == 0)
      return 0;
    bool large = size >= sizeof in->buffer;
    ssize_t got = large ? readPortion(in, at, size) : readPortion(in, in->buffer, sizeof in->buffer);
    if (got < 0)
      return errno;
    if (got == 0)
      return ENODATA;
    if (large) {
      at += got;
      size -= (size_t)got;
    } else {
      in->start = 0;
      in->end = (size_t)got;
    }
    if (size == 0)
      return 0;
  }
}

int heapInEnd(HeapIn *in) {
  if (in->end > in->start)
    return 1;
  ssize_t n = readPortion(in, in->buffer, 1);
  return n > 0 ? 1 : (int)n;
}
