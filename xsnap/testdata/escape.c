// A worker that tries to escape: its name says how. It prints "done" if it
// could, else the error, and ends with 0; only a signal tells of more.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;
static char arg[4096];

static long open_arg(int flags) { return syscall(SYS_openat, AT_FDCWD, arg, flags, 0600); }
static long parent_file(const char *name, int flags) {
  // getppid is refused too, so the test tells the pid.
  char path[8192];
  snprintf(path, sizeof path, "/proc/%s/%s", arg, name);
  long fd = syscall(SYS_openat, AT_FDCWD, path, flags);
  char byte;
  return fd < 0 ? fd : read(fd, &byte, 1);
}

static long do_read(void) { return open_arg(O_RDONLY); }
static long do_write(void) { return open_arg(O_WRONLY); }
static long do_create(void) { return open_arg(O_CREAT | O_WRONLY); }
static long do_path(void) { return open_arg(O_PATH); }
static long do_list(void) { return open_arg(O_RDONLY | O_DIRECTORY); }
static long do_environ(void) { return parent_file("environ", O_RDONLY); }
static long do_cmdline(void) { return parent_file("cmdline", O_RDONLY); }
static long do_maps(void) { return parent_file("maps", O_RDONLY); }
static long do_mem(void) { return parent_file("mem", O_RDONLY); }
static long do_own_maps(void) { return syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY); }
static long do_own_environ(void) { return syscall(SYS_openat, AT_FDCWD, "/proc/self/environ", O_RDONLY); }
static long do_again(void) { return syscall(SYS_openat, AT_FDCWD, "/proc/self/fd/8", O_RDONLY); }
static long do_unlink(void) { return unlink(arg); }
static long do_mkdir(void) { return mkdir(arg, 0700); }
static long do_rename(void) { char to[8192]; snprintf(to, sizeof to, "%s.moved", arg); return rename(arg, to); }
static long do_chmod(void) { return chmod(arg, 0777); }
static long do_truncate(void) { return truncate(arg, 0); }
static long do_access(void) { return access(arg, F_OK); }

