/* SPDX-License-Identifier: MIT */
/*
 * The chunks of a stream.
 *
 * sp_job_chunk() appends a finished gRPC message to the job's own area and takes no
 * lock; the area has a fixed size, because the helper may be reading it. The owner
 * publishes it (moves it to h2 and writes) every 16 KiB and every 50 microseconds, so a
 * fast generator costs a system call per hundreds of chunks and the chunk of a slow one
 * leaves at once. For the few chunks that a generator leaves behind when it turns slow
 * suddenly, the helper publishes.
 *
 * Publishing is also when the thread looks around: it reads the sockets if nobody else
 * does, lets other jobs have their turn, and stops when the peer does not read.
 */
#include "runtime/runtime.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum {
    PUBLISH_BYTES = 16 * 1024,
    PUBLISH_US = 50,
    BRISK_US = 5, /* mean pause of a generator that needs no clock per chunk */
    BRISK_CHUNKS = 8,
    PREFIX_BYTES = 5,  /* gRPC: not compressed, length */
    ID_BYTES = 24,     /* "-" and a 64-bit number */
    FRAMING_BYTES = 32 /* tags and lengths around the fields */
};

/* What a chunk carries. */
struct item {
    sp_bytes data;
    sp_bytes binary;
};

/* ---- publishing; under smu ---- */

int sp__job_publish(struct sp_job *job)
{
    size_t end = atomic_load_explicit(&job->pend_n, memory_order_acquire);
    size_t size = end - job->pend_off;
    if (size == 0 || job->stream == NULL) {
        job->pend_off = end;
        return 0;
    }
    if (sp__h2_write_framed(job->stream, job->pend + job->pend_off, size, NULL) < 0) {
        sp__h2_reset(job->stream, RST_INTERNAL); /* no memory: a gap must not pass */
    }
    job->pend_off = end;
    job->conn->dirty = 1;
    return 1;
}

void sp__job_publish_own(struct sp_job *job)
{
    (void)sp__job_publish(job);
    atomic_store_explicit(&job->pend_n, 0, memory_order_relaxed);
    job->pend_off = 0;
}

int sp__jobs_publish(struct sp_worker *w)
{
    int any = 0;
    for (uint32_t i = 0; i < w->slots_count; i++) {
        if (w->slots[i].cur != NULL) {
            any |= sp__job_publish(w->slots[i].cur);
        }
    }
    return any;
}

/* ---- writing a chunk; the owner, without the lock ---- */

static size_t chunk_size_max(const struct sp_job *job, const struct item *item)
{
    return PREFIX_BYTES + FRAMING_BYTES + ID_BYTES + job->request.tool_name.size +
           item->data.size + item->binary.size;
}

/* Append "<tool>-<n>" to `out`, which has room. */
static void put_id(struct sp_job *job, uint8_t *out, size_t *ret_size)
{
    char digits[ID_BYTES];
    size_t at = sizeof digits;
    uint64_t n = ++job->chunks;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    digits[--at] = '-';
    size_t name = job->request.tool_name.size;
    memcpy(out, job->request.tool_name.data, name);
    memcpy(out + name, digits + at, sizeof digits - at);
    *ret_size = name + sizeof digits - at;
}

/* Append prefix and message of a chunk. */
static int put_chunk(struct sp_job *job, struct sp_buffer *out, const struct item *item,
                     int is_final, sp_error *err)
{
    uint8_t id[256 + ID_BYTES];
    size_t id_size;
    size_t start = out->size;
    put_id(job, id, &id_size);
    int rc = sp__buf_reserve(out, chunk_size_max(job, item), err);
    if (rc < 0) {
        return rc;
    }
    out->size += PREFIX_BYTES;
    rc = sp__proto_put_chunk(out,
                             &(struct proto_chunk){.chunk_id = {id, id_size},
                                                   .data = item->data,
                                                   .binary = item->binary,
                                                   .is_final = is_final},
                             err);
    if (rc < 0) {
        out->size = start;
        return rc;
    }
    size_t size = out->size - start - PREFIX_BYTES;
    if (size > UINT32_MAX) {
        out->size = start;
        return sp__fail(err, SP_ERR_TOO_BIG, "a chunk of %zu bytes", size);
    }
    uint8_t *prefix = out->data + start;
    prefix[0] = 0;
    prefix[1] = (uint8_t)(size >> 24);
    prefix[2] = (uint8_t)(size >> 16);
    prefix[3] = (uint8_t)(size >> 8);
    prefix[4] = (uint8_t)size;
    return SP_OK;
}

