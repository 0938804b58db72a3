#include "frame.h"

#include <string.h>

static void put(FrameHead *f, const void *bytes, size_t size) {
  if (size > 0) // an error may have no type
    memcpy(f->bytes + f->used, bytes, size);
  f->used += size;
}

static void putByte(FrameHead *f, unsigned byte) { f->bytes[f->used++] = (uint8_t)byte; }

static void putBigEndian(FrameHead *f, uint64_t value, unsigned width) {
  for (unsigned shift = 8 * width; shift > 0; shift -= 8)
    putByte(f, (unsigned)(value >> (shift - 8)) & 0xff);
}

// putSized begins a string or binary of so many bytes; code is that of its
// form with a length of one byte.
static void putSized(FrameHead *f, unsigned code, size_t size) {
  unsigned width = size <= UINT8_MAX ? 0 : size <= UINT16_MAX ? 1 : 2;
  putByte(f, code + width);
  putBigEndian(f, size, 1U << width);
}

static void putInteger(FrameHead *f, uint64_t value) {
  if (value <= 0x7f) {
    putByte(f, (unsigned)value);
    return;
  }
  unsigned width = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;
  putByte(f, 0xcc + width);
  putBigEndian(f, value, 1U << width);
}

// putName is for texts of less than 32 bytes, or a type.
static void putName(FrameHead *f, Bytes name) {
  if (name.size < 32)
    putByte(f, 0xa0 | (unsigned)name.size);
  else
    putSized(f, 0xd9, name.size);
  put(f, name.at, name.size);
}

void frameBegin(FrameHead *f, FrameKind kind, uint64_t id, Bytes type, unsigned pairs) {
  f->used = FRAME_HEADER_BYTES;
  putByte(f, 0x94);
  putByte(f, kind);
  putInteger(f, id);
  putName(f, type);
  putByte(f, 0x80 | pairs);
}

void frameUint(FrameHead *f, const char *name, uint64_t value) {
  putName(f, bytesOf(name));
  putInteger(f, value);
}

void frameShortText(FrameHead *f, const char *name, const char *value) {
  enum { MOST = 100 };
  size_t size = strnlen(value, MOST);
  putName(f, bytesOf(name));
  putSized(f, 0xd9, size);
  put(f, value, size);
}

void frameText(FrameHead *f, const char *name, size_t payloadBytes) {
  putName(f, bytesOf(name));
  putSized(f, 0xd9, payloadBytes);
}

void frameBinary(FrameHead *f, const char *name, size_t payloadBytes) {
  putName(f, bytesOf(name));
  putSized(f, 0xc4, payloadBytes);
}

size_t frameEnd(FrameHead *f, size_t payloadBytes) {
  size_t size = f->used - FRAME_HEADER_BYTES + payloadBytes;
  size_t used = f->used;
  f->used = 0;
  putBigEndian(f, size, FRAME_HEADER_BYTES);
  f->used = used;
  return size;
}
