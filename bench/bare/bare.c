/* bare.c: what the engine takes by itself, with nothing around it.
 *
 *   bare pingpong CPU COUNT           two processes pass a byte to and fro
 *   bare play CPU SCRIPT ENGINE [HEAP [SAVE]]   drive one xsnap-worker
 *
 * A script is netstrings. One that begins with # is a mark; all others are
 * written to the worker as they are, and each is answered by one netstring.
 * At each mark, and at the end, a line with two numbers is printed: the
 * nanoseconds since the last mark (or since before the worker was started), and
 * how many of them the worker was running, by the kernel's account. HEAP, unless it
 * is empty, is loaded at the start; the command w@7 writes the heap to SAVE.
 *
 * CPU is the one CPU for both processes, or -1 for any. Failures are one line on
 * stderr, exit 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("bare: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static uint64_t nanoseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;
	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set))
		fail("cannot pin to CPU %d: %s", cpu, strerror(errno));
}

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		fail("cannot make a pipe: %s", strerror(errno));
}

static void write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);
		if (n < 0)
			fail("cannot write to the worker: %s", strerror(errno));
		bytes += n;
		size -= (size_t)n;
	}
}

/* ---- pingpong ---- */

static void pingpong(int cpu, long count)
{
	int to[2], from[2];
	char byte = 'x';
	uint64_t began;
	pid_t child;

	pin(cpu);
	make_pipe(to);
	make_pipe(from);
	child = fork();
	if (child < 0)
		fail("cannot fork: %s", strerror(errno));
	if (child == 0) {
		close(to[1]);
		while (read(to[0], &byte, 1) == 1)
			write_all(from[1], &byte, 1);
		_exit(0);
	}
	close(to[0]);
	began = nanoseconds();
	for (long i = 0; i < count; i++) {
		write_all(to[1], &byte, 1);
		if (read(from[0], &byte, 1) != 1)
			fail("the other process is gone");
	}
	printf("%llu\n", (unsigned long long)(nanoseconds() - began));
	close(to[1]);
	waitpid(child, NULL, 0);
}

/* ---- play ---- */

struct worker {
	pid_t pid;
	int commands, replies;
	char buffer[1 << 16];
	size_t start, end; /* buffer[start..end) was read, not used */
};

static int open_for(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		fail("cannot open %s: %s", path, strerror(errno));
	return fd;
}

static void keep(int fd, int as)
{
	if (dup2(fd, as) < 0)
		_exit(126);
}

/* The worker's descriptors: 3 commands, 4 replies, 7 heap out, 8 heap in. All
 * of ours are moved above them first, so that none is overwritten. */
static void start(struct worker *w, const char *engine, const char *heap, const char *save)
{
	int commands[2], replies[2], null = open_for("/dev/null", O_RDWR);
	int in = heap ? open_for(heap, O_RDONLY) : null;
	int out = save ? open_for(save, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND) : null;
	char *with_heap[] = { (char *)engine, "bare", "-r", "@8", "-l", "100000000", NULL };
	char *without[] = { (char *)engine, "bare", "-l", "100000000", NULL };
	char *no_environment[] = { NULL };

	make_pipe(commands);
	make_pipe(replies);
	w->pid = vfork();
	if (w->pid < 0)
		fail("cannot fork: %s", strerror(errno));
	if (w->pid == 0) {
		int from[] = { commands[0], replies[1], out, in, null };
		for (int i = 0; i < 5; i++)
			from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 20);
		keep(from[4], 0);
		keep(from[0], 3);
		keep(from[1], 4);
		keep(from[4], 5);
		keep(from[4], 6);
		keep(from[2], 7);
		keep(from[3], 8);
		execve(engine, heap ? with_heap : without, no_environment);
		_exit(127);
	}
	close(commands[0]);
	close(replies[1]);
	w->commands = commands[1];
	w->replies = replies[0];
}

static void more(struct worker *w)
{
	ssize_t n;
	if (w->start == w->end)
		w->start = w->end = 0;
	if (w->end == sizeof w->buffer) {
		memmove(w->buffer, w->buffer + w->start, w->end - w->start);
		w->end -= w->start;
		w->start = 0;
	}
	n = read(w->replies, w->buffer + w->end, sizeof w->buffer - w->end);
	if (n <= 0)
		fail("the worker is gone");
	w->end += (size_t)n;
}