/* To the job's area; there is room. */
static int put_in_area(struct sp_job *job, const struct item *item, sp_error *err)
{
    if (job->pend == NULL) {
        job->pend = sp__malloc(PEND_BYTES);
        if (job->pend == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a stream's chunks");
        }
    }
    size_t end = atomic_load_explicit(&job->pend_n, memory_order_relaxed);
    struct sp_buffer area = {
        .data = job->pend, .size = end, .capacity = PEND_BYTES, .max = PEND_BYTES};
    int rc = put_chunk(job, &area, item, 0, err);
    if (rc == SP_OK) {
        atomic_store_explicit(&job->pend_n, area.size, memory_order_release);
    }
    return rc;
}

/* Whether it is time to publish. A generator that has been brisk for a while is asked
 * for the time only at every eighth chunk. */
static int is_due(struct sp_job *job)
{
    size_t end = atomic_load_explicit(&job->pend_n, memory_order_relaxed);
    job->unclocked++;
    if (end >= PUBLISH_BYTES) {
        return 1;
    }
    if (job->brisk && job->unclocked < BRISK_CHUNKS) {
        return 0;
    }
    uint64_t now_us = sp__now_us();
    uint64_t pause_us = now_us - job->clock_us;
    job->brisk = pause_us <= (uint64_t)BRISK_US * job->unclocked;
    job->clock_us = now_us;
    job->unclocked = 0;
    return now_us - job->publish_us >= PUBLISH_US;
}

/* ---- looking around ---- */

/* Under smu, attending: everything of the job is with h2. 1 go on, 0 wait, or
 * SP_ERR_CANCELLED. */
static int look_around(struct sp_job *job, struct slot *slot)
{
    struct sp_worker *w = job->worker;
    sp__conns_flush(w);
    if (w->leader == LEADER_NONE) {
        for (size_t i = 0; i < w->conns_count; i++) {
            w->conns[i]->hot |= w->conns[i]->role != CONN_HOST;
        }
        if (sp__conns_pump(w, slot)) {
            sp__conns_flush(w);
        }
    }
    if (job->stream == NULL) {
        return SP_ERR_CANCELLED;
    }
    if (sp__h2_queued(job->stream) > HIGH_WATER) {
        sp__job_leave(job);
        job->state = JOB_PARKED; /* on_drained brings it back */
        return 0;
    }
    if (sp__job_waits(w)) {
        sp__job_leave(job);
        sp__job_push_turn(job);
        return 0;
    }
    return 1;
}

/* Publish, with a chunk too large for the area behind what is in it. */
static int publish(struct sp_job *job, const struct item *large, sp_error *err)
{
    struct sp_worker *w = job->worker;
    struct slot *slot = &w->slots[job->slot];
    int rc = SP_OK;
    if (large != NULL) {
        slot->out.size = 0;
        rc = put_chunk(job, &slot->out, large, 0, err);
        if (rc < 0) {
            return rc;
        }
    }
    sp__slot_back(w, slot);
    sp__job_publish_own(job);
    if (large != NULL && job->stream != NULL) {
        rc = sp__h2_write_framed(job->stream, slot->out.data, slot->out.size, err);
        job->conn->dirty = 1;
    }
    job->publish_us = job->clock_us;
    if (rc == SP_OK || rc == SP_ERR_CLOSED) {
        rc = look_around(job, slot);
    }
    sp__slot_away(w, slot);
    if (large != NULL) {
        slot->out.size = 0;
        sp__buf_shrink(&slot->out, SLOT_BUFFER_KEEP);
    }
    return rc == SP_ERR_CANCELLED
               ? sp__fail(err, rc, "nobody listens to the stream any more")
               : rc;
}

/* The chunk of a job that was set aside: its thread comes by before it waits, so it is
 * gathered with what else there is to write. */
