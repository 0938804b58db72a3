#include "heap.h"

#include "heapin.h"
#include "hostfunctions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xsSnapshot.h>

enum { STREAM_BYTES = 256 << 10 };

static char signature[] = "xsnap 1"; // of the stock worker; it keeps engines apart

// Output gathers the many small pieces a snapshot is written in.
typedef struct {
  Worker *worker;
  uint64_t total; // said to the peer
  uint64_t written;
  size_t used;
  uint8_t buffer[STREAM_BYTES];
} Output;

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

void heapLoad(Worker *worker, bool area) {
  HeapIn in;
  heapInOpen(&in, area);
  txSnapshot snapshot = snapshotOf(&in);
  snapshot.read = heapInRead;
  worker->machine = fxReadSnapshot(&snapshot, "xsnap", worker);
  if (!worker->machine)
    refuseHeap(worker, snapshot.error == ENODATA ? "it ends too early" : strerror(snapshot.error));
  int behind = heapInEnd(&in);
  if (behind > 0)
    refuseHeap(worker, "it goes on behind the end of the heap; it is no snapshot of this engine");
  if (behind < 0)
    refuseHeap(worker, strerror(errno));
  heapInClose(&in);
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
