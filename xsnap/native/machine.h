// The one machine of the process.
#ifndef MACHINE_H
#define MACHINE_H

#include "worker.h"

// machineMake loads it from the heap on FD_HEAP_IN, or makes a fresh one. It
// ends the process if there is none to be had.
void machineMake(Worker *worker, bool heap);

#endif
