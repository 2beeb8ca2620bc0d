/* SPDX-License-Identifier: MIT */
/*
 * Configuration: one YAML file, checked against a table of every key.
 *
 * Where a value comes from, strongest first: a set value (a command-line flag), the
 * environment (SNAKEPIT_...), the file, the default. Every mistake is an error that
 * names file, line, column, the value, the limit and, for an unknown key, the nearest
 * one. snakepit.yaml(5) describes the keys.
 */
#ifndef SNAKEPIT_CONFIG_H
#define SNAKEPIT_CONFIG_H

#include "base.h"
#include "error.h"
#include "log.h"
#include "pit.h"
#include "serve.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_config sp_config;

/*
 * Read a configuration.
 *
 * path        a file; NULL: $SNAKEPIT_CONFIG, ./snakepit.yaml, the user's and the
 *             system's configuration folder, and with none of them the defaults
 * ret_config  set on success; release with sp_config_free()
 *
 * Errors: SP_ERR_NOT_FOUND (a named file that does not exist), SP_ERR_CONFIG,
 * SP_ERR_SYSTEM, SP_ERR_NOMEM.
 * Since: 0.1
 */
SP_API int sp_config_load(const char *path, sp_config **ret_config, sp_error *err);

/* As sp_config_load(), from YAML text. `name` stands for the file in messages. */
SP_API int sp_config_parse(sp_bytes yaml, const char *name, sp_config **ret_config,
                           sp_error *err);

/*
 * Override one value, as a command-line flag does.
 *
 * key    "instance", "defaults.call_timeout", "pools.NAME.size", or "pool.size" for
 *        every pool
 * value  as it would stand in the file: "8", "30s", "512MiB"
 *
 * Errors: SP_ERR_CONFIG. Since: 0.1
 */
SP_API int sp_config_set(sp_config *config, const char *key, const char *value,
                         sp_error *err);

/* The options the configuration stands for, complete. Borrowed from the config. */
SP_API const sp_pit_options *sp_config_options(sp_config *config);

/* What a daemon serves to monitors over HTTP. */
typedef struct sp_http_options {
    const char *listen; /* "tcp:127.0.0.1:9190", "unix:/path"; NULL: nothing */
    uint32_t clients_max;
    uint64_t timeout_ms;
} sp_http_options;

/* What a daemon needs beside its pit. */
typedef struct sp_service_options {
    size_t size;
    const char *socket; /* path, or NULL */
    sp_listen_options listen;
    const char *const *users; /* names or numbers, NULL-terminated, or NULL; for
                                 listen.users to be looked up */
    uint64_t shutdown_timeout_ms;
    sp_log_options log;
    sp_http_options http;
} sp_service_options;

/* The part of the configuration that concerns a daemon. Borrowed from the config. */
SP_API const sp_service_options *sp_config_service(sp_config *config);

/*
 * What is allowed, and yet worth a second look: more memory than the machine has, once
 * every worker is as large as its limit lets it become and its relief stands beside it.
 *
 * Returns 1 with one sentence in ret_text, 0 when there is nothing to say.
 */
SP_API int sp_config_warning(sp_config *config, char *ret_text, size_t max);

/* The file that was read, or NULL when the defaults are in force. Borrowed. */
SP_API const char *sp_config_path(const sp_config *config);

/* One setting, as `config show` prints it. Borrowed until the callback returns. */
typedef struct sp_setting {
    const char *key;           /* "pools.default.size" */
    const char *value;         /* as it would stand in the file */
    const char *source;        /* "flag", "environment", "file" or "default" */
    const char *default_value; /* as it would stand in the file; "" when computed */
} sp_setting;

typedef void (*sp_setting_cb)(const sp_setting *setting, void *user_data);

/* Walk every setting in force. */
SP_API void sp_config_each(sp_config *config, sp_setting_cb cb, void *user_data);

/* One key of the table, as `config explain` prints it. All static. */
typedef struct sp_config_key {
    const char *key;   /* "pools[].size" */
    const char *type;  /* "count", "duration", "size", "text", "list", "map" ... */
    const char *range; /* "1..1000", or "" */
    const char *default_value;
    const char *environment; /* "SNAKEPIT_POOL_SIZE", or "" */
    const char *text;        /* what it does, one or two sentences */
} sp_config_key;

/* Describe a key ("pools.default.size" and "size" find "pools[].size" too).
 * Errors: SP_ERR_NOT_FOUND with the nearest keys. */
SP_API int sp_config_explain(const char *key, sp_config_key *ret_key, sp_error *err);

/* The index-th key of the table into *ret_key: 1, or 0 past the last. */
SP_API int sp_config_key_at(size_t index, sp_config_key *ret_key);

/* Release a configuration. NULL is fine. */
SP_API void sp_config_free(sp_config *config);

#ifdef __cplusplus
}
#endif
#endif
