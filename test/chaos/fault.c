/* SPDX-License-Identifier: MIT */
/*
 * libspfault.so: stands in front of functions of the C library.
 *
 * Nothing fails before the control block says so, which is mapped when the library is
 * loaded. The functions behind are looked up by then; memory goes to the C library's own
 * names of its functions, because the look-up itself needs memory.
 */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FRONT __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static struct fault_control *control;
static uintptr_t spared_from;
static uintptr_t spared_to;

/* The function behind this one; looked up once. */
#define BEHIND(name)                                                      \
    static __typeof__(&(name)) behind;                                    \
    if (behind == NULL) {                                                 \
        behind = (__typeof__(&(name)))(uintptr_t)dlsym(RTLD_NEXT, #name); \
    }

/* libuv ends the process when its table of watchers cannot grow: by design, and not to be
 * tested here. Where its code lies. */
static int find_spared(struct dl_phdr_info *info, size_t size, void *user)
{
    for (int i = 0; strstr(info->dlpi_name, "libuv.so") != NULL && i < info->dlpi_phnum;
         i++) {
        if (info->dlpi_phdr[i].p_type == PT_LOAD &&
            (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
            spared_from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            spared_to = spared_from + info->dlpi_phdr[i].p_memsz;
        }
    }
    return 0;
}

__attribute__((constructor)) static void begin(void)
{
    (void)dl_iterate_phdr(find_spared, NULL);
    const char *path = getenv("SPFAULT_CONTROL");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *map =
            mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void)close(fd);
        control = map == MAP_FAILED ? NULL : map;
    }
}

/* 1 when this call is to fail. errno is set. */
static int fails(enum fault_site site)
{
    if (control == NULL || atomic_load(&control->site) != (int)site ||
        atomic_load(&control->pid) != (int)getpid()) {
        return 0;
    }
    uint64_t hit = 1 + atomic_fetch_add(&control->hits, 1);
    uint64_t nth = atomic_load(&control->nth);
    if (nth == 0 || hit < nth || (hit > nth && !atomic_load(&control->sticky))) {
        return 0;
    }
    atomic_fetch_add(&control->injected, 1);
    errno = atomic_load(&control->error);
    return 1;
}

/* ---- memory ---- */

static int has_none(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    return (at < spared_from || at >= spared_to) && fails(FAULT_MEMORY);
}

#define NO_MEMORY has_none(__builtin_return_address(0))

FRONT void *malloc(size_t size)
{
    return NO_MEMORY ? NULL : __libc_malloc(size);
}

FRONT void *calloc(size_t count, size_t size)
{
    return NO_MEMORY ? NULL : __libc_calloc(count, size);
}

FRONT void *realloc(void *memory, size_t size)
{
    return NO_MEMORY ? NULL : __libc_realloc(memory, size);
}

FRONT int posix_memalign(void **ret, size_t alignment, size_t size)
{
    *ret = NO_MEMORY ? NULL : __libc_memalign(alignment, size);
    return *ret == NULL ? ENOMEM : 0;
}

FRONT void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    BEHIND(mmap)
    return fails(FAULT_MAP) ? MAP_FAILED
                            : behind(at, size, protection, flags, fd, offset);
}

/* ---- descriptors ---- */

static int mode_of(int flags, va_list args)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, int) : 0;
}

FRONT int open(const char *path, int flags, ...)
{
    BEHIND(open)
    va_list args;
    va_start(args, flags);
    int mode = mode_of(flags, args);
    va_end(args);
    return fails(FAULT_FILES) ? -1 : behind(path, flags, mode);
}

FRONT int openat(int folder, const char *path, int flags, ...)
{
    BEHIND(openat)
    va_list args;
    va_start(args, flags);
    int mode = mode_of(flags, args);
    va_end(args);
    return fails(FAULT_FILES) ? -1 : behind(folder, path, flags, mode);
}

FRONT int socket(int domain, int type, int protocol)
{
    BEHIND(socket)
    return fails(FAULT_FILES) ? -1 : behind(domain, type, protocol);
}

