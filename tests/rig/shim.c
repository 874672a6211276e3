/* What a Raspberry Pi's kernel has and this machine lacks, for one process (LD_PRELOAD): a heap of DMA buffers, the pace of a
 * sensor, its faults, and the host's files. libcamera's virtual pipeline and picamera2 run on it unmodified.
 *
 * $RIG_DIR holds what a test can change, also while the process runs:
 *   control   "FRAME_US [FAULT [once]]", read before each frame. FRAME_US: how long a frame takes; 0: as the sensor says
 *             (rig_pace). FAULT: abort, segv, exit (42) at the next frame; hang: no more frames; stuck: neither, and stop()
 *             does not come back; stall: none until the stream is started anew. "once" (stall: always): the file is set
 *             back as the fault strikes, so that the next process is well.
 *   heap      "MEGABYTES": as much fits into the heap, then ENOMEM. "denied": EACCES. "none": there is no heap
 *   host/     a file here stands for that of the same path from the root on
 *
 * Written from the kernel's user-space headers. Without $RIG_DIR it gives the heap, and nothing else.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HEAP "rig-heap"
#define BUFFER "rig-buffer"
#define REAL(result, name, ...)                                       \
	static result (*real)(__VA_ARGS__);                           \
	if (!real)                                                    \
		real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* ---- files --------------------------------------------------------------------------------------------------------- */

static int raw_open(const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

static int rig_path(char *out, size_t size, const char *name)
{
	const char *rig = getenv("RIG_DIR");
	return rig && *rig && snprintf(out, size, "%s/%s", rig, name) < (int)size;
}

/* The text of a file of the rig; empty if there is none. */
static void rig_read(const char *name, char *text, size_t size)
{
	char path[4096];
	int fd = rig_path(path, sizeof path, name) ? raw_open(path, O_RDONLY, 0) : -1;
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
}

/* The file that stands for one of the host's, written to `out`; the path itself if none does. */
static const char *host_file(const char *path, char *out, size_t size)
{
	char name[4096];
	if (!path || path[0] != '/' || snprintf(name, sizeof name, "host%s", path) >= (int)sizeof name)
		return path;
	if (!rig_path(out, size, name) || syscall(SYS_faccessat, AT_FDCWD, out, F_OK))
		return path;
	return out;
}

static int memfd(const char *name, unsigned int flags)
{
	return (int)syscall(SYS_memfd_create, name, flags);
}

static int is_memfd(int fd, const char *name)
{
	char link[64], target[256];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, target, sizeof target - 1);
	if (n < 7)
		return 0;
	target[n] = 0;
	return !strncmp(target, "/memfd:", 7) && !strncmp(target + 7, name, strlen(name));
}

