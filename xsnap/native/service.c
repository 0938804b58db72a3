#include "service.h"

#include "crank.h"
#include "heap.h"
#include "version.h"

#include <stdio.h>
#include <unistd.h>

enum { MAX_FRAME_BYTES = 1000 << 20 };

static const Bytes nothing = {NULL, 0};

_Noreturn void lastWords(Worker *worker, int code, const char *reason) {
  FrameHead head;
  fflush(NULL);
  frameBegin(&head, KIND_EVENT, 0, bytesOf("exit"), 2);
  frameUint(&head, "code", (uint64_t)code);
  frameShortText(&head, "reason", reason);
  frameEnd(&head, 0);
  channelSend(&worker->channel, &head, nothing); // nobody is left to tell of a failure
  _exit(code);
}

_Noreturn void protocolBroken(Worker *worker, const char *wrong) {
  FrameHead head;
  fflush(NULL);
  frameBegin(&head, KIND_ERROR, 0, nothing, 2);
  frameShortText(&head, "code", "bad-request");
  frameShortText(&head, "message", wrong);
  frameEnd(&head, 0);
  channelSend(&worker->channel, &head, nothing);
  _exit(EXIT_IO_ERROR);
}

bool serviceReceive(Worker *worker, Envelope *env) {
  const char *wrong = NULL;
  switch (channelReceive(&worker->channel, env, &wrong)) {
  case RECEIVED:
    break;
  case RECEIVED_END:
    return false;
  case RECEIVED_WRONG:
    protocolBroken(worker, wrong);
  case RECEIVED_ERROR:
    lastWords(worker, EXIT_IO_ERROR, "cannot read from vatworkerd");
  }
  if (env->kind != KIND_REQUEST)
    protocolBroken(worker, "no request is open, so only a request can come");
  return true;
}

void serviceReply(Worker *worker, FrameHead *head, Bytes payload) {
  frameEnd(head, payload.size);
  if (!channelSend(&worker->channel, head, payload))
    lastWords(worker, EXIT_IO_ERROR, "cannot write to vatworkerd");
}

void serviceRefuse(Worker *worker, const Envelope *env, const char *code, const char *message) {
  FrameHead head;
  frameBegin(&head, KIND_ERROR, env->id, env->type, 2);
  frameShortText(&head, "code", code);
  frameShortText(&head, "message", message);
  serviceReply(worker, &head, nothing);
}

static void replyEmpty(Worker *worker, const Envelope *env) {
  FrameHead head;
  frameBegin(&head, KIND_REPLY, env->id, env->type, 0);
  serviceReply(worker, &head, nothing);
}

static bool helloFields(Bytes body, Hello *hello) {
  uint64_t limit;
  if (!bodyUint(body, "meterLimit", INT32_MAX, &limit) || !bodyBool(body, "heap", &hello->heap) ||
      !bodyBool(body, "area", &hello->area) || !bodyBool(body, "zygote", &hello->zygote) ||
      !bodyBinary(body, "filter", &hello->filter))
    return false;
  hello->meterLimit = (uint32_t)limit;
  return true;
}

bool serviceHello(Worker *worker, Hello *hello) {
  Envelope env;
  uint64_t version;
  channelOpen(&worker->channel, FD_COMMANDS, FD_REPLIES, MAX_FRAME_BYTES);
  for (;;) {
    if (!serviceReceive(worker, &env))
      return false;
    hello->id = env.id;
    if (!bytesAre(env.type, "hello"))
      serviceRefuse(worker, &env, "refused", "the first request must be hello");
    else if (!bodyUint(env.body, "version", UINT32_MAX, &version) || !helloFields(env.body, hello))
      serviceRefuse(worker, &env, "bad-request", "the hello's body does not fit");
    else if (version != PROTOCOL_VERSION)
      serviceRefuse(worker, &env, "version", "this worker speaks version 1 of the pipe protocol");
    else
      return true;
  }
}

void serviceReady(Worker *worker, const Hello *hello) {
  FrameHead head;
  frameBegin(&head, KIND_REPLY, hello->id, bytesOf("hello"), 3);
  frameUint(&head, "version", PROTOCOL_VERSION);
  frameUint(&head, "maxFrameBytes", MAX_FRAME_BYTES);
  frameShortText(&head, "engine", workerVersion());
  serviceReply(worker, &head, nothing);
}

static Bytes keptText(const Worker *worker) { return (Bytes){worker->result, worker->resultBytes}; }

static void replyOutcome(Worker *worker, const Envelope *env, uint64_t id, const Outcome *outcome) {
  FrameHead head;
  if (outcome->threw) {
    frameBegin(&head, KIND_ERROR, id, env->type, 2);
    frameShortText(&head, "code", "uncaught");
    frameText(&head, "message", worker->resultBytes);
  } else {
    frameBegin(&head, KIND_REPLY, id, env->type, 4);
    frameUint(&head, "compute", outcome->compute);
    frameUint(&head, "allocate", outcome->allocate);
    frameUint(&head, "heapCount", outcome->heapCount);
    frameBinary(&head, "result", worker->resultBytes);
  }
  serviceReply(worker, &head, keptText(worker));
}

static void run(Worker *worker, const Envelope *env, RunKind kind, const char *type, const char *field) {
  Bytes content;
  if (!bodyBinary(env->body, field, &content)) {
    serviceRefuse(worker, env, "bad-request", "the body needs a binary");
    return;
  }
  // The frame is overwritten by the answers to the vat's upcalls.
  Envelope again = {env->kind, env->id, bytesOf(type), nothing};
  Outcome outcome = crankRun(worker, kind, content);
  replyOutcome(worker, &again, again.id, &outcome);
}

static void snapshot(Worker *worker, const Envelope *env) {
  FrameHead head;
  uint64_t bytes = heapSave(worker);
  frameBegin(&head, KIND_REPLY, env->id, env->type, 1);
  frameUint(&head, "bytes", bytes);
  serviceReply(worker, &head, nothing);
}

void serviceRun(Worker *worker) {
  Envelope env;
  crankBegin(worker);
  while (serviceReceive(worker, &env)) {
    if (bytesAre(env.type, "deliver"))
      run(worker, &env, RUN_COMMAND, "deliver", "command");
    else if (bytesAre(env.type, "evaluate"))
      run(worker, &env, RUN_CODE, "evaluate", "code");
    else if (bytesAre(env.type, "snapshot"))
      snapshot(worker, &env);
    else if (bytesAre(env.type, "ready"))
      replyEmpty(worker, &env);
    else if (bytesAre(env.type, "quit")) {
      replyEmpty(worker, &env);
      return;
    } else
      serviceRefuse(worker, &env, "unknown-type", "no such request is served here");
  }
}
