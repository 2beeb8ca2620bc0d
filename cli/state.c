/* SPDX-License-Identifier: MIT */
/*
 * Where the state is, and the words that name values.
 *
 * With a daemon it is asked: --connect, $SNAKEPIT_ADDRESS, or whoever listens on the
 * instance's socket. Else the state is a folder, which one process at a time has: a
 * command opens it, does one thing and closes it again, and waits a while for another
 * that does the same. A folder that was named on the command line or in the environment
 * is taken without looking for a daemon.
 */
#include "state.h"
#include "view.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

const struct option_spec state_options[] = {
    {"connect", 0, "ADDRESS", OPTION_CONNECT, "ask this daemon, such as unix:/path"},
    {"instance", 0, "NAME", OPTION_INSTANCE, "the instance whose state it is"},
    {"state-dir", 0, "DIR", OPTION_STATE_DIR, "folder of the state, without a daemon"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

/* --- Opening ------------------------------------------------------------------------- */

/* A folder that another command has is free again in a moment. */
static int open_folder(const struct cli *cli, const sp_sessions_options *options,
                       sp_sessions **ret_sessions, sp_error *err)
{
    enum { WAIT_MS = 5000, LOOK_MS = 20 };
    int waited = 0;
    int rc;
    while ((rc = sp_sessions_open(options, ret_sessions, err)) == SP_ERR_IN_USE &&
           waited < WAIT_MS && !cli->no_wait && !watch_interrupted()) {
        (void)poll(NULL, 0, LOOK_MS); /* nothing tells when it is */
        waited += LOOK_MS;
        sp_error_clear(err);
    }
    return rc;
}

/* The daemon of the instance, if it runs: 1, 0 or an error. */
static int open_running(sp_config *config, const char *instance,
                        sp_sessions **ret_sessions, sp_error *err)
{
    sp_sessions_options options = {.size = sizeof options};
    struct text address = {0};
    int rc = daemon_address(config, instance, &address, err);
    if (rc == SP_OK) {
        options.address = text_c(&address);
        rc = sp_sessions_open(&options, ret_sessions, err);
    }
    text_free(&address);
    return is_nobody(rc, err) ? 0 : rc < 0 ? rc : 1;
}

/* In the folder that was named, that of the configuration, or that of the instance. */
static int open_own(const struct cli *cli, sp_config *config, const char *folder,
                    const char *instance, struct state *ret, sp_error *err)
{
    char found[600];
    int rc = SP_OK;
    sp_sessions_options options = *sp_config_options(config)->sessions;
    options.path = folder != NULL ? folder : options.path;
    if (options.path == NULL) {
        rc = sp_instance_folder(SP_FOLDER_STATE, NULL, instance, found, sizeof found,
                                err);
        options.path = found;
    }
    if (options.durability == SP_DURABILITY_MEMORY) {
        options.durability = SP_DURABILITY_DEFAULT; /* it would end right away */
    }
    ret->is_folder = 1;
    return rc < 0 ? rc : open_folder(cli, &options, &ret->sessions, err);
}

static int open_configured(const struct cli *cli, const char *folder, struct state *ret,
                           sp_error *err)
{
    sp_config *config = NULL;
    int rc = config_load(cli, &config, err);
    if (rc == SP_OK) {
        const char *instance = config_instance(cli, config);
        int found =
            folder == NULL ? open_running(config, instance, &ret->sessions, err) : 0;
        rc = found != 0 ? found : open_own(cli, config, folder, instance, ret, err);
    }
    sp_config_free(config);
    return rc < 0 ? rc : SP_OK;
}

int state_open(const struct cli *cli, struct state *ret, sp_error *err)
{
    const char *folder = cli->state_dir;
    const char *address = folder != NULL ? cli->address : address_named(cli);
    *ret = (struct state){0};
    if (folder == NULL && cli->instance == NULL) {
        folder = environment_text("SNAKEPIT_STATE_DIR");
    }
    if (address == NULL) {
        return open_configured(cli, folder, ret, err);
    }
    sp_sessions_options options = {.size = sizeof options, .address = address};
    return sp_sessions_open(&options, &ret->sessions, err);
}

int state_report(const struct cli *cli, const sp_error *err)
{
    int code = report(err);
    if (err->code == SP_ERR_IN_USE && !wants_json(cli)) {
        talk("  a daemon that has it is asked with --connect unix:/path");
    }
    return code;
}

int state_do(struct cli *cli, state_fn fn)
{
    struct state state;
    sp_error err = {0};
    int code = CODE_OK;
    if (state_open(cli, &state, &err) == 0) {
        code = fn(cli, state.sessions, &err);
        sp_sessions_close(state.sessions);
    }
    if (code == CODE_OK && err.code != 0) {
        code = state_report(cli, &err);
    }
    sp_error_clear(&err);
    return code;
}

sp_change_options change_of(const struct cli *cli)
{
    return (sp_change_options){.size = sizeof(sp_change_options),
                               .constraints = cli->constraints,
                               .metadata = cli->metadata,
                               .changed_by = cli->by,
                               .owner = cli->owner,
                               .check_version = cli->check_version,
                               .expected_version = cli->expected_version};
}

/* --- Values -------------------------------------------------------------------------- */

int is_text_type(const char *type)
{
    static const char *const texts[] = {"string", "choice", "module"};
    for (size_t i = 0; type != NULL && i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(texts[i], type) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The word, or what it names: borrowed or in `memory`. */
static int word_or_file(const char *word, struct text *memory, const char **ret_data,
                        size_t *ret_size)
{
    int is_file = word[0] == '@' && word[1] != '\0';
    *ret_data = word;
    *ret_size = strlen(word);
    if (!is_file && strcmp(word, "-") != 0) {
        return CODE_OK;
    }
    int code = read_whole(is_file ? word + 1 : word, memory);
    *ret_data = text_c(memory);
    *ret_size = memory->size;
    return code;
}

int value_read(const char *word, const char *type, struct text *ret_json)
{
    struct text memory = {0};
    const char *data;
    size_t size;
    int code = word_or_file(word, &memory, &data, &size);
    if (code == CODE_OK && is_json(data, size) &&
        (!is_text_type(type) || data[strspn(data, " \t\r\n")] == '"')) {
        text_add(ret_json, data, size);
    } else if (code == CODE_OK && add_json_string(ret_json, data, size) != 0) {
        code = complain(CODE_USAGE, "the value is neither JSON nor UTF-8 text");
    }
    text_free(&memory);
    return code;
}

int json_option(const char *word, struct text *memory, const char **ret_json)
{
    size_t size;
    *ret_json = word;
    return word == NULL ? CODE_OK : word_or_file(word, memory, ret_json, &size);
}
