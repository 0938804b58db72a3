#include "channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  BUFFER_BYTES = 64 << 10,
  KEEP_BYTES = 1 << 20, // a larger buffer is given back after its frame
};

void channelOpen(Channel *c, int in, int out, size_t limit) {
  *c = (Channel){.in = in, .out = out, .limit = limit};
}

// reserve makes room for a frame of total bytes that begins at start.
static bool reserve(Channel *c, size_t total) {
  size_t have = c->end - c->start;
  if (c->capacity - c->start >= total)
    return true;
  if (c->capacity < total) {
    uint8_t *larger = malloc(total);
    if (!larger)
      return false;
    if (have > 0)
      memcpy(larger, c->buffer + c->start, have);
    free(c->buffer);
    c->buffer = larger;
    c->capacity = total;
  } else
    memmove(c->buffer, c->buffer + c->start, have);
  c->start = 0;
  c->end = have;
  return true;
}

// rewindBuffer forgets the last frame.
static void rewindBuffer(Channel *c) {
  if (c->start < c->end)
    return;
  c->start = c->end = 0;
  if (c->capacity > KEEP_BYTES) {
    free(c->buffer);
    c->buffer = NULL;
    c->capacity = 0;
  }
}

// fill reads until the buffer holds total bytes of the frame at start. It takes
// more if more is there.
static Received fill(Channel *c, size_t total, const char **wrong) {
  if (!reserve(c, total > BUFFER_BYTES ? total : BUFFER_BYTES))
    return RECEIVED_ERROR;
  while (c->end - c->start < total) {
    ssize_t n = read(c->in, c->buffer + c->end, c->capacity - c->end);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return RECEIVED_ERROR;
    if (n == 0 && c->end == c->start)
      return RECEIVED_END;
    if (n == 0) {
      *wrong = "the stream ended in the middle of a frame";
      return RECEIVED_WRONG;
    }
    c->end += (size_t)n;
  }
  return RECEIVED;
}

static size_t lengthAt(const uint8_t *at) {
  return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

Received channelReceive(Channel *c, Envelope *env, const char **wrong) {
  rewindBuffer(c);
  Received got = fill(c, FRAME_HEADER_BYTES, wrong);
  if (got != RECEIVED)
    return got;
  size_t size = lengthAt(c->buffer + c->start);
  if (size == 0 || size > c->limit) {
    *wrong = size == 0 ? "a frame of length 0" : "a frame is longer than this end accepts";
    return RECEIVED_WRONG;
  }
  if ((got = fill(c, FRAME_HEADER_BYTES + size, wrong)) != RECEIVED)
    return got;
  *wrong = channelPacket(c, (Bytes){c->buffer + c->start, FRAME_HEADER_BYTES + size}, env);
  if (*wrong)
    return RECEIVED_WRONG;
  c->start += FRAME_HEADER_BYTES + size;
  return RECEIVED;
}

const char *channelPacket(Channel *c, Bytes packet, Envelope *env) {
  if (packet.size <= FRAME_HEADER_BYTES || lengthAt(packet.at) != packet.size - FRAME_HEADER_BYTES)
    return "a packet is not exactly one frame";
  const char *wrong = frameDecode((Bytes){packet.at + FRAME_HEADER_BYTES, packet.size - FRAME_HEADER_BYTES}, env);
  if (wrong || env->kind != KIND_REQUEST)
    return wrong;
  if (env->id <= c->lastSeen)
    return "the ids of requests must rise";
  c->lastSeen = env->id;
  return NULL;
}

static bool writeAll(int out, const uint8_t *at, size_t size) {
  while (size > 0) {
    ssize_t n = write(out, at, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

// gather writes a payload from where it is.
static bool gather(const Channel *c, const FrameHead *head, Bytes payload) {
  struct iovec rest[2] = {
    {(void *)head->bytes, head->used},
    {(void *)payload.at, payload.size},
  };
  int at = 0, count = 2;
  while (at < count) {
    ssize_t n = writev(c->out, rest + at, count - at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    for (; at < count && (size_t)n >= rest[at].iov_len; at++)
      n -= (ssize_t)rest[at].iov_len;
    if (at < count) {
      rest[at].iov_base = (uint8_t *)rest[at].iov_base + n;
      rest[at].iov_len -= (size_t)n;
    }
  }
  return true;
}

bool channelSend(Channel *c, const FrameHead *head, Bytes payload) {
  uint8_t small[4096];
  if (head->used + payload.size > sizeof small)
    return gather(c, head, payload);
  memcpy(small, head->bytes, head->used);
  if (payload.size > 0)
    memcpy(small + head->used, payload.at, payload.size);
  return writeAll(c->out, small, head->used + payload.size);
}
