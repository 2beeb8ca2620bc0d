/* SPDX-License-Identifier: MIT */
/*
 * Sessions seen from outside: copies of one, of all, and their sums.
 *
 * Nothing outside the locks ever looks into a session; what leaves is a copy of one
 * moment, in one block of memory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "session/sessions.h"
#include "store/store.h"

int sp__session_describe(const struct session *session, uint64_t now_ms,
                         sp_session_info *ret_info, sp_error *err)
{
    size_t id_size = session->node.size + 1;
    size_t metadata_size = strlen(session->metadata) + 1;
    char *memory = sp__malloc(id_size + metadata_size);
    if (memory == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a copy of the session");
    }
    memcpy(memory, session->id, id_size);
    memcpy(memory + id_size, session->metadata, metadata_size);
    uint64_t expires_ms = session->expires_ms;
    *ret_info = (sp_session_info){
        .id = memory,
        .metadata = memory + id_size,
        .ttl_ms = session->ttl_ms,
        .remaining_ms = expires_ms == SP_UNLIMITED ? SP_UNLIMITED
                        : expires_ms > now_ms      ? expires_ms - now_ms
                                                   : 0,
        .created_unix_ms = session->created_unix_ms,
        .used_unix_ms = sp__unix_ns() / 1000000u - (now_ms - session->used_ms),
        .bytes = session->bytes,
        .variables = session->variables.length,
        .programs = session->programs.length,
        .tools = session->tools.length,
        .durability = session->durability,
        .memory = memory,
    };
    return SP_OK;
}

int sp__session_get(struct sp_sessions *sessions, const char *id,
                    sp_session_info *ret_info, sp_error *err)
{
    struct session *session;
    int rc = sp__session_lock(sessions, id, &session, err);
    if (rc < 0) {
        return rc;
    }
    if (ret_info != NULL) {
        rc = sp__session_describe(session, session->used_ms, ret_info, err);
    }
    sp__session_unlock(session);
    return rc;
}

/* ---- all of them ---- */

static int add_shard(struct shard *shard, uint64_t now_ms, struct sp_buffer *infos,
                     sp_error *err)
{
    size_t at = 0;
    struct name_node *node = NULL;
    while ((node = sp__names_next(&shard->by_id, &at, node)) != NULL) {
        const struct session *session = ITEM(node, struct session, node);
        sp_session_info info;
        if (!sp__session_is_there(session, now_ms)) {
            continue;
        }
        int rc = sp__buf_reserve(infos, sizeof info, err);
        if (rc == SP_OK) {
            rc = sp__session_describe(session, now_ms, &info, err);
        }
        if (rc < 0) {
            return rc;
        }
        memcpy(infos->data + infos->size, &info, sizeof info);
        infos->size += sizeof info;
    }
    return SP_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const sp_session_info *)a)->id, ((const sp_session_info *)b)->id);
}

int sp__sessions_list(struct sp_sessions *sessions, sp_session_cb cb, void *user_data,
                      sp_error *err)
{
    struct sp_buffer buf;
    uint64_t now_ms = sessions->now_ms();
    int rc = SP_OK;
    sp__buf_init(&buf, INT32_MAX);
    for (size_t i = 0; rc == SP_OK && i < SHARDS; i++) {
        (void)pthread_mutex_lock(&sessions->shards[i].lock);
        rc = add_shard(&sessions->shards[i], now_ms, &buf, err);
        (void)pthread_mutex_unlock(&sessions->shards[i].lock);
    }
    sp_session_info *infos = (sp_session_info *)(void *)buf.data;
    size_t count = buf.size / sizeof *infos;
    if (rc == SP_OK && count > 0) {
        qsort(infos, count, sizeof *infos, compare_ids);
    }
    for (size_t i = 0; i < count; i++) {
        if (rc == SP_OK && cb != NULL) {
            cb(&infos[i], user_data);
        }
        sp__free(infos[i].memory);
    }
    sp__buf_fini(&buf);
    return rc < 0 ? rc : (int)count;
}

int sp__sessions_store(const struct sp_sessions *sessions)
{
    if (sessions->store == NULL) {
        return SP_STORE_NONE;
    }
    switch (sp__store_state(sessions->store)) {
    case STORE_OK:
        return SP_STORE_OK;
    case STORE_NO_ROOM:
        return SP_STORE_FULL;
    case STORE_FAILED:
        break;
    }
    return SP_STORE_FAILED;
}

void sp__sessions_sum(struct sp_sessions *sessions, sp_sessions_stats *ret_stats)
{
    sp_sessions_stats sum = {.sessions_max = sessions->options.sessions_max,
                             .cleanup_runs = atomic_load(&sessions->cleanup_runs),
                             .durability = sessions->options.durability,
                             .store = sp__sessions_store(sessions)};
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &sessions->shards[i];
        (void)pthread_mutex_lock(&shard->lock);
        sum.sessions += shard->by_id.length;
        sum.sessions_created += shard->created;
        sum.sessions_deleted += shard->deleted;
        sum.sessions_expired += shard->expired;
        sum.memory_bytes += shard->bytes;
        sum.variables += shard->variables;
        (void)pthread_mutex_unlock(&shard->lock);
    }
    *ret_stats = sum;
}
