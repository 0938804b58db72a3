// How the sanitizers behave in programs that are built with them. A worker has
// no environment to say it in. Every end a report brings is SIGABRT, which no
// exit code can be taken for. Memory is not looked for that is lost at the end:
// a worker leaves all of it to the kernel.
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void) {
  return "detect_leaks=0:allocator_may_return_null=1:abort_on_error=1";
}

const char *__ubsan_default_options(void) { return "print_stacktrace=1:abort_on_error=1"; }
