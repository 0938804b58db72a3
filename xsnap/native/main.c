// The native worker: one machine of the XS engine behind a pair of pipes that
// speak the pipe protocol (docs/protocol.md, docs/native-worker.md).
#include "machine.h"
#include "service.h"
#include "stack.h"
#include "version.h"
#include "zygote.h"

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
// that goes away is an error of a write, not a signal. What is printed has its
// buffer, so that the C library does not ask for the kind of the output.
static void prepare(Worker *worker) {
  static char printed[BUFSIZ];
  setvbuf(stdout, printed, _IOFBF, sizeof printed);
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
    puts(workerAbilities());
    return EXIT_OK;
  }
  if (argc != 2 || argv[1][0] == '-')
    return usage(stderr, EXIT_BAD_USAGE);
  if (!serviceHello(&worker, &hello))
    return EXIT_OK;
  prepare(&worker);
  machineMake(&worker, hello.heap, hello.area);
  if (hello.zygote) {
    zygoteRun(&worker, &hello, argv[1], strlen(argv[1]) + 1);
    if (!serviceHello(&worker, &hello))
      _exit(EXIT_OK);
  }
  worker.meterLimit = hello.meterLimit;
  serviceReady(&worker, &hello);
  serviceRun(&worker);
  // The machine and its memory go with the process.
  fflush(NULL);
  _exit(EXIT_OK);
}
