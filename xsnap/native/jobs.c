#include "jobs.h"

#include <xsAll.h>

// Job is a queued function. The vat's heap sees it as an object with hooks, so
// the object, its slots and the moments at which they come and go are those of
// the stock worker's timers. Time does not matter: setImmediate is the only
// timer there is, and it is always due.
typedef struct Job {
  struct Job *next;
  bool done; // and to be dropped when the queue is walked next
  txSlot self;
  txSlot function;
  txSlot argument;
} Job;

static void destroyJob(void *data) { (void)data; } // the queue owns it

static void markJob(txMachine *the, void *data, txMarkRoot markRoot) {
  Job *job = data;
  if (!job)
    return;
  (*markRoot)(the, &job->function);
  (*markRoot)(the, &job->argument);
}

static txHostHooks jobHooks = {destroyJob, markJob, NULL};

void jobAdd(void *machine) {
  txMachine *the = machine;
  Job **last = (Job **)&the->timerJobs;
  while (*last)
    last = &(*last)->next;
  Job *job = *last = platformCalloc(1, sizeof *job);
  if (!job)
    fxAbort(the, XS_NOT_ENOUGH_MEMORY_EXIT);
  fxNewHostObject(the, NULL);
  mxPull(job->self);
  job->function = mxArgc > 0 ? *mxArgv(0) : mxUndefined;
  job->argument = mxArgc > 2 ? *mxArgv(2) : mxUndefined;
  fxSetHostData(the, &job->self, job);
  fxSetHostHooks(the, &job->self, &jobHooks);
  fxRemember(the, &job->self);
  fxAccess(the, &job->self);
  *mxResult = the->scratch;
}

// finish lets go of a job's object.
static void finish(txMachine *the, Job *job) {
  fxAccess(the, &job->self);
  *mxResult = the->scratch;
  fxForget(the, &job->self);
  fxSetHostData(the, mxResult, NULL);
  job->done = true;
}

static void runJob(txMachine *the, Job *job) {
  fxBeginHost(the);
  mxTry(the) {
    mxPushUndefined();
    mxPush(job->function);
    mxCall();
    mxPush(job->argument);
    mxRunCount(1);
    mxPop();
    if (!job->done)
      finish(the, job);
  }
  mxCatch(the) {
    finish(the, job);
    fxAbort(the, XS_UNHANDLED_EXCEPTION_EXIT);
  }
  fxEndHost(the);
}

// runNext drops jobs that are done up to the first that is not, and runs that.
static void runNext(txMachine *the) {
  Job **first = (Job **)&the->timerJobs;
  while (*first) {
    Job *job = *first;
    if (!job->done) {
      runJob(the, job);
      return;
    }
    *first = job->next;
    c_free(job);
  }
}

// The end of a job is counted in computrons (finalization registries are looked
// at), so the stock worker's rhythm is kept: one end after each round of promise
// jobs, and one more round after the last function.
void jobsRun(void *machine) {
  txMachine *the = machine;
  for (;;) {
    while (the->promiseJobs) {
      the->promiseJobs = 0;
      fxRunPromiseJobs(the);
    }
    fxEndJob(the);
    if (the->promiseJobs)
      continue;
    if (!the->timerJobs)
      break;
    runNext(the);
  }
  fxCheckUnhandledRejections(the, 1);
}

void fxQueuePromiseJobs(txMachine *the) { the->promiseJobs = 1; }
