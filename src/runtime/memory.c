/* SPDX-License-Identifier: MIT */
/*
 * The worker's side of the memory it shares with its host (wire/arena.h).
 *
 * Mapped once, if what was inherited is what it must be: a file that can neither shrink
 * nor grow and is as large as it says. Arguments are used where they lie; a job that
 * begins holds their places, and they are let go of with it or with what its binding
 * kept. The mapping lives as long as any of that, beyond the worker itself.
 *
 * A large result is copied to a place and the answer says where; without a free place it
 * travels by the socket. Fails for places that cannot be, which only a host of ours that
 * lost its mind would name.
 */
#include "runtime/runtime.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/arena.h"

struct memory {
    atomic_uint references; /* the worker's, and one for each set of held places */
    struct arena_head *head;
    size_t bytes;
    size_t min_bytes;
    struct arena down;
    pthread_mutex_t up_lock; /* answers are made on several threads */
    struct arena up;
};

/* ---- life ---- */

static int check_file(int fd, size_t *ret_bytes, sp_error *err)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || (seals & F_SEAL_GROW) == 0) {
        return sp__fail(err, SP_ERR_INVAL,
                        "SNAKEPIT_MEMORY_FD: descriptor %d is not sealed against a "
                        "change of its size",
                        fd);
    }
    if (fstat(fd, &status) < 0 || status.st_size < (off_t)sp__arena_file_bytes(0)) {
        return sp__fail(err, SP_ERR_INVAL,
                        "SNAKEPIT_MEMORY_FD: descriptor %d has fewer than %zu bytes",
                        fd, sp__arena_file_bytes(0));
    }
    *ret_bytes = (size_t)status.st_size;
    return SP_OK;
}

int sp__memory_open(int fd, struct memory **ret_memory, sp_error *err)
{
    size_t bytes = 0;
    int rc = check_file(fd, &bytes, err);
    if (rc < 0) {
        return rc;
    }
    struct memory *memory = sp__calloc(1, sizeof *memory);
    if (memory == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a worker");
    }
    void *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapping == MAP_FAILED) {
        sp__free(memory); /* its address space is limited: the socket will do */
        *ret_memory = NULL;
        return SP_OK;
    }
    memory->head = mapping;
    uint64_t area = memory->head->area_bytes;
    if (area > bytes / 2 || sp__arena_file_bytes((size_t)area) != bytes) {
        (void)munmap(mapping, bytes);
        sp__free(memory);
        return sp__fail(err, SP_ERR_INVAL,
                        "SNAKEPIT_MEMORY_FD: %zu bytes, and areas of %llu in them",
                        bytes, (unsigned long long)area);
    }
    memory->bytes = bytes;
    memory->min_bytes = (size_t)memory->head->min_bytes;
    atomic_init(&memory->references, 1);
    (void)pthread_mutex_init(&memory->up_lock, NULL);
    sp__arena_init(&memory->down, &memory->up, mapping, (size_t)area);
    atomic_store_explicit(&memory->head->is_mapped, 1, memory_order_release);
    *ret_memory = memory;
    return SP_OK;
}

void sp__memory_drop(struct memory *memory)
{
    if (memory == NULL ||
        atomic_fetch_sub_explicit(&memory->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    (void)munmap(memory->head, memory->bytes);
    (void)pthread_mutex_destroy(&memory->up_lock);
    sp__arena_fini(&memory->up);
    sp__free(memory);
}

/* ---- arguments ---- */

void sp__held_drop(struct held *held)
{
    for (uint32_t slot = 0; held->slots != 0; slot++) {
        if (held->slots & 1ull << slot) {
            held->slots &= ~(1ull << slot);
            sp__arena_release(&held->memory->down, slot);
        }
    }
    sp__memory_drop(held->memory);
    held->memory = NULL;
}

static int hold_one(struct held *held, struct proto_pair *pair, sp_error *err)
{
    struct arena_ref ref;
    int rc = sp__proto_get_ref(pair->value, &ref, err);
    if (rc < 0) {
        return rc;
    }
    if (!sp__arena_find(&held->memory->down, &ref, &pair->value)) {
        return sp__fail(err, SP_ERR_PROTOCOL,
                        "%llu bytes at %llu of the shared memory, where they cannot be",
                        (unsigned long long)ref.size, (unsigned long long)ref.at);
    }
    if (!sp__arena_hold(&held->memory->down, ref.slot)) {
        return sp__fail(err, SP_ERR_CANCELLED, "the host has given the call up");
    }
    held->slots |= 1ull << ref.slot;
    return SP_OK;
}

int sp__memory_hold(struct memory *memory, struct proto_request *request,
                    struct held *held, sp_error *err)
{
    if (request->shared_count == 0) {
        return SP_OK;
    }
    if (memory == NULL) {
        return sp__fail(err, SP_ERR_BAD_ARGS,
                        "shared_parameters, and there is no shared memory");
    }
    atomic_fetch_add_explicit(&memory->references, 1, memory_order_relaxed);
    held->memory = memory;
    /* They stand behind the binaries, and become some of them. */
    struct proto_pair *pairs = (struct proto_pair *)(uintptr_t)request->shared;
    for (size_t i = 0; i < request->shared_count; i++) {
        int rc = hold_one(held, &pairs[i], err);
        if (rc < 0) {
            return rc;
        }
    }
    request->binary_count += request->shared_count;
    request->shared_count = 0;
    return SP_OK;
}

/* ---- results ---- */

int sp__memory_put(struct memory *memory, sp_bytes value, uint32_t stream,
                   struct arena_ref *ret)
{
    if (memory == NULL || value.size < memory->min_bytes) {
        return 0;
    }
    pthread_mutex_lock(&memory->up_lock);
    int is_put = sp__arena_put(&memory->up, value, stream, ret);
    pthread_mutex_unlock(&memory->up_lock);
    return is_put;
}

void sp__memory_take_back(struct memory *memory, uint32_t slot)
{
    sp__arena_give_up(&memory->up, slot);
}
