// A worker's end of a pair of pipes: frames in and out, one at a time, with
// blocking reads and writes.
#ifndef CHANNEL_H
#define CHANNEL_H

#include "frame.h"

typedef struct {
  int in, out;
  size_t limit;      // bytes of a frame that is accepted
  uint64_t lastSeen; // id of the peer's last request
  uint64_t lastSent; // id of this end's last request
  uint8_t *buffer;   // buffer[start..end) was read and belongs to no frame yet
  size_t capacity, start, end;
} Channel;

typedef enum {
  RECEIVED,       // a frame, whole and sound
  RECEIVED_END,   // the peer closed the pipe between two frames
  RECEIVED_WRONG, // what came is no frame of this protocol
  RECEIVED_ERROR, // the read failed; errno says how
} Received;

void channelOpen(Channel *channel, int in, int out, size_t limit);

// channelReceive waits for a frame; what env points to lives until the next
// call. For RECEIVED_WRONG, *wrong says what is wrong.
Received channelReceive(Channel *channel, Envelope *env, const char **wrong);

// channelPacket takes a frame that came whole by another way, as channelReceive
// does. It returns NULL, or what is wrong with it.
const char *channelPacket(Channel *channel, Bytes packet, Envelope *env);

// channelSend writes a frame that frameEnd has ended, with one system call
// where the pipe takes it. It returns false if the write failed.
bool channelSend(Channel *channel, const FrameHead *head, Bytes payload);

#endif
