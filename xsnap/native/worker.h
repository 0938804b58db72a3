// What the parts of the worker share.
#ifndef WORKER_H
#define WORKER_H

#include "channel.h"

// Exit codes: those of the stock xsnap-worker, and one of this worker's own.
enum {
  EXIT_OK = 0,
  EXIT_BAD_USAGE = 1,
  EXIT_IO_ERROR = 2,
  EXIT_NOT_ENOUGH_MEMORY = 11, // the engine's own limit
  EXIT_STACK_OVERFLOW = 12,
  EXIT_NO_MORE_KEYS = 16,
  EXIT_TOO_MUCH_COMPUTATION = 17,
  EXIT_HOST_MEMORY = 18, // the host gave no memory: says nothing about the vat
  EXIT_UNKNOWN = 255,    // any other end the engine can come to
};

// Descriptors, as vatworkerd connects them.
enum {
  FD_NULL = 0,
  FD_STDOUT = 1,
  FD_STDERR = 2,
  FD_COMMANDS = 3, // of a zygote: its socket
  FD_REPLIES = 4,
  FD_HEAP_AREA = 5, // memory that vatworkerd unpacks the heap to
  FD_HEAP_OUT = 7,
  FD_HEAP_IN = 8,
  FD_COUNT = 9,
};

enum { PROTOCOL_VERSION = 1 };

typedef struct {
  Channel channel;
  void *machine;       // txMachine of xsAll.h, xsMachine of xs.h
  uint32_t meterLimit; // computrons of one command; 0 is no limit
  uint32_t meterNow;   // the limit in force: 0 between commands
  uint8_t *result;     // of the last command, kept for the next one's
  size_t resultBytes;
} Worker;

// lastWords tells the peer why the process ends, and ends it.
_Noreturn void lastWords(Worker *worker, int code, const char *reason);

// protocolBroken tells the peer what was wrong with what it sent, and ends.
_Noreturn void protocolBroken(Worker *worker, const char *wrong);

#endif