static long do_socket(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static long do_udp(void) { return socket(AF_INET, SOCK_DGRAM, 0); }
static long do_unix(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static long do_netlink(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }
static long do_socketpair(void) { int p[2]; return socketpair(AF_UNIX, SOCK_STREAM, 0, p); }
static long do_connect(void) { struct sockaddr_in a = {.sin_family = AF_INET}; long r = connect(9, (void *)&a, sizeof a); return r < 0 && errno == EBADF ? 0 : r; }
static long do_uring(void) { char params[120] = {0}; return syscall(SYS_io_uring_setup, 1, params); }

static long reap(long pid) { if (pid == 0) _exit(0); return pid < 0 ? pid : waitpid(pid, NULL, 0); }
static long do_fork(void) { return reap(syscall(SYS_fork)); }
static long do_vfork(void) { return reap(vfork()); }
static long do_clone(void) { return reap(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }
static long do_sibling(void) { return reap(syscall(SYS_clone, 0x8000 | SIGCHLD, 0, 0, 0, 0)); } // CLONE_PARENT
static long do_clone3(void) { uint64_t a[8] = {0}; a[4] = SIGCHLD; return reap(syscall(SYS_clone3, a, sizeof a)); }
static void *nothing(void *p) { return p; }
static long do_thread(void) { pthread_t t; errno = pthread_create(&t, NULL, nothing, NULL); if (errno) return -1; return pthread_join(t, NULL); }
static long do_execve(void) { char *argv[] = {arg, NULL}; return syscall(SYS_execve, arg, argv, environ); }
static long do_execveat(void) { char *argv[] = {arg, NULL}; return syscall(SYS_execveat, AT_FDCWD, arg, argv, environ, 0); }

// The gate: execve is admitted with a path at an address the test tells.
static char *gate(void) { return (char *)strtoul(arg, NULL, 0); }
static long do_gate(void) { char *argv[] = {arg, NULL}; return syscall(SYS_execve, gate(), argv, environ); }
static long map_at(char *at, size_t n, int flags) { return (long)mmap(at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0); }
static long do_gate_map(void) { return map_at(gate(), 4096, MAP_FIXED); }
static long do_gate_hint(void) { return map_at(gate(), 4096, 0); }
static long do_gate_below(void) { return map_at(gate() - 4096, 8192, MAP_FIXED); }
static long do_gate_zero(void) { long r = map_at(0, 16 << 20, MAP_FIXED); return r == 0 ? 0 : r; }
static long do_gate_32bit(void) { return map_at(0, 4096, MAP_32BIT); }
static long do_gate_grow(void) { return map_at(gate() + 8192, 4096, MAP_FIXED | MAP_GROWSDOWN); }
static long do_gate_move(void) {
  char *from = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return (long)mremap(from, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, gate());
}
static long do_gate_brk(void) { return syscall(SYS_brk, gate() + 4096) == (long)(gate() + 4096) ? 0 : (errno = EPERM, -1); }
static long do_gate_fill(void) {
  // Fills the address space from above until the gate's page is the only room.
  size_t n = (size_t)1 << 46;
  while (n >= 4096)
    if (mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED) n /= 2;
  return do_gate();
}

static long do_ptrace(void) { return ptrace(PTRACE_SEIZE, atoi(arg), NULL, NULL); }
static long do_vm_read(void) { char b; struct iovec l = {&b, 1}, r = {&arg, 1}; return process_vm_readv(atoi(arg), &l, 1, &r, 1, 0); }
static long do_kill(void) { return kill(atoi(arg), 0); }
static long do_pidfd(void) { return syscall(SYS_pidfd_open, atoi(arg), 0); }
static long do_parent_limits(void) { struct rlimit r; return prlimit(atoi(arg), RLIMIT_NOFILE, NULL, &r); }
static long do_raise_limit(void) { struct rlimit r = {100, 100}; return setrlimit(RLIMIT_NOFILE, &r); }
static long do_setuid(void) { return syscall(SYS_setuid, atoi(arg)); }
static long do_setresgid(void) { return syscall(SYS_setresgid, -1, -1, -1); }
static long do_capset(void) { return syscall(SYS_capset, NULL, NULL) < 0 && errno == EFAULT ? 0 : -1; }
static long do_unshare(void) { return syscall(SYS_unshare, 0x10000000); }
static long do_mount(void) { return syscall(SYS_mount, "none", "/", "tmpfs", 0x1020, NULL) ; }
static long do_chroot(void) { return chroot("/"); }
static long do_chdir(void) { return chdir("/tmp"); }
static long do_setpgid(void) { return syscall(SYS_getsid, 0); }
static long do_bpf(void) { return syscall(SYS_bpf, 5, NULL, 0) < 0 && errno != EPERM ? 0 : -1; }
static long do_dumpable(void) { return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }
static long do_deathsig(void) { return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0); }
static long do_line_discipline(void) { int plain = 0; return ioctl(1, TIOCSETD, &plain); }
static long do_terminal_mode(void) { struct termios m; return tcgetattr(1, &m) < 0 ? -1 : ioctl(1, TCSETS, &m); }
static long do_typed(void) { return ioctl(1, TIOCSTI, "x"); }
static long do_peer(void) { return syscall(SYS_openat, AT_FDCWD, "/dev/tty", O_RDONLY); }
static long do_future(void) { return syscall(1000); }

static long do_code(void) { return (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
static long do_mprotect(void) { void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); return mprotect(p, 4096, PROT_READ | PROT_EXEC); }
static long do_memfd(void) { return syscall(SYS_memfd_create, "x", 0); }
static long do_shared(void) { return (long)mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0); }

static long do_memory(void) {
  size_t want = strtoul(arg, NULL, 0);
  char *p = malloc(want);
  if (p == NULL) return -1;
  memset(p, 1, want);
  return 0;
}
static long do_reserve(void) { return malloc(strtoul(arg, NULL, 0)) == NULL ? -1 : 0; }
static long do_descriptors(void) { for (int i = 0; i < 1000; i++) if (dup(0) < 0) return -1; return 0; }
static long do_grow_file(void) { signal(SIGXFSZ, SIG_IGN); return write(8, "x", 1); }
static long do_count(void) {
  int n = 0;
  for (int fd = 0; fd < 4096; fd++) if (fcntl(fd, F_GETFD) >= 0) n++;
  printf("%d descriptors, environment:", n);
  for (char **e = environ; *e; e++) printf(" %s", *e);
  printf("\n");
  return 0;
}
static long do_foreign(void) {
  long r;
  __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory"); // i386 getpid
  return 0;
}
static long do_x32(void) { return syscall(0x40000000 | SYS_getpid); }
static long do_abort(void) { abort(); }
static long do_hang(void) {
  for (;;) select(0, NULL, NULL, NULL, NULL);
  return 0;
}

static const struct { const char *name; long (*run)(void); } ways[] = {
#define WAY(name) {#name, do_##name}
  WAY(read), WAY(write), WAY(create), WAY(path), WAY(list), WAY(environ), WAY(cmdline), WAY(maps), WAY(mem),
  WAY(own_maps), WAY(own_environ), WAY(again), WAY(unlink), WAY(mkdir), WAY(rename), WAY(chmod), WAY(truncate), WAY(access),
  WAY(socket), WAY(udp), WAY(unix), WAY(netlink), WAY(socketpair), WAY(connect), WAY(uring),
  WAY(fork), WAY(vfork), WAY(clone), WAY(sibling), WAY(clone3), WAY(thread), WAY(execve), WAY(execveat),
  WAY(gate), WAY(gate_map), WAY(gate_hint), WAY(gate_below), WAY(gate_zero), WAY(gate_32bit), WAY(gate_grow), WAY(gate_move), WAY(gate_brk), WAY(gate_fill),
  WAY(ptrace), WAY(vm_read), WAY(kill), WAY(pidfd), WAY(parent_limits), WAY(raise_limit), WAY(setuid), WAY(setresgid), WAY(capset), WAY(unshare), WAY(mount),
  WAY(chroot), WAY(chdir), WAY(setpgid), WAY(bpf), WAY(dumpable), WAY(deathsig), WAY(future),
  WAY(line_discipline), WAY(terminal_mode), WAY(typed), WAY(peer),
  WAY(code), WAY(mprotect), WAY(memfd), WAY(shared), WAY(memory), WAY(reserve), WAY(descriptors), WAY(grow_file), WAY(count), WAY(foreign), WAY(x32), WAY(abort), WAY(hang),
};

// attempt makes the attempt that "way:argument" names; NULL if there is none.
static const char *attempt(const char *text) {
  const char *colon = strchr(text, ':');
  if (colon == NULL) return NULL;
  snprintf(arg, sizeof arg, "%s", colon + 1);
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    if (strlen(ways[i].name) != (size_t)(colon - text) || strncmp(ways[i].name, text, colon - text) != 0) continue;
    errno = 0;
    return ways[i].run() == -1 ? strerrorname_np(errno) : "done";
  }
  return NULL;
}

#ifndef PART_OF_A_WORKER
int main(int argc, char **argv) {
  const char *result = argc > 1 ? attempt(argv[1]) : NULL;
  if (result == NULL) return 90;
  printf("%s\n", result);
  return 0;
}
#endif
