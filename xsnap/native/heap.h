// Heap snapshots: in through one descriptor, out through another.
#ifndef HEAP_H
#define HEAP_H

#include "worker.h"

// heapLoad makes the machine from the snapshot on FD_HEAP_IN, or in portions
// (heapin.h), which must end where the heap ends. It ends the process if that is
// not to be had.
void heapLoad(Worker *worker, bool area);

// heapSave writes the machine's snapshot to FD_HEAP_OUT and returns its size.
// It tells the peer the size before the first byte. It ends the process if the
// snapshot cannot be written.
uint64_t heapSave(Worker *worker);

#endif
