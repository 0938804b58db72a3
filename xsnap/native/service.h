// Serving requests.
#ifndef SERVICE_H
#define SERVICE_H

#include "worker.h"

// Hello is what a worker is told first.
typedef struct {
  uint64_t id;
  uint32_t meterLimit;
  bool heap;   // the machine is to be loaded from FD_HEAP_IN
  bool area;   // in portions, of which most lie in FD_HEAP_AREA
  bool zygote; // the process is to fork workers
  Bytes filter; // of a zygote's workers; lives until the next frame
} Hello;

// serviceHello waits for the hello, which must come first. It returns false if
// the pipe was closed instead.
bool serviceHello(Worker *worker, Hello *hello);

// serviceReady answers the hello.
void serviceReady(Worker *worker, const Hello *hello);

// serviceRun answers requests until it is asked to quit or the pipe is closed.
void serviceRun(Worker *worker);

// Parts that zygotes use too. A request is answered, or refused with an error
// that leaves the connection as it is.
bool serviceReceive(Worker *worker, Envelope *env);
void serviceReply(Worker *worker, FrameHead *head, Bytes payload);
void serviceRefuse(Worker *worker, const Envelope *env, const char *code, const char *message);

#endif
