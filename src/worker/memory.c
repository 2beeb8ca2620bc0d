/* SPDX-License-Identifier: MIT */
/*
 * The host's side of the memory it shares with a native worker (wire/arena.h).
 *
 * Made with the worker's other descriptors and gone with it. Large binaries of a call are
 * copied there when it is sent, and its message says where; a large result is copied out
 * as it comes. A place whose call has ended is free again: those of its arguments that
 * the worker has not taken, and results that came for nobody.
 *
 * The worker may write what it likes: lengths are checked against the mapping, which a
 * seal keeps from shrinking, and what a result is copied into is looked at only then. A
 * worker without the memory, for whatever reason, gets everything by the socket.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "worker/internal.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

struct worker_memory {
    struct arena_head *head;
    size_t bytes;
    struct arena down;
    const struct worker_call *owners[ARENA_SLOTS]; /* of the places down: who was given
                                                      each last */
    struct arena up;
    uint32_t puts_seen; /* of the worker's that are all accounted for */
};

/* ---- life ---- */

static int make_file(size_t bytes)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("snakepit-memory", flags | MFD_NOEXEC_SEAL);
    if (fd < 0) {
        fd = memfd_create("snakepit-memory", flags); /* before Linux 6.3 */
    }
    if (fd < 0) {
        return -1;
    }
    /* A file that shrank would end whoever reads it by SIGBUS. */
    if (ftruncate(fd, (off_t)bytes) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

int sp__worker_memory_open(struct worker *worker)
{
    const struct worker_spec *spec = worker->spec;
    if (spec->shared_min_bytes > spec->shared_max_bytes) {
        return -1; /* switched off */
    }
    size_t area = (size_t)spec->shared_max_bytes / ARENA_ALIGN * ARENA_ALIGN;
    size_t bytes = sp__arena_file_bytes(area);
    struct worker_memory *memory = sp__calloc(1, sizeof *memory);
    int fd = memory != NULL ? make_file(bytes) : -1;
    void *mapping = fd < 0 ? MAP_FAILED
                           : mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (mapping == MAP_FAILED) {
        if (fd >= 0) {
            (void)close(fd);
        }
        sp__free(memory);
        return -1;
    }
    memory->head = mapping;
    memory->bytes = bytes;
    memory->head->area_bytes = area;
    memory->head->min_bytes = spec->shared_min_bytes;
    sp__arena_init(&memory->down, &memory->up, mapping, area);
    worker->memory = memory;
    return fd;
}

void sp__worker_memory_close(struct worker *worker)
{
    if (worker->memory != NULL) {
        (void)munmap(worker->memory->head, worker->memory->bytes);
        sp__arena_fini(&worker->memory->down);
        sp__free(worker->memory);
        worker->memory = NULL;
    }
}

/* ---- arguments ---- */

/* Move large binaries to shared places: the rest stays in front, what stands for the
 * moved ones follows. Returns how many were moved. */
static size_t place_binaries(struct worker *worker, struct worker_call *call,
                             struct proto_pair *pairs, size_t count,
                             uint8_t (*texts)[SP__PROTO_REF_MAX])
{
    size_t moved = 0;
    for (size_t i = 0; i + moved < count;) {
        struct arena_ref ref;
        struct proto_pair pair = pairs[i];
        if (pair.value.size < worker->spec->shared_min_bytes || moved == ARENA_SLOTS ||
            !sp__arena_put(&worker->memory->down, pair.value, 0, &ref)) {
            i++;
            continue;
        }
        call->shared_slots |= 1ull << ref.slot;
        worker->memory->owners[ref.slot] = call;
        size_t size = sp__proto_put_ref(texts[moved], &ref);
        pairs[i] = pairs[count - 1 - moved];
        pairs[count - 1 - moved] =
            (struct proto_pair){.key = pair.key, .value = {texts[moved], size}};
        moved++;
    }
    return moved;
}

/* Of those from pairs[at] to before `end` that shared memory is for. */
static size_t large_bytes(const struct worker *worker, const struct proto_pair *pairs,
                          size_t at, size_t end)
{
    size_t bytes = 0;
    for (; at < end; at++) {
        if (pairs[at].value.size >= worker->spec->shared_min_bytes) {
            bytes += pairs[at].value.size;
        }
    }
    return bytes;
}

static void tell_copied(const struct worker *worker, const struct worker_call *call,
                        int kind, uint64_t begin_us, size_t bytes)
{
    if (!sp__herald_wants(worker->shop->herald, kind)) {
        return;
    }
    double duration_ms = (double)(sp__now_us() - begin_us) / 1000;
    const char *what = kind == SP_EVENT_ZERO_COPY_IMPORT ? "result" : "arguments";
    sp_event event = {.kind = kind, .session = worker->events->session_of(call)};
    sp__worker_tell(worker, (struct tidings){.event = event,
                                             EVENT_NUMBERS(duration_ms, (double)bytes),
                                             EVENT_TEXTS(what)});
}

int sp__worker_share_call(struct worker *worker, struct worker_call *call,
                          sp_bytes message, struct sp_buffer *out)
{
    uint8_t texts[ARENA_SLOTS][SP__PROTO_REF_MAX];
    struct proto_scratch *scratch = &worker->shop->scratch;
    struct proto_request request;
    if (worker->memory == NULL ||
        !atomic_load_explicit(&worker->memory->head->is_mapped, memory_order_acquire) ||
        sp__proto_get_request(message.data, message.size, scratch, &request, NULL) <
            0 ||
        request.binary_count == 0) {
        return 0;
    }
    struct proto_pair *pairs = scratch->pairs + request.parameters_count;
    uint64_t begin_us = sp__now_us();
    size_t large = large_bytes(worker, pairs, 0, request.binary_count);
    size_t moved = place_binaries(worker, call, pairs, request.binary_count, texts);
    size_t left = large_bytes(worker, pairs, 0, request.binary_count - moved);
    if (large > left) {
        tell_copied(worker, call, SP_EVENT_ZERO_COPY_EXPORT, begin_us, large - left);
    }
    if (left > 0) {
        tell_copied(worker, call, SP_EVENT_ZERO_COPY_FALLBACK, begin_us, left);
    }
    if (moved == 0) {
        return 0;
    }
    request.binary_count -= moved;
    request.shared = pairs + request.binary_count;
    request.shared_count = moved;
    if (sp__proto_put_request(out, &request, 0, NULL) < 0) {
        sp__worker_unshare_call(worker, call);
        return 0;
    }
    return 1;
}

void sp__worker_unshare_call(struct worker *worker, struct worker_call *call)
{
    for (uint32_t slot = 0; call->shared_slots != 0; slot++) {
        if (call->shared_slots & 1ull << slot) {
            call->shared_slots &= ~(1ull << slot);
            /* The worker may have given the place back before its answer came, and
             * another call may have it now. */
            if (worker->memory->owners[slot] == call) {
                worker->memory->owners[slot] = NULL;
                sp__arena_give_up(&worker->memory->down, slot);
            }
        }
    }
}

/* ---- results ---- */

int sp__worker_fetch_result(const struct worker_call *call,
                            struct proto_response *response, struct sp_buffer *memory,
                            sp_error *err)
{
    struct worker *worker = call->worker;
    struct arena_ref ref;
    sp_bytes there;
    int rc = sp__proto_get_ref(response->shared_result, &ref, err);
    if (rc < 0) {
        return rc;
    }
    if (worker->memory == NULL || !sp__arena_find(&worker->memory->up, &ref, &there)) {
        return sp__fail(err, SP_ERR_PROTOCOL,
                        "a result of %llu bytes at %llu of the shared memory, where it "
                        "cannot be",
                        (unsigned long long)ref.size, (unsigned long long)ref.at);
    }
    if (there.size > worker->spec->response_max_bytes) {
        rc = sp__fail(err, SP_ERR_TOO_BIG, "a result of %zu bytes, at most %llu",
                      there.size, (unsigned long long)worker->spec->response_max_bytes);
    }
    memory->size = 0;
    uint64_t begin_us = sp__now_us();
    if (rc == SP_OK) {
        rc = sp__buf_append(memory, there.data, there.size, err);
    }
    sp__arena_release(&worker->memory->up, ref.slot);
    response->binary_result = (sp_bytes){memory->data, memory->size};
    if (rc == SP_OK) {
        tell_copied(worker, call, SP_EVENT_ZERO_COPY_IMPORT, begin_us, memory->size);
    }
    return rc;
}

static int is_in_flight(const struct worker *worker, uint32_t stream_id)
{
    for (struct link *link = worker->in_flight.first; link != NULL; link = link->next) {
        if (ITEM(link, struct worker_call, on_worker)->stream_id == stream_id) {
            return 1;
        }
    }
    return 0;
}

void sp__worker_sweep_memory(struct worker *worker)
{
    if (worker->memory == NULL) {
        return;
    }
    struct arena_side *side = worker->memory->up.side;
    uint32_t puts = atomic_load_explicit(&side->puts, memory_order_acquire);
    uint32_t left = 0;
    if (puts == worker->memory->puts_seen) {
        return;
    }
    for (uint32_t slot = 0; slot < ARENA_SLOTS; slot++) {
        if (atomic_load_explicit(&side->state[slot], memory_order_acquire) ==
                ARENA_SENT &&
            !is_in_flight(worker, atomic_load_explicit(&side->stream[slot],
                                                       memory_order_relaxed))) {
            sp__arena_give_up(&worker->memory->up, slot);
        }
        left += atomic_load_explicit(&side->state[slot], memory_order_relaxed) ==
                ARENA_SENT;
    }
    if (left == 0) {
        worker->memory->puts_seen = puts;
    }
}
