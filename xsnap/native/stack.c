#define _GNU_SOURCE
#include "stack.h"

#include <pthread.h>
#include <stddef.h>

enum { MARGIN_BYTES = 128 << 10 }; // of fxCStackLimit in the XS sources

static char *limit;

bool stackMeasure(void) {
  pthread_attr_t attributes;
  void *at;
  size_t bytes;
  if (pthread_getattr_np(pthread_self(), &attributes))
    return false;
  if (pthread_attr_getstack(&attributes, &at, &bytes) == 0)
    limit = (char *)at + MARGIN_BYTES;
  pthread_attr_destroy(&attributes);
  return limit != NULL;
}

char *stackLimit(void) { return limit; }
