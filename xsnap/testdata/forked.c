// A native worker without an engine: what it is asked to deliver are attempts to
// escape. All else, the zygote above all, is the real worker's (../native).
#define PART_OF_A_WORKER
#include "escape.c"

#include "../native/crank.h"
#include "../native/heap.h"
#include "../native/machine.h"
#include "../native/stack.h"
#include "../native/version.h"

const char *workerVersion(void) { return "xsnap-native 0 (escapes)"; }
const char *workerAbilities(void) { return ""; }
bool stackMeasure(void) { return true; }
void machineMake(Worker *worker, bool heap, bool area) { (void)worker, (void)heap, (void)area; }
void crankBegin(Worker *worker) { (void)worker; }
uint64_t heapSave(Worker *worker) { (void)worker; return 0; }

Outcome crankRun(Worker *worker, RunKind kind, Bytes content) {
  char text[4096];
  (void)kind;
  snprintf(text, sizeof text, "%.*s", (int)content.size, (const char *)content.at);
  const char *result = attempt(text);
  worker->result = (uint8_t *)(result ? result : "no such way");
  worker->resultBytes = strlen((char *)worker->result);
  return (Outcome){0};
}
