#define _GNU_SOURCE
#include "zygote.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// The descriptors that come with a request, in this order.
static const int targets[] = {FD_STDOUT, FD_STDERR, FD_COMMANDS, FD_REPLIES, FD_HEAP_OUT};
enum {
  DESCRIPTORS = sizeof targets / sizeof targets[0],
  MOST_DESCRIPTORS = 2 * DESCRIPTORS, // of a packet; of one with more none is used
  REQUEST_BYTES = 4096,
};

// Request is one packet of the socket: a frame, and descriptors.
typedef struct {
  uint8_t bytes[REQUEST_BYTES];
  int descriptors[MOST_DESCRIPTORS];
  int count;
  bool fits; // it has just the descriptors that a request must have
  Envelope env;
} Request;

static void closeAll(const int *descriptors, int count) {
  for (int i = 0; i < count; i++)
    close(descriptors[i]);
}

static void takeDescriptors(struct msghdr *message, Request *request) {
  request->count = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count && request->count < MOST_DESCRIPTORS; i++)
      memcpy(&request->descriptors[request->count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
  }
  request->fits = request->count == DESCRIPTORS && !(message->msg_flags & MSG_CTRUNC);
}

// receive waits for a request; false is the end of the socket.
static bool receive(Worker *worker, Request *request) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * MOST_DESCRIPTORS)];
  } control;
  struct iovec into = {request->bytes, sizeof request->bytes};
  struct msghdr message = {
    .msg_iov = &into, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control,
  };
  ssize_t n;
  do
    n = recvmsg(FD_COMMANDS, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    lastWords(worker, EXIT_IO_ERROR, "cannot read from vatworkerd");
  takeDescriptors(&message, request);
  if (n == 0)
    return false;
  const char *wrong = channelPacket(&worker->channel, (Bytes){request->bytes, (size_t)n}, &request->env);
  if (wrong || message.msg_flags & MSG_TRUNC)
    protocolBroken(worker, wrong ? wrong : "the packet is too long");
  if (request->env.kind != KIND_REQUEST)
    protocolBroken(worker, "no request is open, so only a request can come");
  return true;
}

// connectAll puts the descriptors where a worker has them; no others stay open.
// They came above all of those, which a zygote has open.
static bool connectAll(const Request *request) {
  for (int i = 0; i < DESCRIPTORS; i++)
    if (request->descriptors[i] < FD_COUNT || dup3(request->descriptors[i], targets[i], 0) < 0)
      return false;
  closeAll(request->descriptors, DESCRIPTORS);
  return true;
}

static bool enterFilter(Bytes filter) {
  if (filter.size == 0)
    return true;
  struct sock_fprog program = {(unsigned short)(filter.size / sizeof(struct sock_filter)), (struct sock_filter *)filter.at};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0;
}

// becomeWorker makes a worker of a forked process. It does not return if that
// cannot be done: vatworkerd then finds that the worker has ended.
static void becomeWorker(Worker *worker, const Request *request, pid_t parent, Bytes filter) {
  // The parent, by CLONE_PARENT, is vatworkerd; it may have died meanwhile.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent || setpgid(0, 0))
    _exit(EXIT_IO_ERROR);
  if (!connectAll(request))
    _exit(EXIT_IO_ERROR);
  channelOpen(&worker->channel, FD_COMMANDS, FD_REPLIES, 0);
  if (!enterFilter(filter))
    lastWords(worker, EXIT_IO_ERROR, "cannot enter its system call filter");
}

static void show(char *name, size_t nameBytes, Bytes text) {
  size_t size = text.size < nameBytes ? text.size : nameBytes - 1;
  memset(name, 0, nameBytes);
  memcpy(name, text.at, size);
}

static void replyForked(Worker *worker, const Envelope *env, pid_t pid) {
  FrameHead head;
  frameBegin(&head, KIND_REPLY, env->id, env->type, 1);
  frameUint(&head, "pid", (uint64_t)pid);
  serviceReply(worker, &head, (Bytes){NULL, 0});
}

// forkWorker returns true in the new worker.
static bool forkWorker(Worker *worker, const Request *request, Bytes filter, char *name, size_t nameBytes) {
  const Envelope *env = &request->env;
  uint64_t parent;
  Bytes text;
  if (bytesAre(env->type, "quit"))
    _exit(EXIT_OK);
  if (!bytesAre(env->type, "fork")) {
    serviceRefuse(worker, env, "unknown-type", "no such request is served here");
    return false;
  }
  if (!bodyUint(env->body, "parent", INT32_MAX, &parent) || !bodyText(env->body, "name", &text) || !request->fits) {
    serviceRefuse(worker, env, "bad-request", "the request or its descriptors do not fit");
    return false;
  }
  // As fork, but the new process is vatworkerd's child: it is waited for there.
  long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
  if (pid == 0) {
    becomeWorker(worker, request, (pid_t)parent, filter);
    show(name, nameBytes, text);
    return true;
  }
  if (pid < 0)
    serviceRefuse(worker, env, "io", strerror(errno));
  else
    replyForked(worker, env, (pid_t)pid);
  return false;
}

void zygoteRun(Worker *worker, const Hello *hello, char *name, size_t nameBytes) {
  static Request request; // not on the stack: a worker begins as deep as any other
  Bytes filter = {NULL, 0};
  if (hello->filter.size > 0) {
    uint8_t *kept = malloc(hello->filter.size);
    if (!kept)
      lastWords(worker, EXIT_HOST_MEMORY, "the host gave no memory for the filter");
    memcpy(kept, hello->filter.at, hello->filter.size);
    filter = (Bytes){kept, hello->filter.size};
  }
  dup3(FD_NULL, FD_HEAP_IN, 0); // the heap is loaded
  serviceReady(worker, hello);
  while (receive(worker, &request)) {
    if (forkWorker(worker, &request, filter, name, nameBytes))
      return;
    closeAll(request.descriptors, request.count);
  }
  _exit(EXIT_OK);
}
