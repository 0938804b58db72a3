#include "heap.h"

#include "hostfunctions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xsSnapshot.h>

enum { STREAM_BYTES = 256 << 10 };

static char signature[] = "xsnap 1"; // of the stock worker; it keeps engines apart

// Input hands out small pieces from a buffer and reads large ones into place.
typedef struct {
  size_t start, end;
  uint8_t buffer[16 << 10];
} Input;

// Output gathers the many small pieces a snapshot is written in.
typedef struct {
  Worker *worker;
  uint64_t total; // said to the peer
  uint64_t written;
  size_t used;
  uint8_t buffer[STREAM_BYTES];
} Output;

// readSome returns how many bytes came; 0 at the end, -1 for errno.
static ssize_t readSome(void *at, size_t size) {
  for (;;) {
    ssize_t n = read(FD_HEAP_IN, at, size);
    if (n >= 0 || errno != EINTR)
      return n;
  }
}

static size_t takeBuffered(Input *in, uint8_t *at, size_t size) {
  size_t have = in->end - in->start;
  size_t n = size < have ? size : have;
  memcpy(at, in->buffer + in->start, n);
  in->start += n;
  return n;
}

// readHeap gives XS exactly size bytes, or an errno. A heap that ends too early
// must not pass for a whole one.
static int readHeap(void *stream, void *address, size_t size) {
  Input *in = stream;
  uint8_t *at = address;
  for (;;) {
    size_t n = takeBuffered(in, at, size);
    at += n;
    size -= n;
    if (size == 0)
      return 0;
    bool large = size >= sizeof in->buffer;
    ssize_t got = large ? readSome(at, size) : readSome(in->buffer, sizeof in->buffer);
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

static _Noreturn void refuseHeap(Worker *worker, const char *why) {
  char reason[120];
  snprintf(reason, sizeof reason, "cannot load the heap: %s", why);
  lastWords(worker, EXIT_IO_ERROR, reason);
}

static txSnapshot snapshotOf(void *stream) {
  return (txSnapshot){
    .signature = signature,
    .signatureLength = sizeof signature - 1,
    .callbacks = hostFunctions(),
    .callbacksLength = HOST_FUNCTIONS,
    .stream = stream,
  };
}

void heapLoad(Worker *worker) {
  Input in = {0, 0, {0}};
  txSnapshot snapshot = snapshotOf(&in);
  snapshot.read = readHeap;
  worker->machine = fxReadSnapshot(&snapshot, "xsnap", worker);
  if (!worker->machine)
    refuseHeap(worker, snapshot.error == ENODATA ? "it ends too early" : strerror(snapshot.error));
  ssize_t behind = in.end > in.start ? 1 : readSome(in.buffer, 1);
  if (behind > 0)
    refuseHeap(worker, "it goes on behind the end of the heap; it is no snapshot of this engine");
  if (behind < 0)
    refuseHeap(worker, strerror(errno));
}

static int writeAll(const uint8_t *at, size_t size) {
  while (size > 0) {
    ssize_t n = write(FD_HEAP_OUT, at, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    at += n;
    size -= (size_t)n;
  }
  return 0;
}

static int flushHeap(Output *out) {
  int error = writeAll(out->buffer, out->used);
  out->written += out->used;
  out->used = 0;
  return error;
}

// announce tells the peer the snapshot's size. Its first four bytes say it, only
// that XS forgets to count two fields in them.
static int announce(Output *out, const uint8_t *first) {
  out->total = (uint64_t)first[0] << 24 | (uint64_t)first[1] << 16 | (uint64_t)first[2] << 8 | first[3];
  out->total += sizeof(txID) + sizeof(txInteger);
  FrameHead head;
  frameBegin(&head, KIND_EVENT, 0, bytesOf("heap"), 1);
  frameUint(&head, "bytes", out->total);
  frameEnd(&head, 0);
  return channelSend(&out->worker->channel, &head, (Bytes){NULL, 0}) ? 0 : errno;
}

static int writeHeap(void *stream, void *address, size_t size) {
  Output *out = stream;
  int error = 0;
  if (out->total == 0 && (error = announce(out, address)))
    return error;
  if (size > sizeof out->buffer - out->used && (error = flushHeap(out)))
    return error;
  if (size > sizeof out->buffer) {
    out->written += size;
    return writeAll(address, size);
  }
  memcpy(out->buffer + out->used, address, size);
  out->used += size;
  return 0;
}

uint64_t heapSave(Worker *worker) {
  Output *out = platformMalloc(sizeof *out);
  if (!out)
    lastWords(worker, EXIT_HOST_MEMORY, "the host gave no memory to write the heap");
  out->worker = worker;
  out->total = out->written = out->used = 0;
  txSnapshot snapshot = snapshotOf(out);
  snapshot.write = writeHeap;
  fxWriteSnapshot(worker->machine, &snapshot);
  int error = snapshot.error ? snapshot.error : flushHeap(out);
  if (!error && out->written != out->total)
    error = EINVAL;
  uint64_t bytes = out->written;
  c_free(out);
  if (!error)
    return bytes;
  char reason[120];
  snprintf(reason, sizeof reason, "cannot write the heap: %s", strerror(error));
  lastWords(worker, error == C_ENOMEM ? EXIT_HOST_MEMORY : EXIT_IO_ERROR, reason);
}