static int put_aside(struct sp_job *job, const struct item *item, sp_error *err)
{
    struct sp_worker *w = job->worker;
    struct slot *slot = &w->slots[job->slot];
    slot->out.size = 0;
    int rc = put_chunk(job, &slot->out, item, 0, err);
    if (rc < 0) {
        return rc;
    }
    sp__runtime_lock(w);
    if (job->stream != NULL) {
        rc = sp__h2_write_framed(job->stream, slot->out.data, slot->out.size, err);
        sp__job_answered(w, job->conn, slot->out.size);
    }
    if (job->stream != NULL && sp__h2_queued(job->stream) > HIGH_WATER) {
        sp__conns_flush(w);
    }
    if (rc == SP_ERR_CLOSED || job->stream == NULL) { /* also when writing ended it */
        rc = sp__fail(err, SP_ERR_CANCELLED, "nobody listens to the stream any more");
    } else if (rc == SP_OK && sp__h2_queued(job->stream) > HIGH_WATER) {
        sp__list_remove(&job->on_list);
        job->is_aside = 0;
        job->state = JOB_PARKED; /* on_drained brings it back */
    } else if (rc == SP_OK) {
        rc = 1;
    }
    sp__runtime_unlock(w);
    slot->out.size = 0;
    sp__buf_shrink(&slot->out, SLOT_BUFFER_KEEP);
    return rc;
}

SP_API int sp_job_chunk(sp_job *job, sp_bytes chunk, sp_error *err)
{
    return sp_job_chunk_binary(job, chunk, (sp_bytes){0}, err);
}

SP_API int sp_job_chunk_binary(sp_job *job, sp_bytes chunk, sp_bytes binary,
                               sp_error *err)
{
    struct item item = {chunk, binary};
    if (sp_job_cancelled(job) ||
        atomic_load_explicit(&job->worker->forgotten, memory_order_relaxed)) {
        return sp__fail(err, SP_ERR_CANCELLED, "nobody listens to the stream any more");
    }
    if (job->rpc.method != RPC_STREAM) {
        return sp__fail(err, SP_ERR_INVAL, "a call has one result, not chunks");
    }
    if (job->is_aside) {
        return put_aside(job, &item, err);
    }
    size_t need = chunk_size_max(job, &item);
    size_t used = atomic_load_explicit(&job->pend_n, memory_order_relaxed);
    if (need > PEND_BYTES - used) {
        return publish(job, &item, err);
    }
    int rc = put_in_area(job, &item, err);
    if (rc < 0) {
        return rc;
    }
    return is_due(job) ? publish(job, NULL, err) : 1;
}

/* ---- the end ---- */

int sp__chunk_finish(struct sp_job *job, const sp_bytes *last, sp_bytes binary,
                     sp_error *err)
{
    static const struct item nothing;
    struct item item = {last != NULL ? *last : (sp_bytes){0}, binary};
    struct sp_worker *w = job->worker;
    struct slot *slot = &w->slots[job->slot];
    slot->out.size = 0;
    int rc = last != NULL ? put_chunk(job, &slot->out, &item, 0, err) : SP_OK;
    if (rc == SP_OK) {
        rc = put_chunk(job, &slot->out, &nothing, 1, err);
    }

    sp__runtime_lock(w);
    (void)sp__job_publish(job);
    if (job->stream != NULL && rc == SP_OK) {
        rc = sp__h2_write_framed(job->stream, slot->out.data, slot->out.size, err);
    }
    if (job->stream != NULL) {
        int status = rc < 0 ? GRPC_INTERNAL : GRPC_OK;
        if (sp__job_finish(job, status, NULL, (sp_bytes){0}, NULL) < 0) {
            sp__h2_reset(job->stream, RST_INTERNAL);
        }
    }
    rc = job->stream == NULL || rc == SP_ERR_CLOSED ? SP_OK : rc;
    sp__job_end(job, slot->out.size, rc < 0);
    sp__runtime_unlock(w);
    slot->out.size = 0;
    sp__buf_shrink(&slot->out, SLOT_BUFFER_KEEP);
    return rc;
}

SP_API int sp_job_end(sp_job *job, sp_error *err)
{
    struct sp_worker *w = job->worker;
    if (atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        return SP_OK;
    }
    if (job->rpc.method == RPC_STREAM) {
        return sp__chunk_finish(job, NULL, (sp_bytes){0}, err);
    }
    return sp_job_fail(job, SP_ERR_REMOTE, "NoResult", "the tool gave no result", NULL,
                       err);
}
