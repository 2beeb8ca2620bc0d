/* SPDX-License-Identifier: MIT */
/*
 * What the process may use and whom it lets in: descriptors, the workers' environment,
 * users.
 */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon.h"

enum { CLIENTS_USUAL = 1000, PER_WORKER = 5, OTHERS = 64 };

/* What programs need to find their way, and nothing that is likely to be a secret. */
const char *const environment_pass[] = {
    "PATH",        "HOME",       "USER",       "LOGNAME",
    "SHELL",       "LANG",       "LC_ALL",     "LC_CTYPE",
    "LANGUAGE",    "TZ",         "TMPDIR",     "TERM",
    "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH",
    NULL};

void limits_raise(const sp_pit_options *pit, const sp_service_options *service)
{
    struct rlimit limit;
    rlim_t needed = OTHERS;
    needed +=
        service->listen.clients_max != 0 ? service->listen.clients_max : CLIENTS_USUAL;
    for (size_t i = 0; i < pit->pools_count; i++) {
        const sp_pool_options *pool = &pit->pools[i];
        rlim_t surge = pool->recycle_surge == SP_NONE ? 0 : pool->recycle_surge;
        needed += PER_WORKER * (pool->workers + surge);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed) {
        return;
    }
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
    if (limit.rlim_cur > before && setrlimit(RLIMIT_NOFILE, &limit) == 0) {
        log_line(SP_LOG_DEBUG, "limits.raised", "descriptors from %llu to %llu",
                 (unsigned long long)before, (unsigned long long)limit.rlim_cur);
    }
}

static int resolve(const char *name, uint32_t *ret_user)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(name, &end, 10);
    if (name[0] >= '0' && name[0] <= '9' && *end == '\0' && errno == 0 &&
        number < UINT32_MAX) {
        *ret_user = (uint32_t)number;
        return 0;
    }
    const struct passwd *entry = getpwnam(name);
    if (entry == NULL) {
        log_line(SP_LOG_ERROR, "config.wrong", "listen.users: there is no user \"%s\"",
                 name);
        return -1;
    }
    *ret_user = entry->pw_uid;
    return 0;
}

uint32_t *users_resolve(const char *const *names, size_t *ret_count)
{
    size_t count = 0;
    while (names[count] != NULL) {
        count++;
    }
    uint32_t *users = calloc(count + 1, sizeof *users);
    if (users == NULL) {
        log_line(SP_LOG_ERROR, "config.wrong", "no memory for a list of users");
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (resolve(names[i], &users[i]) < 0) {
            free(users);
            return NULL;
        }
    }
    *ret_count = count;
    return users;
}
