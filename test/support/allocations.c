/* SPDX-License-Identifier: MIT */
/*
 * Counts what a process asks the C library's allocator for, whoever asks: loaded before
 * everything else (LD_PRELOAD) into a worker, linked into a test.
 *
 * The counter is the first word of the file that ALLOCATIONS_FILE names when the process
 * starts, so that another process can read it; without one it is the process's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's own, under the names it keeps for this purpose. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

#define SEEN __attribute__((visibility("default")))

static atomic_uint_least64_t own;
static atomic_uint_least64_t *counter = &own;

/* For the process itself; a test finds it by this name. */
uint64_t allocations_counted(void);

uint64_t allocations_counted(void)
{
    return atomic_load(counter);
}

__attribute__((constructor)) static void open_counter(void)
{
    const char *path = getenv("ALLOCATIONS_FILE");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) {
            counter = page;
        }
        (void)close(fd);
    }
}

static void count(void)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

SEEN void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

SEEN void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

SEEN void *realloc(void *memory, size_t size)
{
    count();
    return __libc_realloc(memory, size);
}

SEEN void *aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

SEEN int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    count();
    void *memory = __libc_memalign(alignment, size);
    if (memory == NULL) {
        return ENOMEM;
    }
    *ret_memory = memory;
    return 0;
}
