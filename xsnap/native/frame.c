#include "frame.h"

#include <string.h>

// Scanner walks over msgpack bytes.
// Format: https://github.com/msgpack/msgpack/blob/master/spec.md
typedef struct {
  const uint8_t *at;
  const uint8_t *end;
  unsigned values;
} Scanner;

// Shape is what the first bytes of a value say about the rest.
typedef enum { SHAPE_PLAIN, SHAPE_TEXT, SHAPE_BINARY, SHAPE_ARRAY, SHAPE_MAP } ShapeKind;
typedef struct {
  ShapeKind kind;
  uint8_t code;
  size_t count; // bytes of payload, elements or pairs that follow
} Shape;

static size_t left(const Scanner *s) { return (size_t)(s->end - s->at); }

static bool bigEndian(Scanner *s, size_t width, uint64_t *value) {
  if (left(s) < width)
    return false;
  uint64_t n = 0;
  for (size_t i = 0; i < width; i++)
    n = n << 8 | *s->at++;
  *value = n;
  return true;
}

static bool counted(Scanner *s, Shape *shape, ShapeKind kind, size_t width) {
  uint64_t n;
  shape->kind = kind;
  if (!bigEndian(s, width, &n))
    return false;
  shape->count = n;
  return true;
}

static bool plain(Shape *shape, size_t payload) {
  shape->kind = SHAPE_PLAIN;
  shape->count = payload;
  return true;
}

static bool shaped(Shape *shape, ShapeKind kind, size_t count) {
  shape->kind = kind;
  shape->count = count;
  return true;
}

// shapeOf reads what follows a value's first byte up to its payload.
static bool shapeOf(Scanner *s, uint8_t code, Shape *shape) {
  shape->code = code;
  if (code <= 0x7f || code >= 0xe0)
    return plain(shape, 0);
  if (code <= 0x8f)
    return shaped(shape, SHAPE_MAP, code & 0x0f);
  if (code <= 0x9f)
    return shaped(shape, SHAPE_ARRAY, code & 0x0f);
  if (code <= 0xbf)
    return shaped(shape, SHAPE_TEXT, code & 0x1f);
  switch (code) {
  case 0xc0: case 0xc2: case 0xc3: // nil, false, true
    return plain(shape, 0);
  case 0xc4: case 0xc5: case 0xc6:
    return counted(s, shape, SHAPE_BINARY, (size_t)1 << (code - 0xc4));
  case 0xca: case 0xcb: // floats
    return plain(shape, (size_t)4 << (code - 0xca));
  case 0xcc: case 0xcd: case 0xce: case 0xcf: // unsigned
    return plain(shape, (size_t)1 << (code - 0xcc));
  case 0xd0: case 0xd1: case 0xd2: case 0xd3: // signed
    return plain(shape, (size_t)1 << (code - 0xd0));
  case 0xd9: case 0xda: case 0xdb:
    return counted(s, shape, SHAPE_TEXT, (size_t)1 << (code - 0xd9));
  case 0xdc: case 0xdd:
    return counted(s, shape, SHAPE_ARRAY, (size_t)2 << (code - 0xdc));
  case 0xde: case 0xdf:
    return counted(s, shape, SHAPE_MAP, (size_t)2 << (code - 0xde));
  }
  return false; // 0xc1 and the extension types
}

// head reads a value's first bytes and checks that what they promise can be there.
static const char *head(Scanner *s, Shape *shape) {
  if (s->at == s->end)
    return "the frame ends where a value should begin";
  if (++s->values > FRAME_MAX_VALUES)
    return "too many values in one frame";
  if (!shapeOf(s, *s->at++, shape))
    return "a byte begins no value of this protocol, or the frame ends in it";
  size_t least = shape->kind == SHAPE_MAP ? 2 : 1; // bytes that each of count takes
  if (shape->count > left(s) / least)
    return "a value claims more than the frame holds";
  if ((shape->kind == SHAPE_ARRAY || shape->kind == SHAPE_MAP) && shape->count > FRAME_MAX_ELEMENTS)
    return "a value has too many elements";
  return NULL;
}

static bool hasElements(const Shape *shape) { return shape->kind == SHAPE_ARRAY || shape->kind == SHAPE_MAP; }

// key moves over a map's key.
static const char *key(Scanner *s, Bytes *name) {
  Shape shape;
  const char *wrong = head(s, &shape);
  if (wrong)
    return wrong;
  if (shape.kind != SHAPE_TEXT)
    return "a map key is no string";
  *name = (Bytes){s->at, shape.count};
  s->at += shape.count;
  return NULL;
}

