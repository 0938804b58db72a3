// Commands run by the calls, on the stack and in the order of the stock worker:
// all of them show in the vat's heap, its keys and its computrons.
#include "crank.h"

#include "jobs.h"
#include "meter.h"

#include <xs.h>

static bool withinLimit(void *machine, uint32_t computrons) {
  const Worker *worker = xsGetContext((xsMachine *)machine);
  return worker->meterNow == 0 || computrons <= worker->meterNow;
}

void crankBegin(Worker *worker) { meterBegin(worker->machine, worker->meterLimit > 0 ? withinLimit : NULL); }

static void keepResult(Worker *worker, const void *at, size_t size) {
  enum { KEEP_BYTES = 64 << 10 };
  if (!worker->result || worker->resultBytes > KEEP_BYTES || size > KEEP_BYTES) {
    free(worker->result);
    worker->result = platformMalloc(size > KEEP_BYTES ? size : KEEP_BYTES);
    if (!worker->result)
      lastWords(worker, EXIT_HOST_MEMORY, "the host gave no memory for a result");
  }
  if (size > 0)
    memcpy(worker->result, at, size);
  worker->resultBytes = size;
}

static void call(xsMachine *the, RunKind kind, Bytes content) {
  xsStringValue data = (xsStringValue)content.at;
  xsIntegerValue size = (xsIntegerValue)content.size;
  if (kind == RUN_COMMAND) {
    xsVar(0) = xsArrayBuffer(data, size);
    xsVar(1) = xsCall1(xsGlobal, xsID("handleCommand"), xsVar(0));
  } else {
    xsVar(0) = xsStringBuffer(data, size);
    xsVar(1) = xsCall1(xsGlobal, xsID("eval"), xsVar(0));
  }
}

// result takes what the command returned: an ArrayBuffer, or an object whose
// property result is one. Anything else is no result.
static void result(xsMachine *the, Worker *worker) {
  keepResult(worker, NULL, 0);
  xsTry {
    if (xsTypeOf(xsVar(1)) == xsReferenceType && xsHas(xsVar(1), xsID("result")))
      xsVar(2) = xsGet(xsVar(1), xsID("result"));
    else
      xsVar(2) = xsVar(1);
    if (xsIsInstanceOf(xsVar(2), xsArrayBufferPrototype)) {
      xsIntegerValue size = xsGetArrayBufferLength(xsVar(2));
      keepResult(worker, xsToArrayBuffer(xsVar(2)), (size_t)size);
    }
  }
  xsCatch {
    if (xsTypeOf(xsException) != xsUndefinedType) {
      fprintf(stderr, "cannot read the result %s:", xsToString(xsVar(2)));
      fprintf(stderr, " %s\n", xsToString(xsException));
      xsException = xsUndefined;
    }
  }
}

Outcome crankRun(Worker *worker, RunKind kind, Bytes content) {
  xsMachine *machine = worker->machine;
  volatile bool threw = false;
  volatile uint32_t compute = 0;
  meterWrite(machine, 0);
  worker->meterNow = worker->meterLimit;
  xsBeginHost(machine);
  {
    xsVars(3);
    xsTry {
      call(the, kind, content);
    }
    xsCatch {
      if (xsTypeOf(xsException) != xsUndefinedType) {
        threw = true;
        xsVar(1) = xsException;
        xsException = xsUndefined;
      }
    }
    jobsRun(the);
    worker->meterNow = 0;
    compute = meterRead(the);
    if (threw) {
      const char *text = xsToString(xsVar(1));
      keepResult(worker, text, strlen(text));
    } else
      result(the, worker);
  }
  xsEndHost(machine);
  return (Outcome){threw, compute, meterAllocated(machine), meterSlots(machine)};
}
