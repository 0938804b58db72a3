// A worker that does not keep to the protocol. Its name, the first argument, is
// VAT:STAGE.WAY; up to that stage it answers as a good worker would, and there
// it does something else. It makes no system call that a contained worker may
// not make.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

enum { COMMANDS = 3, REPLIES = 4, SAVE = 7, LOAD = 8 };

static const char *meter = "{\"currentHeapCount\":1,\"compute\":2,\"allocate\":3,\"timestamps\":[1.5,2.5]}\x01";

static void hang(void) {
  for (;;) select(0, NULL, NULL, NULL, NULL);
}

// A closed pipe is the end, as for a real worker.
static void put(int fd, const char *p, size_t n) {
  while (n > 0) {
    ssize_t done = write(fd, p, n);
    if (done < 0) exit(2);
    p += done;
    n -= done;
  }
}

static char out[8192]; // messages that go out together
static size_t waiting;
static int holding;

static void flush(void) {
  put(REPLIES, out, waiting);
  waiting = 0;
}

static void text(const char *s) {
  memcpy(out + waiting, s, strlen(s));
  waiting += strlen(s);
  if (!holding) flush();
}

static void repeat(int fd, char c, long long n) { // n < 0: for ever
  char block[65536];
  memset(block, c, sizeof block);
  while (n != 0) {
    size_t some = n < 0 || n > (long long)sizeof block ? sizeof block : (size_t)n;
    put(fd, block, some);
    if (n > 0) n -= some;
  }
}

static void frame(const char *head, const char *body) {
  char length[32];
  snprintf(length, sizeof length, "%zu:", strlen(head) + strlen(body));
  text(length);
  text(head);
  text(body);
  text(",");
}

// good is the reply body with a meter.
static void good(const char *body) {
  char reply[4096];
  snprintf(reply, sizeof reply, ".%s%s", meter, body);
  frame("", reply);
}

static char *command; // the last one read
static size_t capacity;

static int next(void) { // 0 at the end
  size_t n = 0;
  char c;
  while (read(COMMANDS, &c, 1) == 1 && c != ':') n = n * 10 + (c - '0');
  if (n == 0) return 0;
  if (n + 2 > capacity) command = realloc(command, capacity = n + 2);
  for (size_t at = 0; at < n + 1;) {
    ssize_t done = read(COMMANDS, command + at, n + 1 - at);
    if (done <= 0) return 0;
    at += done;
  }
  command[n] = 0;
  return 1;
}

static const char *stage(void) {
  if (command[0] == 'R') return "ready";
  if (command[0] == 'e') return "evaluate";
  if (command[0] == 'w') return "snapshot";
  if (command[0] == 'q') return "quit";
  return strncmp(command, "?[\"setBundle\"", 13) == 0 ? "setBundle" : "deliver";
}

static void behave(const char *stage) {
  if (!strcmp(stage, "quit")) exit(0);
  if (!strcmp(stage, "ready") || !strcmp(stage, "evaluate")) frame("", ".");
  else if (!strcmp(stage, "setBundle")) good("[\"dispatchReady\"]");
  else if (!strcmp(stage, "deliver")) good("[\"ok\",null,null]");
  else {
    put(SAVE, "abc", 3);
    good("3");
  }
}

static void nested(const char *before, const char *after) { // a million deep
  char length[32];
  snprintf(length, sizeof length, "%zu:", strlen(before) + 2000000 + strlen(after));
  text(length);
  text(before);
  repeat(REPLIES, '[', 1000000);
  repeat(REPLIES, ']', 1000000);
  text(after);
  text(",");
}

