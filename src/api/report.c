/* SPDX-License-Identifier: MIT */
/*
 * The public face of reports: one of the program's own pit is made on the caller's
 * thread, one of a daemon's is asked for.
 */
#include "snakepit/report.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/remote.h"
#include "telemetry/report.h"

struct sp_daemon {
    struct remote *remote;
};

static int check(const void *of, const char *name, sp_json_cb cb, sp_error *err)
{
    return of != NULL && name != NULL && cb != NULL
               ? SP_OK
               : sp__fail(err, SP_ERR_INVAL,
                          "whose report, its name and a callback are needed");
}

SP_API int sp_pit_report(sp_pit *pit, const char *name, const char *options,
                         sp_json_cb cb, void *user_data, sp_error *err)
{
    struct sp_buffer out;
    int rc = check(pit, name, cb, err);
    if (rc < 0) {
        return rc;
    }
    sp__buf_init(&out, SIZE_MAX / 2);
    rc = sp__report(pit, name, sp_text(options), &out, err);
    if (rc == SP_OK) {
        cb((sp_bytes){out.data, out.size}, user_data);
    }
    sp__buf_fini(&out);
    return rc;
}

SP_API int sp_daemon_connect(const char *address, uint64_t timeout_ms,
                             sp_daemon **ret_daemon, sp_error *err)
{
    if (address == NULL || ret_daemon == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "an address and a place for the daemon are needed");
    }
    sp_daemon *daemon = sp__calloc(1, sizeof *daemon);
    if (daemon == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a daemon");
    }
    int rc = sp__remote_open(address, timeout_ms, &daemon->remote, err);
    if (rc < 0) {
        sp__free(daemon);
        return rc;
    }
    *ret_daemon = daemon;
    return SP_OK;
}

SP_API void sp_daemon_close(sp_daemon *daemon)
{
    if (daemon != NULL) {
        sp__remote_close(daemon->remote);
        sp__free(daemon);
    }
}

SP_API int sp_daemon_report(sp_daemon *daemon, const char *name, const char *options,
                            sp_json_cb cb, void *user_data, sp_error *err)
{
    int rc = check(daemon, name, cb, err);
    return rc < 0 ? rc
                  : sp__stub_report(sp__remote_caller(daemon->remote), name, options,
                                    cb, user_data, err);
}
