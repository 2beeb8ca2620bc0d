/* SPDX-License-Identifier: MIT */
/*
 * From the command line to what is looked at.
 *
 * A daemon that was named must be there. One that was not is taken when it runs; the
 * flags that describe a pit (--adapter, --size and so on) ask for one of their own, and
 * no daemon is looked for then.
 */
#include "view.h"

#include <stdlib.h>
#include <string.h>

/* ---- where a daemon is ---- */

const char *environment_text(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

int daemon_address(sp_config *config, const char *instance, struct text *ret_address,
                   sp_error *err)
{
    const sp_pit_options *pit = sp_config_options(config);
    const char *socket = sp_config_service(config)->socket;
    char folder[600];
    if (socket != NULL) {
        text_printf(ret_address, "unix:%s", socket);
        return SP_OK;
    }
    int rc = sp_instance_folder(SP_FOLDER_RUNTIME, pit->runtime_dir, instance, folder,
                                sizeof folder, err);
    if (rc == SP_OK) {
        text_printf(ret_address, "unix:%s/snakepit.sock", folder);
    }
    return rc;
}

int is_nobody(int rc, sp_error *err)
{
    if (rc != SP_ERR_SYSTEM && rc != SP_ERR_CONFIG) {
        return 0;
    }
    sp_error_clear(err);
    return 1;
}

/* ---- opening ---- */

/* The daemon of the configuration's instance, if it runs. */
static int connect_configured(const struct cli *cli, sp_daemon **ret_daemon,
                              sp_error *err)
{
    sp_config *config = NULL;
    struct text address = {0};
    int rc = sp_config_load(cli->config_path, &config, err);
    for (int i = 0; rc == SP_OK && i < cli->sets_count; i++) {
        rc = sp_config_set(config, cli->sets[i].key, cli->sets[i].value, err);
    }
    if (rc == SP_OK) {
        const char *instance =
            cli->instance != NULL ? cli->instance : sp_config_options(config)->instance;
        rc = daemon_address(config, instance, &address, err);
        if (rc == SP_OK) {
            rc = sp_daemon_connect(text_c(&address), 0, ret_daemon, err);
        }
        rc = is_nobody(rc, err) ? SP_OK : rc;
    }
    text_free(&address);
    sp_config_free(config);
    return rc;
}

/* *ret_daemon stays NULL when none was named and none runs. */
static int find_daemon(const struct cli *cli, sp_daemon **ret_daemon)
{
    const char *address =
        cli->address != NULL ? cli->address : environment_text("SNAKEPIT_ADDRESS");
    sp_error err = {0};
    int rc = address != NULL ? sp_daemon_connect(address, 0, ret_daemon, &err)
                             : connect_configured(cli, ret_daemon, &err);
    int code = CODE_OK;
    if (rc < 0) {
        code = report(&err);
        code = address != NULL && rc == SP_ERR_SYSTEM ? CODE_UNREACHABLE : code;
    }
    sp_error_clear(&err);
    return code;
}

static int wants_own_pit(const struct cli *cli)
{
    return cli->adapter != NULL || cli->function != NULL || cli->python != NULL ||
           cli->workers != NULL;
}

int view_open(const struct cli *cli, struct view *ret)
{
    *ret = (struct view){0};
    if (cli->address != NULL || !wants_own_pit(cli)) {
        int code = find_daemon(cli, &ret->daemon);
        if (code != CODE_OK || ret->daemon != NULL) {
            return code;
        }
    }
    int code = pit_open(cli, OPEN_STATE, &ret->own);
    if (code != CODE_OK) {
        return code;
    }
    /* What keeps a pool from being ready has been said; the report shows the rest. */
    code = pit_wait(&ret->own);
    if (code == CODE_INTERRUPTED) {
        pit_close(&ret->own);
        return code;
    }
    return CODE_OK;
}

int view_open_daemon(const struct cli *cli, struct view *ret)
{
    *ret = (struct view){0};
    int code = find_daemon(cli, &ret->daemon);
    return code != CODE_OK || ret->daemon != NULL
               ? code
               : complain(CODE_UNREACHABLE,
                          "no daemon runs here; --connect unix:/path names one, "
                          "--instance NAME finds that of an instance");
}

void view_close(struct view *view)
{
    sp_daemon_close(view->daemon);
    if (view->own.pit != NULL) {
        pit_close(&view->own);
    }
    *view = (struct view){0};
}

/* ---- reports ---- */

static void take_text(sp_bytes bytes, void *user_data)
{
    text_add(user_data, bytes.data, bytes.size);
}

int view_text(struct view *view, const char *name, json_t *options,
              struct text *ret_text)
{
    char *given = options != NULL ? need(json_dumps(options, JSON_COMPACT)) : NULL;
    sp_error err = {0};
    int rc =
        view->daemon != NULL
            ? sp_daemon_report(view->daemon, name, given, take_text, ret_text, &err)
            : sp_pit_report(view->own.pit, name, given, take_text, ret_text, &err);
    int code = rc < 0 ? report(&err) : CODE_OK;
    sp_error_clear(&err);
    free(given);
    json_decref(options);
    return code;
}

json_t *view_report(struct view *view, const char *name, json_t *options, int *ret_code)
{
    struct text text = {0};
    json_error_t wrong;
    json_t *value = NULL;
    *ret_code = view_text(view, name, options, &text);
    if (*ret_code == CODE_OK) {
        value = json_loadb(text.data, text.size, JSON_DECODE_ANY, &wrong);
        if (value == NULL) {
            *ret_code = complain(CODE_UNREACHABLE, "the report \"%s\" is no JSON: %s",
                                 name, wrong.text);
        }
    }
    text_free(&text);
    return value;
}

const char *report_words(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

long long report_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}
