/* SPDX-License-Identifier: MIT */
/*
 * Watching a folder. It is one process's at a time, so while it is held nothing changes:
 * look, let go of it, wait, look again.
 *
 * What has changed is told from what is known of each variable: versions that have come
 * are in its history, so none is left out unless more came between two looks than are
 * kept. A look counts as using the session. The larger the state is, the longer are the
 * pauses, so that others get at it.
 */
#include "state.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct known {
    char *name;
    char *locked_by;
    uint64_t version;
    int is_new;  /* registered since the look before */
    int is_seen; /* in this look */
};

struct follow {
    struct cli *cli;
    sp_sessions *sessions;
    struct known *known;
    size_t known_count;
    int is_first; /* look */
    uint64_t shown;
    int code; /* of the output */
};

static int is_wanted(const struct cli *cli, const char *name)
{
    for (int i = 1; i < cli->words_count; i++) {
        if (strcmp(cli->words[i], name) == 0) {
            return 1;
        }
    }
    return cli->words_count == 1;
}

static int is_over(const struct follow *follow)
{
    return follow->code != CODE_OK ||
           (follow->cli->count > 0 && follow->shown >= follow->cli->count);
}

static void show(struct follow *follow, int kind, const sp_variable *variable)
{
    if (!is_over(follow)) {
        follow->code = show_change(follow->cli, kind, variable);
        follow->shown++;
    }
}

static struct known *find(struct follow *follow, const char *name)
{
    for (size_t i = 0; i < follow->known_count; i++) {
        if (strcmp(follow->known[i].name, name) == 0) {
            return &follow->known[i];
        }
    }
    follow->known =
        need(realloc(follow->known, (follow->known_count + 1) * sizeof *follow->known));
    struct known *known = &follow->known[follow->known_count++];
    *known = (struct known){
        .name = need(strdup(name)), .locked_by = need(strdup("")), .is_new = 1};
    return known;
}

/* One of the versions that came. */
struct wanted {
    struct follow *follow;
    uint64_t version;
    int kind;
};

static void show_version(const sp_variable *variable, void *user_data)
{
    struct wanted *wanted = user_data;
    if (variable->version == wanted->version) {
        show(wanted->follow, wanted->kind, variable);
    }
}

/* In the order in which they were made; of the history there is little. */
static void show_versions(struct follow *follow, const sp_variable *variable,
                          uint64_t from)
{
    for (uint64_t version = from; version <= variable->version; version++) {
        struct wanted wanted = {follow, version,
                                version == 0 ? SP_CHANGE_REGISTERED : SP_CHANGE_VALUE};
        (void)sp_variable_history(follow->sessions, follow->cli->words[0],
                                  variable->name, 0, show_version, &wanted, NULL);
    }
}

static void look_at(const sp_variable *variable, void *user_data)
{
    struct follow *follow = user_data;
    if (!is_wanted(follow->cli, variable->name)) {
        return;
    }
    struct known *known = find(follow, variable->name);
    if (follow->is_first && follow->cli->initial) {
        show(follow, SP_CHANGE_INITIAL, variable);
    } else if (!follow->is_first) {
        show_versions(follow, variable, known->is_new ? 0 : known->version + 1);
    }
    if (!follow->is_first && strcmp(known->locked_by, variable->locked_by) != 0) {
        show(follow, SP_CHANGE_LOCK, variable);
    }
    free(known->locked_by);
    known->locked_by = need(strdup(variable->locked_by));
    known->version = variable->version;
    known->is_new = 0;
    known->is_seen = 1;
}

/* Those that were there and are not any more. */
static void forget_deleted(struct follow *follow)
{
    size_t kept = 0;
    for (size_t i = 0; i < follow->known_count; i++) {
        struct known *known = &follow->known[i];
        if (known->is_seen) {
            known->is_seen = 0;
            follow->known[kept++] = *known;
            continue;
        }
        const sp_variable gone = {.id = "",
                                  .name = known->name,
                                  .type = "",
                                  .value = "null",
                                  .value_size = 4,
                                  .constraints = "{}",
                                  .metadata = "{}",
                                  .version = known->version};
        show(follow, SP_CHANGE_DELETED, &gone);
        free(known->name);
        free(known->locked_by);
    }
    follow->known_count = kept;
}

/* One look. The state is closed again, whatever it gives. */
static int look(struct follow *follow, sp_error *err)
{
    int rc = sp_variables_list(follow->sessions, follow->cli->words[0], NULL, look_at,
                               follow, err);
    if (rc >= 0) {
        forget_deleted(follow);
    }
    follow->is_first = 0;
    sp_sessions_close(follow->sessions);
    follow->sessions = NULL;
    return rc;
}

/* Others have the state for at least ten times as long as this look took. */
static void pause_after(uint64_t took_ms)
{
    enum { PAUSE_MS = 100, SHARE = 10, PAUSE_MAX_MS = 10000 };
    uint64_t pause_ms = took_ms * SHARE > PAUSE_MS ? took_ms * SHARE : PAUSE_MS;
    (void)poll(NULL, 0, (int)(pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS));
}

int var_follow(struct cli *cli, struct state *state, sp_error *err)
{
    struct follow follow = {.cli = cli, .sessions = state->sessions, .is_first = 1};
    uint64_t changed_ms = clock_ms();
    for (;;) {
        uint64_t begun_ms = clock_ms();
        uint64_t shown = follow.shown;
        if (follow.sessions == NULL && state_open(cli, state, err) < 0) {
            break;
        }
        follow.sessions = state->sessions;
        if (look(&follow, err) < 0 || is_over(&follow)) {
            break;
        }
        uint64_t ended_ms = clock_ms();
        changed_ms = follow.shown > shown ? ended_ms : changed_ms;
        if (cli->timeout_ms != 0 && ended_ms - changed_ms >= cli->timeout_ms) {
            break;
        }
        pause_after(ended_ms - begun_ms);
        if (watch_interrupted()) {
            follow.code = CODE_INTERRUPTED;
            break;
        }
    }
    for (size_t i = 0; i < follow.known_count; i++) {
        free(follow.known[i].name);
        free(follow.known[i].locked_by);
    }
    free(follow.known);
    return follow.code;
}