// skip moves over one value with everything in it.
static const char *skip(Scanner *s, unsigned depth) {
  Shape shape;
  Bytes name;
  const char *wrong = head(s, &shape);
  if (wrong)
    return wrong;
  if (!hasElements(&shape)) {
    s->at += shape.count;
    return NULL;
  }
  if (shape.count > 0 && depth >= FRAME_MAX_NESTING)
    return "values are nested too deep";
  for (size_t i = 0; i < shape.count; i++) {
    if (shape.kind == SHAPE_MAP && (wrong = key(s, &name)))
      return wrong;
    if ((wrong = skip(s, depth + 1)))
      return wrong;
  }
  return NULL;
}

// integer reads an unsigned integer of any width.
static bool integer(Scanner *s, uint64_t *value) {
  uint8_t code = *s->at++;
  if (code <= 0x7f) {
    *value = code;
    return true;
  }
  return code >= 0xcc && code <= 0xcf && bigEndian(s, (size_t)1 << (code - 0xcc), value);
}

static const char *checkKind(const Envelope *env) {
  if (env->kind == KIND_EVENT && env->id != 0)
    return "an event must have id 0";
  if ((env->kind == KIND_REQUEST || env->kind == KIND_REPLY) && env->id == 0)
    return "a request or reply needs an id from 1 on";
  if (env->kind != KIND_ERROR && env->type.size == 0)
    return "a frame needs a type";
  return NULL;
}

const char *frameDecode(Bytes frame, Envelope *env) {
  Scanner s = {frame.at, frame.at + frame.size, 0};
  const char *wrong = skip(&s, 0);
  if (wrong)
    return wrong;
  if (s.at != s.end)
    return "there are bytes after the end of the value";
  if (frame.at[0] != 0x94)
    return "a frame must hold an array of 4 elements [kind, id, type, body]";
  s.at = frame.at + 1;
  uint64_t kind;
  if (!integer(&s, &kind) || kind < KIND_REQUEST || kind > KIND_EVENT)
    return "element 0 of a frame must be a kind from 1 to 4";
  if (!integer(&s, &env->id))
    return "element 1 of a frame must be an id, an unsigned integer";
  if (key(&s, &env->type) || env->type.size > FRAME_MAX_TYPE_BYTES)
    return "element 2 of a frame must be a message type, a string of at most 64 bytes";
  env->kind = (FrameKind)kind;
  env->body = (Bytes){s.at, left(&s)};
  return checkKind(env);
}

bool bytesAre(Bytes bytes, const char *text) {
  return bytes.size == strlen(text) && memcmp(bytes.at, text, bytes.size) == 0;
}

Bytes bytesOf(const char *text) { return (Bytes){(const uint8_t *)text, strlen(text)}; }

bool bodyIsMap(Bytes body) {
  Scanner s = {body.at, body.at + body.size, 0};
  Shape shape;
  return !head(&s, &shape) && (shape.kind == SHAPE_MAP || shape.code == 0xc0);
}

// find leaves s at the value of the last field of that name, or returns false.
static bool find(Bytes body, const char *name, Scanner *s) {
  Scanner walk = {body.at, body.at + body.size, 0};
  Shape map;
  bool found = false;
  if (head(&walk, &map) || map.kind != SHAPE_MAP)
    return false;
  for (size_t i = 0; i < map.count; i++) {
    Bytes field;
    if (key(&walk, &field))
      return false;
    if (bytesAre(field, name)) {
      *s = walk;
      found = true;
    }
    if (skip(&walk, 1))
      return false;
  }
  return found && *s->at != 0xc0;
}

bool bodyUint(Bytes body, const char *name, uint64_t most, uint64_t *value) {
  Scanner s;
  *value = 0;
  return bodyIsMap(body) && (!find(body, name, &s) || (integer(&s, value) && *value <= most));
}

bool bodyBool(Bytes body, const char *name, bool *value) {
  Scanner s;
  *value = false;
  if (!bodyIsMap(body))
    return false;
  if (!find(body, name, &s))
    return true;
  *value = *s.at == 0xc3;
  return *s.at == 0xc2 || *s.at == 0xc3;
}

static bool payloadOf(Bytes body, const char *name, ShapeKind kind, Bytes *value) {
  Scanner s;
  Shape shape;
  *value = (Bytes){body.at, 0};
  if (!bodyIsMap(body))
    return false;
  if (!find(body, name, &s))
    return true;
  if (head(&s, &shape) || shape.kind != kind)
    return false;
  *value = (Bytes){s.at, shape.count};
  return true;
}

bool bodyBinary(Bytes body, const char *name, Bytes *value) { return payloadOf(body, name, SHAPE_BINARY, value); }
bool bodyText(Bytes body, const char *name, Bytes *value) { return payloadOf(body, name, SHAPE_TEXT, value); }
