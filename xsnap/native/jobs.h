// Promise jobs and setImmediate. A machine is txMachine of xsAll.h and
// xsMachine of xs.h.
#ifndef JOBS_H
#define JOBS_H

// jobAdd queues the function the running host function was called with, and
// makes the object that setImmediate returns its result.
void jobAdd(void *machine);

// jobsRun runs promise jobs and queued functions until none is left.
void jobsRun(void *machine);

#endif
