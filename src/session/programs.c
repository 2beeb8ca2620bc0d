/* SPDX-License-Identifier: MIT */
/*
 * Programs: named JSON, in a session or shared by all.
 *
 * A place is what both have in common: a table under a lock that is held. For a session
 * it is the session with its gate taken, or locked to read; the global programs have a
 * table, a lock and a gate of their own, and a heap of expiries. Texts are checked and copied
 * before the place is entered, so that no lock is held for the length of a program.
 */
#include "session/programs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "session/checks.h"
#include "session/keep.h"
#include "session/variable.h"

enum { EXPIRED_AT_ONCE = 32, GLOBAL_TTL_MS = 3600000 };

struct place {
    struct names *programs;
    struct session *session; /* NULL: global */
};

static int enter(struct sp_sessions *sessions, const char *session_id, int to_change,
                 struct place *ret, sp_error *err)
{
    *ret = (struct place){.programs = &sessions->global_programs};
    if (session_id == NULL) {
        (void)pthread_mutex_lock(&sessions->global_lock);
        while (to_change && sessions->global_changing) {
            (void)pthread_cond_wait(&sessions->global_opened, &sessions->global_lock);
        }
        sessions->global_changing |= to_change;
        return SP_OK;
    }
    int rc = to_change ? sp__session_change(sessions, session_id, &ret->session, err)
                       : sp__session_lock(sessions, session_id, &ret->session, err);
    if (rc == SP_OK) {
        ret->programs = &ret->session->programs;
    }
    return rc;
}

static void leave(struct sp_sessions *sessions, const struct place *place, int changed)
{
    if (place->session != NULL && changed) {
        sp__session_changed(place->session);
    } else if (place->session != NULL) {
        sp__session_unlock(place->session);
    } else {
        if (changed) {
            sessions->global_changing = 0;
            (void)pthread_cond_signal(&sessions->global_opened);
        }
        (void)pthread_mutex_unlock(&sessions->global_lock);
    }
    if (changed) {
        sp__keep_news(sessions);
    }
}

/* Gate taken, locked: store it. */
static int keep(struct sp_sessions *sessions, const struct place *place,
                const struct record *record, sp_error *err)
{
    int shrinks = record->kind == RECORD_PROGRAM_DELETE;
    return place->session == NULL ? sp__keep_global(sessions, record, shrinks, err)
           : shrinks ? sp__keep_removal(sessions, place->session, record, err)
                     : sp__keep(sessions, place->session, record, 1, err);
}

static size_t bytes_of(const struct program *program)
{
    return sizeof *program + program->node.size + program->data_size + 2;
}

static void count(const struct place *place, size_t more, size_t less)
{
    if (place->session != NULL) {
        sp__session_count(place->session, more, less);
    }
}

/* One whose time is over is not found, and waits for the cleanup. */
static struct program *find(struct sp_sessions *sessions, const struct place *place,
                            const char *id, size_t size)
{
    struct name_node *node = sp__names_find(place->programs, id, size);
    struct program *program = node == NULL ? NULL : ITEM(node, struct program, node);
    return program == NULL || program->expires_ms <= sessions->now_ms() ? NULL
                                                                        : program;
}

static int not_found(const char *id, const char *session_id, sp_error *err)
{
    struct excerpt name = sp__excerpt(id, strlen(id));
    return session_id == NULL
               ? sp__fail(err, SP_ERR_NOT_FOUND, "no global program \"%s\"", name.text)
               : sp__fail(err, SP_ERR_NOT_FOUND, "no program \"%s\" in session \"%s\"",
                          name.text, session_id);
}

/* ---- in and out of a place ---- */

void sp__program_free(struct program *program)
{
    if (program != NULL) {
        sp__free(program->data);
        sp__free(program);
    }
}

static void take_out(struct sp_sessions *sessions, const struct place *place,
                     struct program *program)
{
    sp__names_remove(place->programs, &program->node);
    if (place->session == NULL) {
        sp__heap_remove(&sessions->global_expiry, &program->in_heap);
    }
    count(place, 0, bytes_of(program));
}

