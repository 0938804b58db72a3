// One command of a vat, from its beginning to an idle machine.
#ifndef CRANK_H
#define CRANK_H

#include "worker.h"

typedef enum {
  RUN_CODE,   // evaluated in the start compartment
  RUN_COMMAND // given to handleCommand as an ArrayBuffer
} RunKind;

// What a command came to. The result lies in the worker until the next command.
typedef struct {
  bool threw;        // the result is the exception as text
  uint32_t compute;  // computrons
  uint64_t allocate; // bytes the machine has allocated
  uint32_t heapCount; // slots in use
} Outcome;

// crankBegin prepares the machine for its commands.
void crankBegin(Worker *worker);

Outcome crankRun(Worker *worker, RunKind kind, Bytes content);

#endif
