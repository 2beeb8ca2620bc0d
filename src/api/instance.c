/* SPDX-License-Identifier: MIT */
/*
 * Instances from outside: list them, and end what a killed host left.
 *
 * Looking takes no lock and changes nothing. Cleaning up is being the instance's host
 * for a moment: the same lock, the same sweep (guard/instance.c), and the folder is gone
 * when nothing is left.
 */
#include "snakepit/instance.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "guard/instance.h"

/* ---- where ---- */

/* Of the state of this user's instances: 1, or 0 when nobody says where he is at home. */
static int find_state(char *path, size_t max)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (state != NULL && state[0] == '/') {
        (void)snprintf(path, max, "%s/snakepit", state);
    } else if (geteuid() == 0) {
        (void)snprintf(path, max, "/var/lib/snakepit");
    } else if (home != NULL && home[0] == '/') {
        (void)snprintf(path, max, "%s/.local/state/snakepit", home);
    } else {
        return 0;
    }
    return 1;
}

SP_API int sp_instance_folder(int kind, const char *base, const char *name, char *path,
                              size_t max, sp_error *err)
{
    char found[FOLDER_PATH_MAX];
    if (path == NULL || (kind != SP_FOLDER_RUNTIME && kind != SP_FOLDER_STATE)) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a kind of folder, not %d, and a place for its path are needed",
                        kind);
    }
    if (base != NULL || kind == SP_FOLDER_RUNTIME) {
        if (!sp__folder_base(base, 0, found)) {
            return sp__fail(err, SP_ERR_TOO_BIG, "a path of more than %d bytes",
                            FOLDER_PATH_MAX - 1);
        }
    } else if (!find_state(found, sizeof found)) {
        return sp__fail(err, SP_ERR_SYSTEM,
                        "neither XDG_STATE_HOME nor HOME says where state belongs");
    }
    int size = snprintf(path, max, "%s/%s", found, name != NULL ? name : "default");
    return size >= 0 && (size_t)size < max
               ? SP_OK
               : sp__fail(err, SP_ERR_TOO_BIG,
                          "a path of %d bytes, there is room for %zu", size, max);
}

/* ---- looking ---- */

static int tell_of(const struct folder *folder, sp_instance_cb cb, void *user_data,
                   sp_error *err)
{
    static const int states[] = {[INSTANCE_FREE] = SP_INSTANCE_FREE,
                                 [INSTANCE_HELD] = SP_INSTANCE_HELD,
                                 [INSTANCE_ABANDONED] = SP_INSTANCE_ABANDONED};
    struct instance_sight sight;
    sp_instance_info info = {0};
    int rc = sp__instance_look(folder, &sight, err);
    if (rc < 0) {
        return rc;
    }
    (void)snprintf(info.name, sizeof info.name, "%s", folder->name);
    (void)snprintf(info.folder, sizeof info.folder, "%s", folder->path);
    (void)snprintf(info.program, sizeof info.program, "%.63s", sight.host.name);
    (void)snprintf(info.version, sizeof info.version, "%s", sight.host.version);
    info.state = states[sight.state];
    info.pid = sight.host.process.pid;
    info.since_unix_ms = sight.host.since_unix_ms;
    info.workers = sight.workers;
    info.bad_rows = sight.bad;
    sp__instance_sight_fini(&sight);
    if (cb != NULL) {
        cb(&info, user_data);
    }
    return SP_OK;
}

/* One name below one base: 1 told, 0 not there. */
static int tell_of_name(const char *base, const char *name, sp_instance_cb cb,
                        void *user_data, sp_error *err)
{
    struct folder folder;
    int rc = sp__folder_open(base, name, 0, &folder, err);
    if (rc == SP_ERR_NOT_FOUND) {
        sp_error_clear(err);
        return 0;
    }
    if (rc == SP_OK) {
        rc = tell_of(&folder, cb, user_data, err);
        sp__folder_close(&folder);
    }
    return rc < 0 ? rc : 1;
}

static int tell_of_base(const char *base, sp_instance_cb cb, void *user_data,
                        sp_error *err)
{
    DIR *dir = opendir(base);
    if (dir == NULL) {
        return errno == ENOENT || errno == EACCES
                   ? 0
                   : sp__fail_errno(err, errno, "read the folder %s", base);
    }
    int told = 0;
    const struct dirent *entry;
    while (told >= 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && entry->d_type == DT_DIR) {
            int rc = tell_of_name(base, entry->d_name, cb, user_data, err);
            told = rc < 0 ? rc : told + rc;
        }
    }
    (void)closedir(dir);
    return told;
}

