// frame-reader: has the worker's frame reader read many streams, each in pieces,
// with interrupted reads and with little memory. Tests compare what it says of
// them with pipeproto's reader. Linked with --wrap, its read and malloc are here.
//
// stdin has for each stream four numbers of 32 bits, big-endian, and then its
// bytes: their count, the limit of a frame, the most bytes that a read gives (0
// for all), and how often memory is to be had. For each stream there is a line
// on stdout: the frames, each with its fields, and how it ended.
#include "channel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Stream is what the reader reads, from the descriptor that nobody has.
typedef struct {
  uint8_t *at;
  uint32_t size, limit, most, memory;
  uint32_t used, reads;
} Stream;

static Stream stream;
static int allocated;

ssize_t __wrap_read(int fd, void *at, size_t size);
void *__wrap_malloc(size_t size);
void __wrap_free(void *at);
void *__real_malloc(size_t size);
void __real_free(void *at);

ssize_t __wrap_read(int fd, void *at, size_t size) {
  (void)fd;
  if (stream.most > 0 && ++stream.reads % 3 == 0) {
    errno = EINTR;
    return -1;
  }
  size_t n = stream.size - stream.used;
  n = n < size ? n : size;
  n = stream.most > 0 && n > stream.most ? stream.most : n;
  memcpy(at, stream.at + stream.used, n);
  stream.used += (uint32_t)n;
  return (ssize_t)n;
}

void *__wrap_malloc(size_t size) {
  if (stream.memory == 0)
    return NULL;
  stream.memory--;
  allocated++;
  return __real_malloc(size);
}

void __wrap_free(void *at) {
  allocated -= at != NULL;
  __real_free(at);
}

static _Noreturn void broken(const char *what) {
  fprintf(stderr, "frame-reader: %s\n", what);
  abort();
}

static uint32_t hashOf(Bytes bytes) { // FNV-1a
  uint32_t hash = 0x811c9dc5;
  for (size_t i = 0; i < bytes.size; i++)
    hash = (hash ^ bytes.at[i]) * 0x01000193;
  return hash;
}

static void tellBytes(bool ok, Bytes bytes) {
  if (ok)
    printf(",%zu:%08" PRIx32, bytes.size, hashOf(bytes));
  else
    fputs(",-", stdout);
}

// tellField reads a field as all that it could be.
static void tellField(Bytes body, const char *name) {
  uint64_t number;
  bool truth;
  Bytes binary, text;
  if (bodyUint(body, name, INT64_MAX, &number))
    printf(" %" PRIu64, number);
  else
    fputs(" -", stdout);
  if (bodyBool(body, name, &truth))
    fputs(truth ? ",true" : ",false", stdout);
  else
    fputs(",-", stdout);
  bool isBinary = bodyBinary(body, name, &binary);
  tellBytes(isBinary, binary);
  bool isText = bodyText(body, name, &text);
  tellBytes(isText, text);
}

static void tell(const Envelope *env) {
  // The fields a worker looks for.
  static const char *const fields[] = {
    "version", "meterLimit", "heap", "area", "zygote", "filter", "code", "command", "result", "name", "parent",
  };
  printf("%d %" PRIu64, env->kind, env->id);
  tellBytes(true, env->type);
  tellBytes(true, env->body);
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    tellField(env->body, fields[i]);
  fputs("; ", stdout);
}

static bool same(Bytes a, Bytes b) { return a.size == b.size && memcmp(a.at, b.at, a.size) == 0; }

// again reads a frame from memory that ends where it ends, so that a look
// behind its end is seen.
static void again(Channel *channel, Bytes packet, uint64_t lastSeen, const Envelope *before) {
  Envelope env = {0};
  channel->lastSeen = lastSeen;
  const char *wrong = channelPacket(channel, packet, &env);
  if (!before != (wrong != NULL))
    broken("a packet is not read as it was read from the stream");
  if (!before)
    return;
  if (env.kind != before->kind || env.id != before->id || !same(env.type, before->type) || !same(env.body, before->body))
    broken("a packet has not what it had in the stream");
  tell(&env);
}

// readAgain finds the frame that begins at from in the stream.
static void readAgain(Channel *channel, uint32_t from, uint64_t lastSeen, const Envelope *before) {
  uint32_t left = stream.size - from;
  if (left < FRAME_HEADER_BYTES)
    return;
  const uint8_t *at = stream.at + from;
  size_t size = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
  if (size == 0 || size > stream.limit || size > left - FRAME_HEADER_BYTES)
    return;
  size += FRAME_HEADER_BYTES;
  uint8_t *packet = __real_malloc(size);
  memcpy(packet, at, size);
  again(channel, (Bytes){packet, size}, lastSeen, before);
  __real_free(packet);
}

static void readStream(void) {
  static const char *const ends[] = {[RECEIVED_END] = "end", [RECEIVED_WRONG] = "wrong", [RECEIVED_ERROR] = "no memory"};
  Channel channel;
  Envelope env;
  Received got;
  channelOpen(&channel, -1, -1, stream.limit);
  for (;;) {
    const char *wrong = NULL;
    uint64_t lastSeen = channel.lastSeen;
    uint32_t from = stream.used - (uint32_t)(channel.end - channel.start);
    got = channelReceive(&channel, &env, &wrong);
    if ((got == RECEIVED_WRONG) != (wrong != NULL))
      broken("what is wrong is not said");
    if (got == RECEIVED || got == RECEIVED_WRONG)
      readAgain(&channel, from, lastSeen, got == RECEIVED ? &env : NULL);
    if (got != RECEIVED)
      break;
  }
  puts(ends[got]);
  __wrap_free(channel.buffer);
  if (allocated != 0)
    broken("memory is lost");
}

static uint32_t number(void) {
  uint8_t b[4] = {0};
  if (fread(b, 1, sizeof b, stdin) != sizeof b)
    exit(ferror(stdin) ? 1 : 0);
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

int main(void) {
  for (;;) {
    stream = (Stream){.size = number()};
    stream.limit = number();
    stream.most = number();
    stream.memory = number();
    stream.at = __real_malloc(stream.size);
    if (fread(stream.at, 1, stream.size, stdin) != stream.size)
      broken("a stream is cut short");
    readStream();
    __real_free(stream.at);
    if (fflush(stdout))
      return 1;
  }
}
