/* SPDX-License-Identifier: MIT */
/*
 * drain and kill: what is to become of a worker of the daemon that runs. What was done is
 * printed; a daemon that is of another user refuses.
 */
#include "view.h"

struct deed {
    const char *name; /* the command's */
    int (*run)(sp_daemon *daemon, const char *worker, sp_daemon_worker *ret,
               sp_error *err);
    const char *done; /* behind the worker's name and process */
};

static void show(const struct cli *cli, const struct deed *deed,
                 const sp_daemon_worker *worker)
{
    if (wants_json(cli)) {
        json_t *root =
            need(json_pack("{s:i, s:s, s:s, s:i}", "version", 1, "did", deed->name,
                           "worker", worker->name, "pid", worker->pid));
        print_json(root);
        json_decref(root);
    } else {
        (void)printf("%s (pid %d) %s\n", worker->name, worker->pid, deed->done);
    }
}

static int perform(struct cli *cli, const struct deed *deed)
{
    struct view view;
    sp_daemon_worker worker = {0};
    sp_error err = {0};
    if (cli->words_count != 1) {
        return complain(CODE_USAGE, "%s takes one worker, POOL/SLOT or its pid",
                        deed->name);
    }
    int code = view_open_daemon(cli, &view);
    if (code != CODE_OK) {
        return code;
    }
    if (deed->run(view.daemon, cli->words[0], &worker, &err) < 0) {
        code = report(&err);
    } else {
        show(cli, deed, &worker);
    }
    sp_error_clear(&err);
    view_close(&view);
    return code;
}

int cmd_drain(struct cli *cli)
{
    static const struct deed drain = {
        "drain", sp_daemon_worker_drain,
        "is drained: it ends its calls, and a fresh one takes its place"};
    return perform(cli, &drain);
}

int cmd_kill(struct cli *cli)
{
    static const struct deed kill = {
        "kill", sp_daemon_worker_kill,
        "is killed, its calls with it; a fresh one is started"};
    return perform(cli, &kill);
}