SP_API int sp_instance_each(const char *runtime_dir, const char *name,
                            sp_instance_cb cb, void *user_data, sp_error *err)
{
    char base[FOLDER_PATH_MAX];
    sp_error failure = {0};
    int told = 0;
    for (size_t i = 0; told >= 0 && sp__folder_base(runtime_dir, i, base); i++) {
        int rc = name != NULL ? tell_of_name(base, name, cb, user_data, &failure)
                              : tell_of_base(base, cb, user_data, &failure);
        told = rc < 0 ? rc : told + rc;
    }
    if (err != NULL) {
        sp_error_move(err, &failure);
    }
    return told;
}

/* ---- cleaning up ---- */

struct cleaning {
    sp_leftover_cb cb;
    void *user_data;
    int ends;  /* what is ours is being ended */
    int count; /* of ours */
};

static void tell_left(const struct left *left, void *user)
{
    static const int verdicts[] = {[LEFT_OURS] = SP_LEFT_OURS,
                                   [LEFT_RUNNING] = SP_LEFT_RUNNING,
                                   [LEFT_GONE] = SP_LEFT_GONE,
                                   [LEFT_STRANGER] = SP_LEFT_STRANGER,
                                   [LEFT_UNSURE] = SP_LEFT_UNSURE};
    struct cleaning *cleaning = user;
    char run[2 * RUN_ID_BYTES + 1];
    sp__id_format(left->run, run);
    sp_leftover leftover = {
        .pid = left->process.pid,
        .verdict = verdicts[left->verdict],
        .ended = cleaning->ends && left->verdict == LEFT_OURS,
        .is_guard = left->kind == ROW_GUARD,
        .name = left->name,
        .source = left->source == LEFT_BY_ROW ? "registry" : "environment",
        .run = run,
        .why = left->why,
    };
    cleaning->count += left->verdict == LEFT_OURS;
    if (cleaning->cb != NULL) {
        cleaning->cb(&leftover, cleaning->user_data);
    }
}

/* What is ours the sweep tells of when it ends it, and of what is unsure, too. */
static void tell_others(const struct left *left, void *user)
{
    if (left->verdict != LEFT_OURS && left->verdict != LEFT_UNSURE) {
        tell_left(left, user);
    }
}

static int look_for_left(const char *base, const char *name, sweep_cb *on_left,
                         struct cleaning *cleaning, sp_error *err)
{
    struct folder folder;
    struct instance_sight sight;
    int rc = sp__folder_open(base, name, 0, &folder, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__instance_look(&folder, &sight, err);
    if (rc == SP_OK) {
        rc = sp__sweep_look(&sight.query, sight.rows, sight.rows_count, on_left,
                            cleaning, err);
        sp__instance_sight_fini(&sight);
    }
    sp__folder_close(&folder);
    return rc;
}

static int end_left(const char *base, const char *name, struct cleaning *cleaning,
                    sp_error *err)
{
    struct instance *instance = NULL;
    struct instance_options options = {
        .name = name, .runtime_dir = base, .on_left = tell_left, .user = cleaning};
    cleaning->ends = 1;
    int rc = sp__instance_open(&options, &instance, err);
    sp__instance_close(instance);
    return rc;
}

SP_API int sp_instance_cleanup(const sp_instance_info *info, int dry_run,
                               sp_leftover_cb cb, void *user_data, sp_error *err)
{
    char base[sizeof info->folder];
    struct cleaning cleaning = {.cb = cb, .user_data = user_data};
    if (info == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "an instance is needed");
    }
    (void)snprintf(base, sizeof base, "%s", info->folder);
    char *slash = strrchr(base, '/');
    if (slash == NULL || strcmp(slash + 1, info->name) != 0) {
        return sp__fail(err, SP_ERR_INVAL, "%s is no folder of instance %s",
                        info->folder, info->name);
    }
    *slash = '\0';
    int rc = look_for_left(base, info->name, dry_run ? tell_left : tell_others,
                           &cleaning, err);
    if (rc == SP_OK && !dry_run) {
        rc = end_left(base, info->name, &cleaning, err);
    }
    return rc < 0 ? rc : cleaning.count;
}
