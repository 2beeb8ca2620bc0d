/* SPDX-License-Identifier: MIT */
/*
 * snakepitd: read the configuration, open the pit, listen, run.
 *
 * Every step that fails says why in the log and ends with a code of its own; what was
 * opened is closed again. Nothing is daemonised: a service manager does that better.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"
#include "http.h"

/* ---- where to listen ---- */

struct place {
    char address[600];
    char base[512]; /* a folder around the socket's that is made when it is missing */
};

/* Without listen.socket: in the instance's own folder, which the machine's start
 * clears. */
static int find_default(const sp_pit_options *pit, struct place *ret)
{
    const char *given = getenv("RUNTIME_DIRECTORY"); /* systemd made it */
    if (given != NULL && given[0] == '/') {
        return snprintf(ret->address, sizeof ret->address, "unix:%.*s/snakepit.sock",
                        (int)strcspn(given, ":"), given) < (int)sizeof ret->address;
    }
    if (sp_instance_folder(SP_FOLDER_RUNTIME, pit->runtime_dir, pit->instance,
                           ret->base, sizeof ret->base, NULL) < 0) {
        return 0;
    }
    int length =
        snprintf(ret->address, sizeof ret->address, "unix:%s/snakepit.sock", ret->base);
    *strrchr(ret->base, '/') = '\0'; /* the instance's folder is made by others */
    return length < (int)sizeof ret->address;
}

/* 1, or 0 when the path is longer than any socket's may be. */
static int find_place(const sp_pit_options *pit, const sp_service_options *service,
                      struct place *ret)
{
    *ret = (struct place){0};
    if (service->socket == NULL) {
        return find_default(pit, ret);
    }
    return snprintf(ret->address, sizeof ret->address, "unix:%s", service->socket) <
           (int)sizeof ret->address;
}

/* ---- the configuration ---- */

static int load(const struct settings *settings, sp_config **ret_config)
{
    sp_config *config = NULL;
    sp_error err = {0};
    int rc = sp_config_load(settings->config_path, &config, &err);
    for (int i = 0; rc == 0 && i < settings->sets_count; i++) {
        rc = sp_config_set(config, settings->keys[i], settings->values[i], &err);
    }
    if (rc == 0) {
        rc = log_open(&sp_config_service(config)->log, &err);
    }
    if (rc == 0) {
        *ret_config = config;
        return CODE_OK;
    }
    log_error("config.wrong", &err);
    sp_error_clear(&err);
    sp_config_free(config);
    return CODE_CONFIG;
}

static int check(sp_config *config)
{
    struct place place;
    char warning[512];
    const sp_pit_options *pit = sp_config_options(config);
    const char *path = sp_config_path(config);
    unsigned workers = 0;
    sp_error err = {0};
    for (size_t i = 0; i < pit->pools_count; i++) {
        workers += pit->pools[i].workers;
    }
    if (!find_place(pit, sp_config_service(config), &place)) {
        log_line(SP_LOG_ERROR, "config.wrong", "the path of the socket is too long");
        return CODE_CONFIG;
    }
    if (http_check(&sp_config_service(config)->http, &err) < 0) {
        log_error("config.wrong", &err);
        sp_error_clear(&err);
        return CODE_CONFIG;
    }
    if (sp_config_warning(config, warning, sizeof warning)) {
        log_line(SP_LOG_WARN, "config.warning", "%s", warning);
    }
    (void)printf("%s is valid: %zu pool%s, %u workers, served at %s\n",
                 path != NULL ? path : "the default configuration", pit->pools_count,
                 pit->pools_count == 1 ? "" : "s", workers, place.address);
    return CODE_OK;
}

/* ---- opening ---- */

static int listen_at(sp_pit *pit, const sp_service_options *service,
                     const char *address, sp_error *err)
{
    sp_listen_options options = service->listen;
    uint32_t *users = NULL;
    if (service->users != NULL) {
        users = users_resolve(service->users, &options.users_count);
        if (users == NULL) {
            return sp_error_set(err, SP_ERR_CONFIG, "listen.users cannot be used");
        }
        options.users = users;
    }
    int rc = sp_pit_listen(pit, address, &options, err);
    free(users);
    return rc;
}

