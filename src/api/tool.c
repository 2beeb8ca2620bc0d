/* SPDX-License-Identifier: MIT */
/*
 * The public face of host tools: registering, taking away, listing. What happens inside a
 * call is in pit/host_call.c.
 */
#include "snakepit/tool.h"

#include "base/error.h"
#include "pit/pit.h"
#include "session/host_tools.h"

static int need_pit(const struct sp_pit *pit, sp_error *err)
{
    return pit != NULL ? SP_OK : sp__fail(err, SP_ERR_INVAL, "a pit is needed");
}

SP_API int sp_tools_register(sp_pit *pit, const sp_host_tool *tools, size_t count,
                             sp_error *err)
{
    int rc = need_pit(pit, err);
    if (rc == SP_OK && tools == NULL && count > 0) {
        rc = sp__fail(err, SP_ERR_INVAL, "count is %zu but tools is NULL", count);
    }
    if (rc == SP_OK) {
        rc = sp__host_tools_register(pit->sessions, tools, count, 0, err);
    }
    if (rc == SP_OK) {
        sp_error_clear(err);
    }
    return rc;
}

SP_API int sp_tool_register(sp_pit *pit, const sp_host_tool *tool, sp_error *err)
{
    return sp_tools_register(pit, tool, 1, err);
}

SP_API int sp_tool_unregister(sp_pit *pit, const char *session, const char *name,
                              sp_error *err)
{
    int rc = need_pit(pit, err);
    return rc < 0 ? rc : sp__host_tool_unregister(pit->sessions, session, name, err);
}

SP_API int sp_tools_list(sp_pit *pit, const char *session,
                         void (*cb)(const sp_host_tool_info *tool, void *user_data),
                         void *user_data, sp_error *err)
{
    int rc = need_pit(pit, err);
    return rc < 0 ? rc
                  : sp__host_tools_list(pit->sessions, session, cb, user_data, err);
}
