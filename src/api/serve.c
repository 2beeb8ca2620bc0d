/* SPDX-License-Identifier: MIT */
/*
 * Serving a pit: check what is asked for, make the socket, hand it to the loop.
 */
#include "snakepit/serve.h"

#include <sys/resource.h>

#include "api/serve.h"
#include "base/error.h"
#include "base/options.h"
#include "pool/options.h"
#include "serve/server.h"

static int read_options(const sp_listen_options *given, sp_listen_options *ret,
                        sp_error *err)
{
    *ret = (sp_listen_options){0};
    int rc = sp__take_options("sp_listen_options", given, ret, sizeof *ret, err);
    if (rc < 0) {
        return rc;
    }
    if (ret->users_count > 0 && ret->users == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "users_count is %zu but users is NULL",
                        ret->users_count);
    }
    return SP_OK;
}

static int set_defaults(sp_listen_options *options, sp_error *err)
{
    enum { MESSAGE_LIMIT = 1 << 30 };
    options->calls_max = options->calls_max == 0 ? CALLS_DEFAULT : options->calls_max;
    if (options->message_max_bytes == 0) {
        options->message_max_bytes = MESSAGE_DEFAULT;
    }
    if (options->idle_timeout_ms == 0) {
        options->idle_timeout_ms = IDLE_DEFAULT_MS;
    }
    if (options->greeting_timeout_ms == 0) {
        options->greeting_timeout_ms = GREETING_DEFAULT_MS;
    }
    if (options->body_timeout_ms == 0) {
        options->body_timeout_ms = BODY_DEFAULT_MS;
    }
    if (options->stalled_timeout_ms == 0) {
        options->stalled_timeout_ms = STALLED_DEFAULT_MS;
    }
    if (options->message_max_bytes > MESSAGE_LIMIT) {
        return sp__fail(err, SP_ERR_INVAL, "message_max_bytes is %llu, at most %d",
                        (unsigned long long)options->message_max_bytes, MESSAGE_LIMIT);
    }
    return SP_OK;
}

/* Clients, workers and the rest must fit under the limit of descriptors together. */
static int fit_descriptors(const struct sp_pit *pit, sp_listen_options *options,
                           sp_error *err)
{
    struct rlimit limit;
    unsigned long long workers = 0;
    for (size_t i = 0; i < pit->pools_count; i++) {
        const sp_pool_options *pool = &pit->pools[i].options;
        workers += pool->workers;
        workers += pool->recycle_surge == SP_NONE ? 0 : pool->recycle_surge;
    }
    unsigned long long others = OTHER_DESCRIPTORS + WORKER_DESCRIPTORS * workers;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return sp__fail(err, SP_ERR_SYSTEM, "the limit of descriptors cannot be read");
    }
    unsigned long long room = limit.rlim_cur > others ? limit.rlim_cur - others : 0;
    unsigned long long wanted = options->clients_max;
    if (wanted == 0) {
        wanted = room < 1 ? 1 : room < CLIENTS_DEFAULT ? room : CLIENTS_DEFAULT;
    }
    if (wanted > room) {
        return sp__fail(
            err, SP_ERR_CONFIG,
            "%llu clients, %llu workers and the rest need %llu descriptors, "
            "the limit is %llu (RLIMIT_NOFILE)",
            wanted, workers, others + wanted, (unsigned long long)limit.rlim_cur);
    }
    options->clients_max = (uint32_t)wanted;
    return SP_OK;
}

/* A call of a client is made on the loop, where functions of the program may not run. */
static int check_adapters(const struct sp_pit *pit, sp_error *err)
{
    for (size_t i = 0; i < pit->pools_count; i++) {
        const sp_adapter *adapter = pit->pools[i].options.custom;
        if (sp__adapter_has_functions(adapter)) {
            return sp__fail(err, SP_ERR_UNSUPPORTED,
                            "pool %s cannot be served: its adapter has functions of "
                            "the program",
                            pit->pools[i].name);
        }
    }
    return SP_OK;
}

static int listen_at(sp_pit *pit, const char *address_text,
                     const sp_listen_options *options, int for_workers, sp_error *err)
{
    sp_listen_options full;
    struct address address;
    int rc = read_options(options, &full, err);
    if (rc == SP_OK) {
        rc = set_defaults(&full, err);
    }
    if (rc == SP_OK && !for_workers) { /* theirs are refused one by one */
        rc = check_adapters(pit, err);
    }
    if (rc == SP_OK) {
        rc = fit_descriptors(pit, &full, err);
    }
    if (rc == SP_OK) {
        rc = sp__address_open(&address, address_text, full.users_count > 0, err);
    }
    if (rc < 0) {
        return rc;
    }
    rc = sp__server_open(pit, &address, &full, for_workers, err);
    if (rc < 0) {
        sp__address_close(&address);
        return rc;
    }
    sp_error_clear(err);
    return SP_OK;
}

SP_API int sp_pit_listen(sp_pit *pit, const char *address,
                         const sp_listen_options *options, sp_error *err)
{
    if (pit == NULL || address == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit and an address are needed");
    }
    return listen_at(pit, address, options, 0, err);
}

int sp__listen_for_workers(sp_pit *pit, sp_error *err)
{
    sp_listen_options options = {.size = sizeof options,
                                 .idle_timeout_ms = SP_UNLIMITED};
    return listen_at(pit, pit->lanes[0].shop.host_address, &options, 1, err);
}

static void answer_stats(void *user, void *arg)
{
    const struct lane *lane = user;
    sp__servers_stats(lane->pit, arg);
}

SP_API int sp_pit_listen_stats(sp_pit *pit, sp_listen_stats *ret_stats, sp_error *err)
{
    if (pit == NULL || ret_stats == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit and a place for the answer are needed");
    }
    sp__loop_call(pit->loop, answer_stats, ret_stats);
    sp_error_clear(err);
    return SP_OK;
}