FRONT int socketpair(int domain, int type, int protocol, int ends[2])
{
    BEHIND(socketpair)
    return fails(FAULT_FILES) ? -1 : behind(domain, type, protocol, ends);
}

FRONT int pipe2(int ends[2], int flags)
{
    BEHIND(pipe2)
    return fails(FAULT_FILES) ? -1 : behind(ends, flags);
}

FRONT int epoll_create1(int flags)
{
    BEHIND(epoll_create1)
    return fails(FAULT_FILES) ? -1 : behind(flags);
}

FRONT int eventfd(unsigned int count, int flags)
{
    BEHIND(eventfd)
    return fails(FAULT_FILES) ? -1 : behind(count, flags);
}

FRONT int memfd_create(const char *name, unsigned int flags)
{
    BEHIND(memfd_create)
    return fails(FAULT_FILES) ? -1 : behind(name, flags);
}

FRONT int ftruncate(int fd, off_t size)
{
    BEHIND(ftruncate)
    return fails(FAULT_TRUNCATE) ? -1 : behind(fd, size);
}

/* ---- bytes, on sockets only: what one reads from an eventfd cannot fail so ---- */

static int is_socket(int fd)
{
    int type;
    socklen_t size = sizeof type;
    int before = errno;
    int rc = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    errno = before;
    return rc == 0;
}

/* 0: as it is; 1: one byte only; -1: an error, errno is set. */
static int disturbed(enum fault_site site, int fd)
{
    if (control == NULL || atomic_load(&control->site) != (int)site || !is_socket(fd) ||
        !fails(site)) {
        return 0;
    }
    return errno == 0 ? 1 : -1;
}

static size_t less(int disturbance, size_t size)
{
    return disturbance > 0 && size > 1 ? 1 : size;
}

FRONT ssize_t read(int fd, void *bytes, size_t size)
{
    BEHIND(read)
    int how = disturbed(FAULT_RECEIVE, fd);
    return how < 0 ? -1 : behind(fd, bytes, less(how, size));
}

FRONT ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    BEHIND(recv)
    int how = disturbed(FAULT_RECEIVE, fd);
    return how < 0 ? -1 : behind(fd, bytes, less(how, size), flags);
}

/* A message with descriptors is not cut: the kernel would not either. */
FRONT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    BEHIND(recvmsg)
    return disturbed(FAULT_RECEIVE, fd) < 0 ? -1 : behind(fd, message, flags);
}

FRONT ssize_t readv(int fd, const struct iovec *parts, int count)
{
    BEHIND(readv)
    int how = disturbed(FAULT_RECEIVE, fd);
    return how < 0 ? -1 : behind(fd, parts, how > 0 ? 1 : count);
}

FRONT ssize_t write(int fd, const void *bytes, size_t size)
{
    BEHIND(write)
    int how = disturbed(FAULT_SEND, fd);
    return how < 0 ? -1 : behind(fd, bytes, less(how, size));
}

FRONT ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    BEHIND(send)
    int how = disturbed(FAULT_SEND, fd);
    return how < 0 ? -1 : behind(fd, bytes, less(how, size), flags);
}

FRONT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    BEHIND(sendmsg)
    return disturbed(FAULT_SEND, fd) < 0 ? -1 : behind(fd, message, flags);
}

FRONT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    BEHIND(writev)
    int how = disturbed(FAULT_SEND, fd);
    return how < 0 ? -1 : behind(fd, parts, how > 0 ? 1 : count);
}

/* ---- threads and processes ---- */

FRONT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                         void *(*start)(void *), void *arg)
{
    BEHIND(pthread_create)
    return fails(FAULT_THREADS) ? EAGAIN : behind(thread, attributes, start, arg);
}

FRONT int posix_spawn(pid_t *pid, const char *path,
                      const posix_spawn_file_actions_t *actions,
                      const posix_spawnattr_t *attributes, char *const argv[],
                      char *const envp[])
{
    BEHIND(posix_spawn)
    return fails(FAULT_SPAWN) ? EAGAIN
                              : behind(pid, path, actions, attributes, argv, envp);
}