int sp__program_build(const char *id, const char *data, size_t max,
                      struct program **ret_program, sp_error *err)
{
    size_t size;
    size_t data_size = strlen(data);
    int rc = sp__check_name("program id", id, &size, err);
    if (rc == SP_OK) {
        rc = sp__check_json("the program", data, data_size, max, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct program *program = sp__calloc(1, sizeof *program + size + 1);
    if (program == NULL || (program->data = sp__strndup(data, data_size)) == NULL) {
        sp__free(program);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a program");
    }
    memcpy(program->id, id, size);
    program->node.size = (uint32_t)size;
    program->data_size = data_size;
    program->ttl_ms = SP_UNLIMITED;
    program->expires_ms = SP_UNLIMITED;
    program->created_unix_ms = program->updated_unix_ms = sp__unix_ns() / 1000000u;
    *ret_program = program;
    return SP_OK;
}

static int has_room(struct sp_sessions *sessions, const struct place *place,
                    const struct program *fresh, const struct program *old,
                    sp_error *err)
{
    uint64_t max = sessions->options.programs_max;
    if (old == NULL && place->programs->length >= max) {
        return sp__fail(err, SP_ERR_QUOTA, "there are %zu programs, as many as may be",
                        place->programs->length);
    }
    return place->session == NULL
               ? SP_OK
               : sp__session_has_room(sessions, place->session, bytes_of(fresh), err);
}

/* So that putting one in cannot fail. */
static int make_room(struct sp_sessions *sessions, const struct place *place,
                     sp_error *err)
{
    size_t length = place->programs->length + 1;
    int rc = sp__names_reserve(place->programs, length);
    if (rc == SP_OK && place->session == NULL) {
        rc = sp__heap_reserve(&sessions->global_expiry, length);
    }
    return rc < 0 ? sp__fail(err, rc, "no memory for a program") : SP_OK;
}

static void put_in(struct sp_sessions *sessions, const struct place *place,
                   struct program *program)
{
    int rc =
        sp__names_put(place->programs, &program->node, program->id, program->node.size);
    assert(rc == SP_OK); /* room was made */
    (void)rc;
    if (place->session == NULL && program->expires_ms != SP_UNLIMITED) {
        sp__heap_push(&sessions->global_expiry, &program->in_heap, program->expires_ms);
    }
    count(place, bytes_of(program), 0);
}

/* The fresh one in, and the old one, when there is one, out to be freed. */
static int exchange(struct sp_sessions *sessions, const struct place *place,
                    struct program *fresh, struct program *old, sp_error *err)
{
    int rc = has_room(sessions, place, fresh, old, err);
    if (rc == SP_OK) {
        rc = make_room(sessions, place, err);
    }
    if (rc == SP_OK) {
        struct record record = sp__record_program(sessions, place->session, fresh);
        rc = keep(sessions, place, &record, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (old != NULL) {
        take_out(sessions, place, old);
    }
    put_in(sessions, place, fresh);
    return SP_OK;
}

int sp__program_restore(struct sp_sessions *sessions, struct session *session,
                        struct program *program, sp_error *err)
{
    struct place place = {.programs = session == NULL ? &sessions->global_programs
                                                      : &session->programs,
                          .session = session};
    int rc = make_room(sessions, &place, err);
    if (rc == SP_OK) {
        put_in(sessions, &place, program);
    }
    return rc;
}

static int is_there(const struct place *place, const struct program *like,
                    struct program **ret)
{
    struct name_node *node = sp__names_find(place->programs, like->id, like->node.size);
    *ret = node == NULL ? NULL : ITEM(node, struct program, node);
    return node != NULL;
}

/* ---- operations ---- */

/* It went well: tell who listens. */
static void note(struct sp_sessions *sessions, const char *session_id, int kind,
                 const char *id, int rc)
{
    if (rc == SP_OK && sp__herald_wants(sessions->herald, kind)) {
        sp__sessions_note(sessions, session_id,
                          (struct tidings){.event = {.kind = kind}, EVENT_TEXTS(id)});
    }
}

int sp__program_store(struct sp_sessions *sessions, const char *session_id,
                      const char *id, const char *data, uint64_t ttl_ms, sp_error *err)
{
    struct place place;
    struct program *fresh = NULL;
    struct program *old = NULL;
    if (session_id != NULL && ttl_ms != 0) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a program of a session has no time to live of its own");
    }
    int rc = sp__program_build(id, data, sessions->options.value_bytes, &fresh, err);
    if (rc == SP_OK) {
        rc = enter(sessions, session_id, 1, &place, err);
        if (rc == SP_OK) {
            uint64_t now_ms = sessions->now_ms();
            ttl_ms = ttl_ms == 0 ? GLOBAL_TTL_MS : ttl_ms;
            if (session_id == NULL && ttl_ms < SP_UNLIMITED - now_ms) {
                fresh->ttl_ms = ttl_ms;
                fresh->expires_ms = now_ms + ttl_ms;
            }
            (void)is_there(&place, fresh, &old);
            rc = exchange(sessions, &place, fresh, old, err);
            leave(sessions, &place, 1);
        }
    }
    sp__program_free(rc < 0 ? fresh : old);
    note(sessions, session_id, SP_EVENT_PROGRAM_STORED, id, rc);
    return rc;
}

int sp__program_update(struct sp_sessions *sessions, const char *session_id,
                       const char *id, const char *data, sp_error *err)
{
    struct place place;
    struct program *fresh = NULL;
    struct program *old = NULL;
    int rc = sp__program_build(id, data, sessions->options.value_bytes, &fresh, err);
    if (rc == SP_OK) {
        rc = enter(sessions, session_id, 1, &place, err);
        if (rc == SP_OK) {
            old = find(sessions, &place, id, fresh->node.size);
            if (old == NULL) {
                rc = not_found(id, session_id, err);
            } else {
                fresh->created_unix_ms = old->created_unix_ms;
                fresh->ttl_ms = old->ttl_ms;
                fresh->expires_ms = old->expires_ms;
                rc = exchange(sessions, &place, fresh, old, err);
            }
            leave(sessions, &place, 1);
        }
    }
    sp__program_free(rc < 0 ? fresh : old);
    note(sessions, session_id, SP_EVENT_PROGRAM_STORED, id, rc);
    return rc;
}

/* The public struct, in one block of memory. */
static int copy(const struct program *program, uint64_t now_ms, sp_program *ret,
                sp_error *err)
{
    size_t id_size = program->node.size + 1;
    char *memory = sp__malloc(id_size + program->data_size + 1);
    if (memory == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a copy of a program");
    }
    memcpy(memory, program->id, id_size);
    memcpy(memory + id_size, program->data, program->data_size + 1);
    *ret = (sp_program){.id = memory,
                        .data = memory + id_size,
                        .data_size = program->data_size,
                        .created_unix_ms = program->created_unix_ms,
                        .updated_unix_ms = program->updated_unix_ms,
                        .remaining_ms = program->expires_ms == SP_UNLIMITED
                                            ? SP_UNLIMITED
                                            : program->expires_ms - now_ms,
                        .memory = memory};
    return SP_OK;
}

int sp__program_get(struct sp_sessions *sessions, const char *session_id,
                    const char *id, sp_program *ret_program, sp_error *err)
{
    struct place place;
    size_t size;
    int rc = sp__check_name("program id", id, &size, err);
    if (rc == SP_OK) {
        rc = enter(sessions, session_id, 0, &place, err);
    }
    if (rc < 0) {
        return rc;
    }
    uint64_t now_ms = sessions->now_ms();
    const struct program *program = find(sessions, &place, id, size);
    rc = program == NULL ? not_found(id, session_id, err)
                         : copy(program, now_ms, ret_program, err);
    leave(sessions, &place, 0);
    note(sessions, session_id, SP_EVENT_PROGRAM_RETRIEVED, id, rc);
    return rc;
}

int sp__program_delete(struct sp_sessions *sessions, const char *session_id,
                       const char *id, sp_error *err)
{
    struct place place;
    size_t size;
    int rc = sp__check_name("program id", id, &size, err);
    if (rc == SP_OK) {
        rc = enter(sessions, session_id, 1, &place, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct program *program = find(sessions, &place, id, size);
    if (program == NULL) {
        rc = not_found(id, session_id, err);
    } else {
        struct record gone = {.kind = RECORD_PROGRAM_DELETE,
                              .session = place.session == NULL ? 0 : place.session->key,
                              .name = program->id};
        rc = keep(sessions, &place, &gone, err);
    }
    if (rc == SP_OK) {
        take_out(sessions, &place, program);
    }
    leave(sessions, &place, 1);
    if (rc == SP_OK) {
        sp__program_free(program);
    }
    note(sessions, session_id, SP_EVENT_PROGRAM_DELETED, id, rc);
    return rc;
}

/* ---- lists ---- */

static int copy_all(struct sp_sessions *sessions, const struct place *place,
                    struct sp_buffer *out, sp_error *err)
{
    size_t at = 0;
    uint64_t now_ms = sessions->now_ms();
    struct name_node *node = NULL;
    while ((node = sp__names_next(place->programs, &at, node)) != NULL) {
        const struct program *program = ITEM(node, struct program, node);
        sp_program made;
        if (program->expires_ms <= now_ms) {
            continue;
        }
        int rc = sp__buf_reserve(out, sizeof made, err);
        if (rc == SP_OK) {
            rc = copy(program, now_ms, &made, err);
        }
        if (rc < 0) {
            return rc;
        }
        memcpy(out->data + out->size, &made, sizeof made);
        out->size += sizeof made;
    }
    return SP_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const sp_program *)a)->id, ((const sp_program *)b)->id);
}

int sp__programs_list(struct sp_sessions *sessions, const char *session_id,
                      sp_program_cb cb, void *user_data, sp_error *err)
{
    struct place place;
    struct sp_buffer out;
    int rc = enter(sessions, session_id, 0, &place, err);
    if (rc < 0) {
        return rc;
    }
    sp__buf_init(&out, SIZE_MAX);
    rc = copy_all(sessions, &place, &out, err);
    leave(sessions, &place, 0);
    sp_program *programs = (sp_program *)(void *)out.data;
    size_t number = out.size / sizeof *programs;
    if (rc == SP_OK && number > 0) {
        qsort(programs, number, sizeof *programs, compare_ids);
    }
    for (size_t i = 0; i < number; i++) {
        if (rc == SP_OK && cb != NULL) {
            cb(&programs[i], user_data);
        }
        sp__free(programs[i].memory);
    }
    sp__buf_fini(&out);
    return rc < 0 ? rc : (int)number;
}

/* ---- ends ---- */

int sp__programs_free(struct names *programs, size_t *budget)
{
    /* From the back, so that the walk need not begin anew after each portion. */
    while (programs->capacity > 0) {
        struct name_node **bucket = &programs->buckets[programs->capacity - 1];
        while (*bucket != NULL && *budget > 0) {
            struct name_node *node = *bucket;
            *bucket = node->next;
            sp__program_free(ITEM(node, struct program, node));
            (*budget)--;
        }
        if (*bucket != NULL) {
            return 0;
        }
        programs->capacity--;
    }
    sp__names_fini(programs);
    return 1;
}

int sp__programs_expire(struct sp_sessions *sessions)
{
    struct place place = {.programs = &sessions->global_programs};
    struct program *over[EXPIRED_AT_ONCE];
    size_t number = 0;
    uint64_t now_ms = sessions->now_ms();
    (void)pthread_mutex_lock(&sessions->global_lock);
    struct heap_node *first;
    /* Whoever has the gate holds on to a program: they stay until the next time. */
    while (!sessions->global_changing && number < EXPIRED_AT_ONCE &&
           (first = sp__heap_first(&sessions->global_expiry)) != NULL &&
           first->key <= now_ms) {
        over[number] = ITEM(first, struct program, in_heap);
        sp__keep_program_end(sessions, over[number]);
        take_out(sessions, &place, over[number++]);
    }
    (void)pthread_mutex_unlock(&sessions->global_lock);
    for (size_t i = 0; i < number; i++) {
        sp__program_free(over[i]);
    }
    return number > 0;
}
