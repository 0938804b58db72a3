// The one machine of the process.
#ifndef MACHINE_H
#define MACHINE_H

#include "worker.h"

// machineMake loads it from a heap, as heapLoad does, or makes a fresh one. It
// ends the process if there is none to be had.
void machineMake(Worker *worker, bool heap, bool area);

#endif
