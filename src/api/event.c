/* SPDX-License-Identifier: MIT */
/*
 * Events in public: the table, handlers, and what workers leave out.
 */
#include "snakepit/event.h"

#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "event/handler.h"
#include "event/table.h"
#include "pit/pit.h"

SP_API const char *sp_event_name(int kind)
{
    const sp_event_info *row = sp__event_row(kind);
    return row == NULL ? "unknown" : row->name;
}

SP_API const sp_event_info *sp_event_info_at(size_t index)
{
    return sp__event_row_at(index);
}

SP_API const sp_event_info *sp_event_info_find(const char *name)
{
    return name == NULL ? NULL : sp__event_named(name);
}

SP_API int sp_events_attach(sp_pit *pit, const char *pattern, sp_event_cb handler,
                            void *user_data, uint64_t *ret_id, sp_error *err)
{
    if (pit == NULL || handler == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit and a handler are needed");
    }
    return sp__handler_attach(&pit->herald, pattern == NULL ? "" : pattern, handler,
                              user_data, ret_id, err);
}

SP_API int sp_events_detach(sp_pit *pit, uint64_t id, sp_error *err)
{
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit is needed");
    }
    return sp__handler_detach(&pit->herald, id, err);
}

SP_API int sp_telemetry_control(sp_pit *pit, const char *pool,
                                const sp_telemetry_options *options, sp_error *err)
{
    sp_telemetry_options full = {0};
    struct pool *found;
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit is needed");
    }
    int rc = sp__take_options("sp_telemetry_options", options, &full, sizeof full, err);
    if (rc == SP_OK && pool != NULL) {
        rc = sp__pit_pool(pit, pool, &found, err);
    }
    if (rc == SP_OK) {
        rc =
            sp__controls_set(&pit->controls, pool, options != NULL ? &full : NULL, err);
    }
    if (rc == SP_OK) {
        sp__herald_want_anew(&pit->herald);
    }
    return rc;
}

SP_API int sp_events_stats_get(sp_pit *pit, uint64_t id, sp_events_stats *ret_stats,
                               sp_error *err)
{
    if (pit == NULL || ret_stats == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit and a place for the figures are needed");
    }
    if (ret_stats->size < sizeof ret_stats->size) {
        return sp__fail(err, SP_ERR_INVAL,
                        "sp_events_stats.size is %zu; set it to sizeof the struct",
                        ret_stats->size);
    }
    sp_events_stats full = {.size = ret_stats->size};
    int rc = sp__handler_stats(&pit->herald, id, &full.delivered, &full.dropped, err);
    if (rc == SP_OK) {
        memcpy(ret_stats, &full, full.size < sizeof full ? full.size : sizeof full);
    }
    return rc;
}
