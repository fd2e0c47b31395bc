/* A library that is loaded before libc's, and fails calls of one kind.
 *
 * The environment's SHIM names a file of a `struct fault`, which both sides map. Who sets a fault
 * writes `left` last; calls count from then on, in the process of that id. A call that can't fail
 * with this error, as that on an eventfd, is none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { ACCEPT, READ, WRITE, MMAP, OPEN, ALLOCATION, KINDS };
enum where { ANYWHERE, SOCKETS, FILES };

struct fault {
  _Atomic long left;   /* calls up to the first that fails; 0: none fails */
  _Atomic long times;  /* how many fail from that on */
  _Atomic long failed; /* how many have */
  _Atomic int pid;     /* 0: whoever has loaded this */
  _Atomic int kind;
  _Atomic int error;
  _Atomic int where;
  _Atomic long calls[KINDS]; /* of every kind, while it is set */
};

static struct fault *fault;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("SHIM");
  int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = (void *)syscall(SYS_mmap, NULL, sizeof *fault, PROT_READ | PROT_WRITE, MAP_SHARED,
                                 file, 0);
  syscall(SYS_close, file);
  if (mapped != MAP_FAILED) fault = mapped;
}

/* Tell whether a file is one that the error is plausible of; a pair of sockets that threads wake each
 * other by is none. */
static int fits(int file) {
  struct stat found;
  int family = 0;
  if (fault->where == ANYWHERE) return 1;
  if (fault->where == FILES) return !fstat(file, &found) && S_ISREG(found.st_mode);
  getsockopt(file, SOL_SOCKET, SO_DOMAIN, &family, &(socklen_t){sizeof family});
  return family == AF_INET || family == AF_INET6;
}

/* Tell whether this call fails, and set its error. */
static int fails(enum kind kind, int file) {
  if (!fault || fault->left <= 0) return 0;
  if (fault->pid && fault->pid != syscall(SYS_getpid)) return 0;
  fault->calls[kind]++;
  if (fault->kind != (int)kind || (file >= 0 && !fits(file))) return 0;
  if (fault->left > 1) {
    if (atomic_fetch_sub(&fault->left, 1) > 1) return 0;
    fault->left = 1; /* two threads came to the last at once */
  }
  if (atomic_fetch_sub(&fault->times, 1) <= 0) return 0;
  fault->failed++;
  errno = fault->error;
  return 1;
}

/* The same of an accept: one whose client has gone takes the connection from the queue. */
static int accepts_none(int file) {
  if (!fails(ACCEPT, -1)) return 0;
  if (errno == ECONNABORTED) {
    int taken = (int)syscall(SYS_accept4, file, NULL, NULL, SOCK_CLOEXEC);
    if (taken < 0) return 1;
    syscall(SYS_close, taken);
    errno = ECONNABORTED;
  }
  return 1;
}

#define CALL(failed, returned, name, parameters, arguments) \
  returned name parameters { \
    static returned(*next) parameters; \
    if (failed) return (returned)-1; \
    if (!next) next = (returned(*) parameters)dlsym(RTLD_NEXT, #name); \
    return next arguments; \
  }

#define P struct sockaddr *a, socklen_t *l
CALL(accepts_none(f), int, accept, (int f, P), (f, a, l))
CALL(accepts_none(f), int, accept4, (int f, P, int o), (f, a, l, o))
CALL(fails(READ, f), ssize_t, read, (int f, void *b, size_t n), (f, b, n))
CALL(fails(READ, f), ssize_t, readv, (int f, const struct iovec *v, int n), (f, v, n))
CALL(fails(READ, f), ssize_t, pread64, (int f, void *b, size_t n, off64_t o), (f, b, n, o))
CALL(fails(READ, f), ssize_t, recv, (int f, void *b, size_t n, int o), (f, b, n, o))
CALL(fails(READ, f), ssize_t, recvfrom, (int f, void *b, size_t n, int o, P), (f, b, n, o, a, l))
CALL(fails(READ, f), ssize_t, recvmsg, (int f, struct msghdr *m, int o), (f, m, o))
CALL(fails(WRITE, f), ssize_t, write, (int f, const void *b, size_t n), (f, b, n))
CALL(fails(WRITE, f), ssize_t, writev, (int f, const struct iovec *v, int n), (f, v, n))
CALL(fails(WRITE, f), ssize_t, send, (int f, const void *b, size_t n, int o), (f, b, n, o))
CALL(fails(WRITE, f), ssize_t, sendmsg, (int f, const struct msghdr *m, int o), (f, m, o))
CALL(fails(MMAP, -1), void *, mmap, (void *w, size_t n, int p, int o, int f, off_t s),
     (w, n, p, o, f, s))
CALL(fails(MMAP, -1), void *, mmap64, (void *w, size_t n, int p, int o, int f, off64_t s),
     (w, n, p, o, f, s))

#define OPENS(name, parameters, ...) \
  int name parameters { \
    va_list rest; \
    va_start(rest, o); \
    mode_t mode = o & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    if (fails(OPEN, -1)) return -1; \
    return (int)syscall(SYS_openat, __VA_ARGS__, o, mode); \
  }

#undef open
#undef open64
#undef openat
#undef openat64
OPENS(open, (const char *p, int o, ...), AT_FDCWD, p)
OPENS(open64, (const char *p, int o, ...), AT_FDCWD, p)
OPENS(openat, (int f, const char *p, int o, ...), f, p)
OPENS(openat64, (int f, const char *p, int o, ...), f, p)

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
void *malloc(size_t n) { return fails(ALLOCATION, -1) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t s) { return fails(ALLOCATION, -1) ? NULL : __libc_calloc(n, s); }
void *realloc(void *p, size_t n) {
  return n && fails(ALLOCATION, -1) ? NULL : __libc_realloc(p, n);
}