static void misbehave(const char *way, const char *at) {
  put(STDERR_FILENO, "now\n", 4);
  // Garbage.
  if (!strcmp(way, "garbage")) repeat(REPLIES, (char)0xff, 1 << 16);
  else if (!strcmp(way, "letters")) repeat(REPLIES, 'x', 1 << 16);
  else if (!strcmp(way, "zeros")) repeat(REPLIES, '0', 1 << 16);
  else if (!strcmp(way, "empty")) text("0:,");
  else if (!strcmp(way, "unknown")) frame("", "x");
  else if (!strcmp(way, "uncaught")) frame("!", "Error: none of yours");
  else if (!strcmp(way, "badmeter")) frame(".{\"currentHeapCount\":99999999999999999999}\x01", "");
  else if (!strcmp(way, "nometer")) frame(".", "[\"ok\",null,null]");
  else if (!strcmp(way, "noarray")) good("{\"ok\":null}");
  else if (!strcmp(way, "nobody")) good("");
  else if (!strcmp(way, "badjson")) frame("?", "[\"syscall\",[\"vatstoreGet\",]]");
  else if (!strcmp(way, "badutf8")) frame("?", "[\"syscall\",[\"vatstoreGet\",\"\xff\xfe\"]]");
  else if (!strcmp(way, "noupcall")) frame("?", "[\"format\",\"the disk\"]");
  else if (!strcmp(way, "deep")) nested("?[\"syscall\",[\"vatstoreGet\",", "]]");
  else if (!strcmp(way, "deepconsole")) nested("?[\"sourcedConsole\",\"vat\",\"log\",", "]");
  else if (!strcmp(way, "deepreply")) {
    char before[256];
    snprintf(before, sizeof before, ".%s", meter);
    nested(before, "");
  }
  // Too much.
  else if (!strcmp(way, "toolong")) text("12000001:");
  else if (!strcmp(way, "longest")) text("12000000:"), repeat(REPLIES, 'x', -1);
  else if (!strcmp(way, "number")) repeat(REPLIES, '9', 1 << 16);
  else if (!strcmp(way, "stdout")) for (;;) put(STDOUT_FILENO, "no end of lines\n", 16);
  else if (!strcmp(way, "stderr")) for (;;) put(STDERR_FILENO, "no end of lines\n", 16);
  else if (!strcmp(way, "line")) repeat(STDOUT_FILENO, 'x', -1);
  else if (!strcmp(way, "upcalls")) for (;;) frame("?", "[\"sourcedConsole\",\"vat\",\"log\",\"x\"]"), next();
  else if (!strcmp(way, "largest")) for (int i = 0; i < 4; i++) {
    const char *head = "?[\"sourcedConsole\",\"vat\",\"log\",\"";
    char length[32];
    snprintf(length, sizeof length, "%zu:", strlen(head) + 11000000 + 2);
    text(length);
    text(head);
    repeat(REPLIES, 'x', 11000000);
    text("\"],");
    next();
  }
  else if (!strcmp(way, "endless")) repeat(SAVE, 'x', -1);
  else if (!strcmp(way, "more")) put(SAVE, "abc", 3), good("3"), repeat(SAVE, 'x', -1);
  // Too little.
  else if (!strcmp(way, "half")) text("100:.abc");
  else if (!strcmp(way, "halflength")) text("10");
  else if (!strcmp(way, "closereplies")) close(REPLIES);
  else if (!strcmp(way, "closecommands")) close(COMMANDS);
  else if (!strcmp(way, "exit")) exit(0);
  else if (!strcmp(way, "less")) put(SAVE, "abc", 3), good("5");
  else if (!strcmp(way, "negative")) good("-1");
  else if (!strcmp(way, "nolength")) good("many");
  else if (!strcmp(way, "hugelength")) good("99999999999999999999");
  // Out of turn.
  else if (!strcmp(way, "twice")) holding = 1, behave(at), behave(at), flush();
  else if (!strcmp(way, "afterwards")) holding = 1, behave(at), frame("?", "[\"syscall\",[\"vatstoreSet\",\"k\",\"v\"]]"), flush();
  else if (!strcmp(way, "save")) repeat(SAVE, 'x', 1 << 20);
  // And "never".
  hang();
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "-v")) return puts("xsnap 0.0.0 (XS 0.0.0)"), 0;
  const char *script = argc > 1 ? strchr(argv[1], ':') : NULL;
  if (!script) return 1;
  const char *dot = strchr(++script, '.');
  if (!dot) return 1;
  char where[32] = "";
  memcpy(where, script, (size_t)(dot - script) < sizeof where ? (size_t)(dot - script) : 0);
  if (!strcmp(where, "load")) misbehave(dot + 1, where);
  if (!strcmp(where, "early")) put(STDERR_FILENO, "now\n", 4), text("1:.,");
  char block[65536];
  while (argc > 2 && read(LOAD, block, sizeof block) > 0) {}
  while (next()) {
    if (!strcmp(stage(), where)) misbehave(dot + 1, where);
    behave(stage());
  }
  return 0;
}
