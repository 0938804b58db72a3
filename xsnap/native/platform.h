// What the XS sources ask of a platform (their xsPlatform.h includes this):
// the compile-time switches of the stock xsnap-worker on Linux, and hooks for
// what platform.c, memory.c and timers.c do in another way.
//
// The switches decide what a heap looks like. They are those of the stock
// worker's xsnapPlatform.h, and docs/native-worker.md says why each other one
// may differ.
#ifndef PLATFORM_H
#define PLATFORM_H

#undef mxLinux
#define mxLinux 1
#undef mxLittleEndian
#define mxLittleEndian 1
#define mxExport extern
#define mxImport extern
#define XS_FUNCTION_NORETURN __attribute__((noreturn))

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define mxUseGCCAtomics 1
#define mxUsePOSIXThreads 1
#define mxUseDefaultBuildKeys 1
#define mxUseDefaultParseScript 1
#define mxUseDefaultSharedChunks 1
#define mxUseDefaultCStackLimit 0
#define mxCESU8 1
#if INTPTR_MAX == INT64_MAX
#define mx32bitID 1
#endif

// waiter* belong to Atomics of the XS sources; the rest to platform.c.
#define mxMachinePlatform \
  void *waiterCondition; \
  void *waiterData; \
  void *waiterLink; \
  int promiseJobs; \
  void *timerJobs; \
  size_t allocationLimit; \
  size_t allocatedSpace;

// Memory that the host refuses is told from memory that the engine's own limits
// refuse: only those are the same on every node.
void hostRefused(size_t bytes);

static inline void *platformMalloc(size_t bytes) {
  void *at = malloc(bytes);
  if (!at && bytes > 0)
    hostRefused(bytes);
  return at;
}

static inline void *platformCalloc(size_t count, size_t bytes) {
  void *at = calloc(count, bytes);
  if (!at && count > 0 && bytes > 0)
    hostRefused(count * bytes);
  return at;
}

static inline void *platformRealloc(void *old, size_t bytes) {
  void *at = realloc(old, bytes);
  if (!at && bytes > 0)
    hostRefused(bytes);
  return at;
}

#define c_malloc platformMalloc
#define c_malloc_uint32 platformMalloc
#define c_calloc platformCalloc
#define c_realloc platformRealloc

#endif
