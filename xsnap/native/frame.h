// Frames of the pipe protocol (docs/protocol.md): msgpack arrays
// [kind, id, type, body] behind a length. Nothing here knows of pipes or of XS.
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  FRAME_HEADER_BYTES = 4,
  FRAME_MAX_NESTING = 16,
  FRAME_MAX_ELEMENTS = 1 << 18,
  FRAME_MAX_VALUES = 1 << 22,
  FRAME_MAX_TYPE_BYTES = 64,
};

typedef enum { KIND_REQUEST = 1, KIND_REPLY, KIND_ERROR, KIND_EVENT } FrameKind;

// Bytes are somebody else's: they live as long as the frame they lie in.
typedef struct {
  const uint8_t *at;
  size_t size;
} Bytes;

typedef struct {
  FrameKind kind;
  uint64_t id;
  Bytes type;
  Bytes body;
} Envelope;

// frameDecode takes a frame's body (what follows the length) apart and checks
// all of it: what is read from env.body later is well-formed and within bounds.
// It returns NULL, or what is wrong with it.
const char *frameDecode(Bytes frame, Envelope *env);

// Fields of a body. A field that is missing or nil reads as 0, false or empty;
// of two with one name the last counts. They return false for a body that is no
// map, or a field of another type or beyond its range.
bool bodyIsMap(Bytes body);
bool bodyUint(Bytes body, const char *name, uint64_t most, uint64_t *value);
bool bodyBool(Bytes body, const char *name, bool *value);
bool bodyBinary(Bytes body, const char *name, Bytes *value);
bool bodyText(Bytes body, const char *name, Bytes *value);

bool bytesAre(Bytes bytes, const char *text);
Bytes bytesOf(const char *text);

// FrameHead is an outgoing frame up to its payload: the last value's bytes,
// which follow it on the pipe and are not copied.
typedef struct {
  size_t used;
  uint8_t bytes[512];
} FrameHead;

// frameBegin starts a frame whose body is a map of so many pairs. Names and
// types are this program's own and short; all of a head's texts together fit it.
void frameBegin(FrameHead *head, FrameKind kind, uint64_t id, Bytes type, unsigned pairs);
void frameUint(FrameHead *head, const char *name, uint64_t value);
void frameShortText(FrameHead *head, const char *name, const char *value); // at most 100 bytes of it
// frameText and frameBinary come last: payloadBytes of payload follow the head.
void frameText(FrameHead *head, const char *name, size_t payloadBytes);
void frameBinary(FrameHead *head, const char *name, size_t payloadBytes);
// frameEnd writes the length. It returns the bytes after it, payload included.
size_t frameEnd(FrameHead *head, size_t payloadBytes);

#endif
