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

const char *address_named(const struct cli *cli)
{
    return cli->address != NULL || cli->instance != NULL
               ? cli->address
               : environment_text("SNAKEPIT_ADDRESS");
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
    int rc = config_load(cli, &config, err);
    if (rc == SP_OK) {
        rc = daemon_address(config, config_instance(cli, config), &address, err);
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
    const char *address = address_named(cli);
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

int view_do(const struct cli *cli, view_fn show)
{
    struct view view;
    int code = view_open(cli, &view);
    if (code == CODE_OK) {
        code = show(cli, &view);
        view_close(&view);
    }
    return code;
}

/* ---- reports ---- */

static void take_text(sp_bytes bytes, void *user_data)
{
    text_add(user_data, bytes.data, bytes.size);
}

/* Adds the report to a text; the options are taken. */
static int ask_text(struct view *view, const char *name, json_t *options,
                    struct text *text, sp_error *err)
{
    char *given = options != NULL ? need(json_dumps(options, JSON_COMPACT)) : NULL;
    int rc = view->daemon != NULL
                 ? sp_daemon_report(view->daemon, name, given, take_text, text, err)
                 : sp_pit_report(view->own.pit, name, given, take_text, text, err);
    free(given);
    json_decref(options);
    return rc;
}

int view_ask(struct view *view, const char *name, json_t *options, json_t **ret_report,
             sp_error *err)
{
    struct text text = {0};
    json_error_t wrong;
    int rc = ask_text(view, name, options, &text, err);
    if (rc == SP_OK) {
        json_t *report = json_loadb(text.data, text.size, 0, &wrong);
        if (report != NULL) {
            *ret_report = report;
        } else {
            rc = sp_error_set(err, SP_ERR_PROTOCOL, "the report \"%s\" is no JSON: %s",
                              name, wrong.text);
        }
    }
    text_free(&text);
    return rc;
}

json_t *view_report(struct view *view, const char *name, json_t *options, int *ret_code)
{
    json_t *value = NULL;
    sp_error err = {0};
    *ret_code =
        view_ask(view, name, options, &value, &err) < 0 ? report(&err) : CODE_OK;
    sp_error_clear(&err);
    return value;
}

int view_text(struct view *view, const char *name, json_t *options,
              struct text *ret_text)
{
    sp_error err = {0};
    int rc = ask_text(view, name, options, ret_text, &err);
    int code = rc < 0 ? report(&err) : CODE_OK;
    sp_error_clear(&err);
    return code;
}