/* A descriptor (or -1 with errno) for what a Pi's kernel has; -2 for everything else. */
static int open_heap(const char *path, int flags)
{
	char heap[32];
	if (!path || (strcmp(path, "/dev/dma_heap/linux,cma") && strcmp(path, "/dev/udmabuf")))
		return -2;
	rig_read("heap", heap, sizeof heap);
	if (!strncmp(heap, "none", 4))
		return errno = ENOENT, -1;
	if (!strncmp(heap, "denied", 6))
		return errno = EACCES, -1;
	return memfd(HEAP, flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
}

static int open_any(const char *path, int flags, mode_t mode, int (*real)(const char *, int, ...))
{
	char buffer[4096];
	int fd = open_heap(path, flags);
	return fd != -2 ? fd : real(host_file(path, buffer, sizeof buffer), flags, mode);
}

#define MODE                                   \
	mode_t mode = 0;                       \
	if (flags & (O_CREAT | O_TMPFILE)) {   \
		va_list rest;                  \
		va_start(rest, flags);         \
		mode = va_arg(rest, mode_t);   \
		va_end(rest);                  \
	}

int open(const char *path, int flags, ...)
{
	REAL(int, "open", const char *, int, ...);
	MODE
	return open_any(path, flags, mode, real);
}

int open64(const char *path, int flags, ...)
{
	REAL(int, "open64", const char *, int, ...);
	MODE
	return open_any(path, flags, mode, real);
}

/* what the compiler makes of open() in hardened programs */
int __open_2(const char *path, int flags)
{
	REAL(int, "open", const char *, int, ...);
	return open_any(path, flags, 0, real);
}

int __open64_2(const char *path, int flags)
{
	REAL(int, "open64", const char *, int, ...);
	return open_any(path, flags, 0, real);
}

int openat(int folder, const char *path, int flags, ...)
{
	REAL(int, "openat", int, const char *, int, ...);
	MODE
	char buffer[4096];
	int fd = open_heap(path, flags);
	return fd != -2 ? fd : real(folder, host_file(path, buffer, sizeof buffer), flags, mode);
}

#define ON_PATH(result, name, type, more)                                 \
	result name(const char *path, type more)                          \
	{                                                                 \
		REAL(result, #name, const char *, type);                  \
		char buffer[4096];                                        \
		return real(host_file(path, buffer, sizeof buffer), more); \
	}
ON_PATH(int, stat, struct stat *, found)
ON_PATH(int, stat64, struct stat64 *, found)
ON_PATH(int, lstat, struct stat *, found)
ON_PATH(int, lstat64, struct stat64 *, found)
ON_PATH(int, access, int, how)

/* A link to such a file names the host's: a camera that is open is /dev/media0 to this rig's programs, and to no other rig's. */
ssize_t readlink(const char *path, char *out, size_t size)
{
	REAL(ssize_t, "readlink", const char *, char *, size_t);
	char found[4096], host[4096];
	ssize_t n = real(path, found, sizeof found - 1);
	if (n < 0)
		return n;
	found[n] = 0;
	size_t skip = rig_path(host, sizeof host, "host") && !strncmp(found, host, strlen(host)) ? strlen(host) : 0;
	size_t length = (size_t)n - skip;
	memcpy(out, found + skip, length < size ? length : size);
	return (ssize_t)(length < size ? length : size);
}

DIR *opendir(const char *path)
{
	REAL(DIR *, "opendir", const char *);
	char buffer[4096];
	return real(host_file(path, buffer, sizeof buffer));
}

/* ---- the heap ------------------------------------------------------------------------------------------------------ */

/* The sum of the buffers that this process holds open, each counted once. What only a mapping keeps alive is not seen. */
static unsigned long long allocated(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static ino_t seen[4096];
	unsigned long long sum = 0;
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	if (!folder)
		return 0;
	pthread_mutex_lock(&lock);
	for (struct dirent *entry; (entry = readdir(folder));) {
		struct stat found;
		int fd = atoi(entry->d_name), known = 0;
		if (entry->d_name[0] == '.' || !is_memfd(fd, BUFFER) || fstat(fd, &found))
			continue;
		for (int i = 0; i < count && !known; i++)
			known = seen[i] == found.st_ino;
		if (known)
			continue;
		if (count < 4096)
			seen[count++] = found.st_ino;
		sum += (unsigned long long)found.st_size;
	}
	pthread_mutex_unlock(&lock);
	closedir(folder);
	return sum;
}

static int allocate(struct dma_heap_allocation_data *wanted)
{
	char heap[32];
	rig_read("heap", heap, sizeof heap);
	unsigned long long limit = strtoull(heap, NULL, 10) << 20;
	if (limit && allocated() + wanted->len > limit)
		return errno = ENOMEM, -1;
	int fd = memfd(BUFFER, MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)((wanted->len + 4095) & ~4095ULL))) {
		close(fd);
		return -1;
	}
	wanted->fd = (unsigned)fd;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	REAL(int, "ioctl", int, unsigned long, ...);
	va_list rest;
	va_start(rest, request);
	void *argument = va_arg(rest, void *);
	va_end(rest);
	unsigned long code = request & 0xffffffffUL;
	if (code == DMA_HEAP_IOCTL_ALLOC && is_memfd(fd, HEAP))
		return allocate(argument);
	if (code == UDMABUF_CREATE && is_memfd(fd, HEAP))
		return fcntl((int)((struct udmabuf_create *)argument)->memfd, F_DUPFD_CLOEXEC, 0);
	if (_IOC_TYPE(code) == DMA_BUF_BASE && _IOC_NR(code) <= 1 && is_memfd(fd, ""))
		return 0; /* DMA_BUF_IOCTL_SYNC, DMA_BUF_SET_NAME */
	return real(fd, request, argument);
}

/* libcamera 0.4's virtual pipeline leaves a frame's status to chance: to what was in memory. C++'s new gives empty memory here, and
 * an empty status is success. */
void *_Znwm(size_t size)
{
	void *memory = calloc(1, size ? size : 1);
	if (!memory)
		abort();
	return memory;
}

