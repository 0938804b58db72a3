// The native worker: one machine of the XS engine behind a pair of pipes that
// speak the pipe protocol (docs/protocol.md, docs/native-worker.md).
#include "machine.h"
#include "service.h"
#include "stack.h"
#include "version.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage(FILE *out, int code) {
  fputs("xsnap-native-worker NAME   serve the pipe protocol on descriptors 3 and 4\n"
        "xsnap-native-worker -v     print the version\n", out);
  return code;
}

static void nothingMore(int signal) { (void)signal; }

// prepare makes the process the same wherever it runs: time is UTC, and a peer
// that goes away is an error of a write, not a signal.
static void prepare(Worker *worker) {
  signal(SIGPIPE, nothingMore);
  setenv("TZ", "UTC0", 1);
  if (!stackMeasure())
    lastWords(worker, EXIT_IO_ERROR, "cannot find the stack's limit; is /proc mounted?");
}

int main(int argc, char *argv[]) {
  static Worker worker;
  Hello hello;
  if (argc == 2 && strcmp(argv[1], "-v") == 0) {
    puts(workerVersion());
    return EXIT_OK;
  }
  if (argc != 2 || argv[1][0] == '-')
    return usage(stderr, EXIT_BAD_USAGE);
  if (!serviceHello(&worker, &hello))
    return EXIT_OK;
  worker.meterLimit = hello.meterLimit;
  prepare(&worker);
  machineMake(&worker, hello.heap);
  serviceReady(&worker, &hello);
  serviceRun(&worker);
  // The machine and its memory go with the process.
  fflush(NULL);
  _exit(EXIT_OK);
}