/* Reads one netstring and forgets it; gives its first byte. */
static char reply(struct worker *w)
{
	size_t size = 0;
	char first = 0;
	for (;;) {
		if (w->start == w->end)
			more(w);
		char c = w->buffer[w->start++];
		if (c == ':')
			break;
		if (c < '0' || c > '9')
			fail("the worker does not send netstrings");
		size = size * 10 + (size_t)(c - '0');
	}
	size++; /* the comma */
	for (int begun = 0; size > 0; begun = 1) {
		if (w->start == w->end)
			more(w);
		if (!begun)
			first = w->buffer[w->start];
		size_t n = w->end - w->start < size ? w->end - w->start : size;
		w->start += n;
		size -= n;
	}
	return first;
}

/* How long a sleeping process has run, in nanoseconds. */
static uint64_t cpu_time(pid_t pid)
{
	char path[64];
	unsigned long long ran = 0;
	FILE *f;
	snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llu", &ran) != 1)
		fail("cannot read %s", path);
	fclose(f);
	return ran;
}

struct frame {
	const char *bytes; /* with its length and comma */
	size_t size;
	int is_mark;
};

static struct frame *parse(const char *text, size_t size, size_t *count)
{
	struct frame *frames = NULL;
	size_t room = 0;
	*count = 0;
	for (size_t at = 0; at < size;) {
		char *colon;
		unsigned long length = strtoul(text + at, &colon, 10);
		size_t head = (size_t)(colon - (text + at)) + 1;
		if (*colon != ':' || at + head + length >= size)
			fail("the script is no sequence of netstrings");
		if (*count == room) {
			room = room ? room * 2 : 1024;
			frames = realloc(frames, room * sizeof *frames);
			if (!frames)
				fail("out of memory");
		}
		frames[*count].bytes = text + at;
		frames[*count].size = head + length + 1;
		frames[(*count)++].is_mark = text[at + head] == '#';
		at += head + length + 1;
	}
	return frames;
}

static char *read_file(const char *path, size_t *size)
{
	struct stat info;
	int fd = open_for(path, O_RDONLY);
	char *text;
	if (fstat(fd, &info))
		fail("cannot read %s: %s", path, strerror(errno));
	text = malloc((size_t)info.st_size + 1);
	if (!text)
		fail("out of memory");
	for (*size = 0; *size < (size_t)info.st_size;) {
		ssize_t n = read(fd, text + *size, (size_t)info.st_size - *size);
		if (n <= 0)
			fail("cannot read %s", path);
		*size += (size_t)n;
	}
	text[*size] = 0;
	close(fd);
	return text;
}

static void play(int cpu, const char *script, const char *engine, const char *heap, const char *save)
{
	static struct worker w;
	size_t size, count;
	char *text = read_file(script, &size);
	struct frame *frames = parse(text, size, &count);
	uint64_t began, ran = 0;

	pin(cpu);
	began = nanoseconds();
	start(&w, engine, heap, save);
	for (size_t i = 0; i < count; i++) {
		if (frames[i].is_mark) {
			uint64_t now = nanoseconds(), running = cpu_time(w.pid);
			printf("%llu %llu\n", (unsigned long long)(now - began), (unsigned long long)(running - ran));
			ran = cpu_time(w.pid);
			began = nanoseconds();
			continue;
		}
		write_all(w.commands, frames[i].bytes, frames[i].size);
		if (reply(&w) == '!')
			fail("the worker refused frame %zu", i);
	}
	kill(w.pid, SIGKILL);
	waitpid(w.pid, NULL, 0);
	free(frames);
	free(text);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "pingpong"))
		pingpong(atoi(argv[2]), atol(argv[3]));
	else if (argc >= 5 && argc <= 7 && !strcmp(argv[1], "play"))
		play(atoi(argv[2]), argv[3], argv[4], argc > 5 && *argv[5] ? argv[5] : NULL, argc > 6 ? argv[6] : NULL);
	else
		fail("usage: bare pingpong CPU COUNT | bare play CPU SCRIPT ENGINE [HEAP [SAVE]]");
	return 0;
}