/* What a daemon does differently from a program that embeds a pit. */
static void set_manners(sp_pit_options *options, sp_pool_options *pools,
                        struct running *running)
{
    for (size_t i = 0; i < options->pools_count; i++) {
        pools[i] = options->pools[i];
        if (pools[i].env_pass == NULL) {
            pools[i].env_pass = environment_pass;
        }
        if (pools[i].startup_timeout_ms > running->startup_ms) {
            running->startup_ms = pools[i].startup_timeout_ms;
        }
    }
    options->pools = pools;
    options->on_event = sp_log_event;
    options->event_data = log_of_daemon();
    options->log = log_of_daemon();
    if (options->instance == NULL) {
        options->instance = "default"; /* a daemon always has a name */
    }
    if (options->guard_level == SP_SAFETY_DEFAULT) {
        options->guard_level = SP_SAFETY_NAMESPACE; /* nobody else lives here */
    }
}

/* A daemon's sessions outlive it, unless the configuration wants none to. */
static void set_state(sp_sessions_options *sessions, const char *instance, char *path,
                      size_t max)
{
    sp_error err = {0};
    if (sessions->path != NULL || sessions->durability == SP_DURABILITY_MEMORY) {
        return;
    }
    if (sp_instance_folder(SP_FOLDER_STATE, NULL, instance, path, max, &err) == 0) {
        sessions->path = path;
    } else {
        log_line(SP_LOG_WARN, "state.none", "sessions will end with the daemon: %s",
                 err.message);
    }
    sp_error_clear(&err);
}

static int open_pit(sp_config *config, struct running *running, sp_error *err)
{
    sp_pit_options options = *sp_config_options(config);
    sp_sessions_options sessions = *options.sessions;
    char state[600];
    sp_pool_options *pools = calloc(options.pools_count, sizeof *pools);
    if (pools == NULL) {
        return sp_error_set(err, SP_ERR_NOMEM, "no memory for the pools' options");
    }
    set_manners(&options, pools, running);
    set_state(&sessions, options.instance, state, sizeof state);
    options.sessions = &sessions;
    limits_raise(&options, running->service);
    int rc = sp_pit_open(&options, &running->pit, err);
    free(pools);
    return rc;
}

/* What workers report is logged when everything is. */
static int hear_workers(struct running *running, sp_error *err)
{
    uint64_t id;
    return running->service->log.level != SP_LOG_DEBUG
               ? 0
               : sp_events_attach(running->pit, "worker.telemetry", sp_log_event,
                                  log_of_daemon(), &id, err);
}

static int open_all(sp_config *config, struct running *running)
{
    sp_error err = {0};
    struct place place;
    running->service = sp_config_service(config);
    int rc = 0;
    if (!find_place(sp_config_options(config), running->service, &place)) {
        rc = sp_error_set(&err, SP_ERR_CONFIG, "the path of the socket is too long");
    } else if (place.base[0] != '\0' && mkdir(place.base, 0700) < 0 &&
               errno != EEXIST) {
        rc = sp_error_set(&err, SP_ERR_SYSTEM, "make the folder %s: %s", place.base,
                          strerror(errno));
    }
    if (rc == 0) {
        rc = open_pit(config, running, &err);
    }
    if (rc == 0) {
        rc = hear_workers(running, &err);
    }
    if (rc == 0) {
        rc = listen_at(running->pit, running->service, place.address, &err);
    }
    if (rc == 0) {
        rc = http_open(running->pit, &running->service->http, &running->http, &err);
    }
    if (rc < 0) {
        log_error("daemon.failed", &err);
        sp_pit_close(running->pit);
        sp_error_clear(&err);
        return rc == SP_ERR_CONFIG ? CODE_CONFIG : CODE_FAILED;
    }
    log_line(SP_LOG_INFO, "daemon.listening", "%s", place.address);
    return CODE_OK;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct running running = {0};
    sp_config *config = NULL;
    int code = options_parse(&settings, argc, argv);
    if (code != CODE_OK || settings.done) {
        return code;
    }
    running.watchdog_ms = notify_init();
    code = load(&settings, &config);
    if (code == CODE_OK && settings.check) {
        code = check(config);
    } else if (code == CODE_OK) {
        running.signal_fd = signals_init();
        if (running.signal_fd < 0) {
            log_line(SP_LOG_ERROR, "daemon.failed", "signals: %s", strerror(errno));
            code = CODE_FAILED;
        } else {
            code = open_all(config, &running);
        }
        if (code == CODE_OK) {
            code = run(&running);
        }
    }
    log_close();
    sp_config_free(config);
    return code;
}
