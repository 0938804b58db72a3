// The functions XS calls for memory, modules, jobs and its own end.
#include "platform.h"

#include "memory.h"
#include "stack.h"
#include "worker.h"

#include <errno.h>

#include <xsAll.h>

// The engine's limits (of the stock worker): what chunks and slots may take
// together before a vat has used too much, and what chunks alone may.
static const size_t allocationLimit = (size_t)2 << 30;
static const txSize chunkReserveBytes = 1 << 30;

static size_t refusedBytes; // what the host did not give; 0 if it gave all
static int refusedError;

void hostRefused(size_t bytes) {
  refusedError = errno;
  refusedBytes = bytes;
}

// adjustSpace counts before it asks the host, so that the limit is met at the
// same point everywhere.
static void adjustSpace(txMachine *the, txSize bytes) {
  size_t before = the->allocatedSpace;
  the->allocatedSpace += bytes;
  if (the->allocatedSpace > the->allocationLimit || the->allocatedSpace < before)
    fxAbort(the, XS_NOT_ENOUGH_MEMORY_EXIT);
}

static txSize roundToPage(txMachine *the, txSize bytes) {
  txSize over = bytes & (memoryPageBytes() - 1);
  return over ? fxAddChunkSizes(the, bytes, memoryPageBytes() - over) : bytes;
}

void *fxAllocateChunks(txMachine *the, txSize bytes) {
  adjustSpace(the, bytes);
  txByte *base = the->firstBlock ? (txByte *)the->firstBlock : memoryReserve(chunkReserveBytes);
  if (!base)
    return C_NULL;
  txByte *result = the->firstBlock ? the->firstBlock->limit : base;
  txSize used = (txSize)(result - base);
  txSize end = roundToPage(the, fxAddChunkSizes(the, used, bytes));
  txSize begin = roundToPage(the, used);
  if (end > chunkReserveBytes || !memoryCommit(base + begin, (size_t)(end - begin)))
    return C_NULL;
  memoryIsFresh(result, (size_t)bytes);
  return result;
}

// A process keeps its one machine until it ends; nothing is given back before.
void fxFreeChunks(txMachine *the, void *chunks) {
  (void)the, (void)chunks;
}

txSlot *fxAllocateSlots(txMachine *the, txSize count) {
  size_t bytes = (size_t)count * sizeof(txSlot);
  adjustSpace(the, (txSize)bytes);
  return memorySlots(bytes);
}

void fxFreeSlots(txMachine *the, void *slots) {
  (void)the, (void)slots;
}

void fxCreateMachinePlatform(txMachine *the) { the->allocationLimit = allocationLimit; }

void fxDeleteMachinePlatform(txMachine *the) { (void)the; }

char *fxCStackLimit(void) { return stackLimit(); }

// There are no module files here: a name is resolved as the stock worker does,
// for it becomes a key, and then nothing is found. The stock worker, contained,
// may open no file either.
txID fxFindModule(txMachine *the, txSlot *realm, txID moduleID, txSlot *slot) {
  char name[C_PATH_MAX];
  char path[C_PATH_MAX];
  (void)realm;
  fxToStringBuffer(the, slot, name, sizeof name);
  txInteger dots = name[0] != '.' ? 0 : name[1] == '/' ? 1 : name[1] == '.' && name[2] == '/' ? 2 : 0;
  txString end = path;
  if (dots > 0) {
    if (moduleID == XS_NO_ID)
      return XS_NO_ID;
    c_strncpy(path, fxGetKeyName(the, moduleID), C_PATH_MAX - 1);
    path[C_PATH_MAX - 1] = 0;
    end = c_strrchr(path, '/');
    if (end && dots == 2) {
      *end = 0;
      end = c_strrchr(path, '/');
    }
    if (!end)
      return XS_NO_ID;
  }
  *end = 0;
  if (c_strlen(path) + c_strlen(name + dots) >= sizeof path)
    mxRangeError("path too long");
  c_strcat(path, name + dots);
  return fxNewNameC(the, path);
}

void fxLoadModule(txMachine *the, txSlot *module, txID moduleID) {
  (void)the, (void)module, (void)moduleID;
}

// The engine is compiled with its debugger's hooks, as the stock worker is, but
// no debugger can be connected.
void fxConnect(txMachine *the) { (void)the; }
void fxDisconnect(txMachine *the) { (void)the; }
txBoolean fxIsConnected(txMachine *the) { return (void)the, 0; }
txBoolean fxIsReadable(txMachine *the) { return (void)the, 0; }
void fxReceive(txMachine *the) { (void)the; }
void fxSend(txMachine *the, txBoolean more) { (void)the, (void)more; }
void fxRunDebugger(txMachine *the) { (void)the; }

// tellConsole calls console.error(title, exception) as the stock worker does:
// computrons, keys and the vat's heap see the same steps. exception is on the
// machine's stack.
static void tellConsole(txMachine *the, txString title, txSlot *exception) {
  mxTry(the) {
    mxOverflow(-8);
    mxPush(mxGlobal);
    fxGetID(the, fxFindName(the, "console"));
    fxCallID(the, fxFindName(the, "error"));
    mxPushStringC(title);
    mxPushSlot(exception);
    fxRunCount(the, 2);
    mxPop();
  }
  mxCatch(the) {
    fprintf(stderr, "Unhandled exception %s\n", fxToString(the, exception));
  }
}

// pushException moves the exception to the machine's stack. The text it is
// converted to is for the stock worker's debugger; that happens in the vat's
// heap and so it must here.
static txSlot *pushException(txMachine *the) {
  mxPush(mxException);
  txSlot *exception = the->stack;
  fxToString(the, &mxException);
  mxException = mxUndefined;
  return exception;
}

static _Noreturn void endMemory(Worker *worker) {
  char reason[120];
  if (refusedBytes == 0)
    lastWords(worker, EXIT_NOT_ENOUGH_MEMORY, "the vat used too much memory");
  snprintf(reason, sizeof reason, "the host gave no memory: %zu bytes: %s", refusedBytes, strerror(refusedError));
  lastWords(worker, EXIT_HOST_MEMORY, reason);
}

void fxAbort(txMachine *the, int status) {
  Worker *worker = the->context;
  switch (status) {
  case XS_UNHANDLED_REJECTION_EXIT: // the one that is no end
    tellConsole(the, "UnhandledPromiseRejectionWarning:", pushException(the));
    return;
  case XS_UNHANDLED_EXCEPTION_EXIT:
    tellConsole(the, "Unhandled exception:", pushException(the));
    lastWords(worker, EXIT_UNKNOWN, "unhandled exception");
  case XS_NOT_ENOUGH_MEMORY_EXIT:
    endMemory(worker);
  case XS_STACK_OVERFLOW_EXIT:
    lastWords(worker, EXIT_STACK_OVERFLOW, "stack overflow");
  case XS_NO_MORE_KEYS_EXIT:
    lastWords(worker, EXIT_NO_MORE_KEYS, "there are no more keys");
  case XS_TOO_MUCH_COMPUTATION_EXIT:
    lastWords(worker, EXIT_TOO_MUCH_COMPUTATION, "too much computation");
  }
  lastWords(worker, EXIT_UNKNOWN, "the engine found itself broken");
}