/* ---- pace and faults ----------------------------------------------------------------------------------------------- */

static atomic_long pace_us;          /* how long the sensor takes for the next frame */
static atomic_int stopping, stalled; /* stream is being stopped: frames that wait are let go */
static atomic_int latched;           /* a fault "once" that has struck stays with this process */
static atomic_long drawn;            /* frames since the stream was started */
static atomic_llong drawn_ns[64];    /* when the latest of them ended, by CLOCK_MONOTONIC */
static ino_t lead[64];               /* buffers of the main stream; of the others none waits */
static int leads;

void rig_pace(long us)
{
	pace_us = us;
}

void rig_stream(int starts)
{
	stopping = !starts;
	if (starts) {
		stalled = 0;
		drawn = 0;
	}
}

/* When a frame ended, counted from the start of the stream. libcamera's own stamp is of when the frame was asked for. */
long long rig_frame_ns(long number)
{
	return drawn_ns[number % 64];
}

void rig_lead(const int *fds, int count)
{
	struct stat found;
	leads = 0;
	for (int i = 0; i < count && leads < 64; i++)
		if (!fstat(fds[i], &found))
			lead[leads++] = found.st_ino;
}

enum fault { NONE, ABORT, SEGV, EXIT, HANG, STUCK, STALL };

static enum fault read_control(long *us)
{
	static const char *const names[] = {"", "abort", "segv", "exit", "hang", "stuck", "stall"};
	char text[64], fault[16] = "", once[8] = "";
	rig_read("control", text, sizeof text);
	*us = 0;
	sscanf(text, "%ld %15s %7s", us, fault, once);
	enum fault found = NONE;
	for (int i = ABORT; i <= STALL; i++)
		if (!strcmp(fault, names[i]))
			found = (enum fault)i;
	if (found == STALL || (found && !strcmp(once, "once"))) {
		char path[4096];
		int fd = rig_path(path, sizeof path, "control") ? raw_open(path, O_WRONLY | O_TRUNC, 0) : -1;
		if (fd >= 0) {
			dprintf(fd, "%ld", *us);
			close(fd);
		}
		if (found == STALL)
			stalled = 1;
		else if (found >= HANG)
			latched = found;
	}
	return latched ? (enum fault)latched : found;
}

static long long now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void before_frame(void)
{
	static long long last;
	if (!last || !drawn)
		last = now_ns();
	for (;;) {
		long us;
		enum fault fault = read_control(&us);
		if (fault == ABORT)
			abort();
		if (fault == SEGV)
			raise(SIGSEGV);
		if (fault == EXIT)
			_exit(42);
		long left = (us > 0 ? us : pace_us) - (long)((now_ns() - last) / 1000);
		if (fault != STUCK && (stopping || (fault != HANG && !stalled && left <= 0))) {
			drawn_ns[drawn++ % 64] = last = now_ns();
			return;
		}
		usleep((useconds_t)(left > 10000 || left <= 0 ? 10000 : left));
	}
}

/* libcamera maps a buffer for writing only once for each frame, on the thread of the camera, before it draws. */
static int starts_frame(size_t length, int fd)
{
	static ino_t last;
	static int last_was_part;
	struct stat found;
	if (!is_memfd(fd, BUFFER) || fstat(fd, &found))
		return 0;
	int is_lead = !leads, part = (((off_t)length + 4095) & ~4095LL) < found.st_size;
	for (int i = 0; i < leads && !is_lead; i++)
		is_lead = lead[i] == found.st_ino;
	/* the second plane may be mapped on its own: the whole buffer, after a part of it */
	int second = last_was_part && !part && last == found.st_ino;
	last = found.st_ino;
	last_was_part = part;
	return is_lead && !second;
}

void *mmap(void *where, size_t length, int protection, int flags, int fd, off_t offset)
{
	REAL(void *, "mmap", void *, size_t, int, int, int, off_t);
	if (protection == PROT_WRITE && (flags & MAP_SHARED) && fd >= 0 && starts_frame(length, fd))
		before_frame();
	/* the C library maps files before it can look its own functions up */
	return real ? real(where, length, protection, flags, fd, offset)
		    : (void *)syscall(SYS_mmap, where, length, protection, flags, fd, offset);
}

void *mmap64(void *where, size_t length, int protection, int flags, int fd, off_t offset)
{
	return mmap(where, length, protection, flags, fd, offset);
}
