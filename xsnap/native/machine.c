#include "machine.h"

#include "heap.h"
#include "hostfunctions.h"

#include <xs.h>

extern void fxInitializeSharedCluster(void);

// The parameters are the stock worker's; snapshots repeat them.
static void create(Worker *worker) {
  xsCreation creation = {
    .initialChunkSize = 32 << 20,
    .incrementalChunkSize = 4 << 20,
    .initialHeapCount = 256 << 10,
    .incrementalHeapCount = 128 << 10,
    .stackCount = 4096,
    .initialKeyCount = 32000,
    .incrementalKeyCount = 8000,
    .nameModulo = 1993,
    .symbolModulo = 127,
    .parserBufferSize = 8 << 20,
    .parserTableModulo = 1993,
  };
  worker->machine = xsCreateMachine(&creation, "xsnap", worker);
  if (!worker->machine)
    lastWords(worker, EXIT_HOST_MEMORY, "cannot make a machine");
  hostFunctionsInstall(worker->machine);
}

void machineMake(Worker *worker, bool heap, bool area) {
  fxInitializeSharedCluster();
  if (heap)
    heapLoad(worker, area);
  else
    create(worker);
}
