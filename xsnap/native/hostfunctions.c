#include "hostfunctions.h"

#include "jobs.h"
#include "meter.h"
#include "worker.h"

#include <xs.h>

extern void fx_harden(xsMachine *the);
extern void modInstallBase64(xsMachine *the);
extern void modInstallTextDecoder(xsMachine *the);
extern void modInstallTextEncoder(xsMachine *the);
extern void xs_base64_decode(xsMachine *the);
extern void xs_base64_encode(xsMachine *the);
extern void xs_textdecoder(xsMachine *the);
extern void xs_textdecoder_decode(xsMachine *the);
extern void xs_textdecoder_get_encoding(xsMachine *the);
extern void xs_textdecoder_get_fatal(xsMachine *the);
extern void xs_textdecoder_get_ignoreBOM(xsMachine *the);
extern void xs_textencoder(xsMachine *the);
extern void xs_textencoder_encode(xsMachine *the);
extern void xs_textencoder_encodeInto(xsMachine *the);

static Worker *workerOf(xsMachine *the) { return xsGetContext(the); }

// ask sends a vat's upcall and waits for its answer, which lives until the next
// frame is received.
static Bytes ask(Worker *worker, Bytes command) {
  Channel *channel = &worker->channel;
  FrameHead head;
  uint64_t id = ++channel->lastSent;
  frameBegin(&head, KIND_REQUEST, id, bytesOf("issueCommand"), 1);
  frameBinary(&head, "command", command.size);
  frameEnd(&head, command.size);
  if (!channelSend(channel, &head, command))
    lastWords(worker, EXIT_IO_ERROR, "cannot write to vatworkerd");
  Envelope env;
  const char *wrong = NULL;
  Received got = channelReceive(channel, &env, &wrong);
  if (got == RECEIVED_WRONG)
    protocolBroken(worker, wrong);
  if (got != RECEIVED)
    lastWords(worker, EXIT_IO_ERROR, "vatworkerd is gone");
  if (env.kind != KIND_REPLY || env.id != id || !bytesAre(env.type, "issueCommand"))
    protocolBroken(worker, "this is no reply to issueCommand");
  Bytes answer;
  if (!bodyBinary(env.body, "result", &answer))
    protocolBroken(worker, "the reply to issueCommand needs a binary result");
  return answer;
}

static void issueCommand(xsMachine *the) {
  if (xsToInteger(xsArgc) < 1)
    xsTypeError("expected ArrayBuffer");
  size_t size = (size_t)xsGetArrayBufferLength(xsArg(0));
  Bytes command = {xsToArrayBuffer(xsArg(0)), size};
  Bytes answer = ask(workerOf(the), command);
  xsResult = xsArrayBuffer((void *)answer.at, (xsIntegerValue)answer.size);
}

static void print(xsMachine *the) {
  xsIntegerValue count = xsToInteger(xsArgc);
  for (xsIntegerValue i = 0; i < count; i++) {
    if (i > 0)
      fputc(' ', stdout);
    fputs(xsToString(xsArg(i)), stdout);
  }
  fputc('\n', stdout);
  fflush(stdout);
}

static void setImmediate(xsMachine *the) { jobAdd(the); }

static void gc(xsMachine *the) { xsCollectGarbage(); }

static void performanceNow(xsMachine *the) {
  c_timeval now;
  c_gettimeofday(&now, NULL);
  xsResult = xsNumber((double)now.tv_sec * 1000.0 + (double)now.tv_usec / 1000.0);
}

static void currentMeterLimit(xsMachine *the) { xsResult = xsInteger((xsIntegerValue)workerOf(the)->meterNow); }

static void resetMeter(xsMachine *the) {
  if (xsToInteger(xsArgc) < 2)
    xsTypeError("expected newMeterLimit, newMeterIndex");
  xsResult = xsInteger((xsIntegerValue)meterRead(the));
  workerOf(the)->meterNow = (uint32_t)xsToInteger(xsArg(0));
  meterWrite(the, (uint32_t)xsToInteger(xsArg(1)));
}

void *hostFunctions(void) {
  static xsCallback table[HOST_FUNCTIONS] = {
    issueCommand, print, setImmediate, gc, performanceNow, currentMeterLimit, resetMeter,
    xs_textdecoder, xs_textdecoder_decode, xs_textdecoder_get_encoding,
    xs_textdecoder_get_ignoreBOM, xs_textdecoder_get_fatal,
    xs_textencoder, xs_textencoder_encode, xs_textencoder_encodeInto,
    xs_base64_encode, xs_base64_decode,
    fx_harden,
  };
  return table;
}

static void define(xsMachine *the, const char *name, xsCallback callback, xsIntegerValue length) {
  xsResult = xsNewHostFunction(callback, length);
  xsDefine(xsGlobal, xsID((xsStringValue)name), xsResult, xsDontEnum);
}

// The order, and with it the order in which keys come into being, is the stock
// worker's.
void hostFunctionsInstall(void *machine) {
  xsBeginHost((xsMachine *)machine);
  xsVars(1);
  define(the, "setImmediate", setImmediate, 1);
  define(the, "gc", gc, 1);
  define(the, "print", print, 1);
  define(the, "issueCommand", issueCommand, 1);
  xsResult = xsNewObject();
  xsVar(0) = xsNewHostFunction(performanceNow, 0);
  xsDefine(xsResult, xsID("now"), xsVar(0), xsDontEnum);
  xsDefine(xsGlobal, xsID("performance"), xsResult, xsDontEnum);
  define(the, "currentMeterLimit", currentMeterLimit, 1);
  define(the, "resetMeter", resetMeter, 1);
  modInstallTextDecoder(the);
  modInstallTextEncoder(the);
  modInstallBase64(the);
  define(the, "harden", fx_harden, 1);
  xsEndHost((xsMachine *)machine);
}
