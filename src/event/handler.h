/* SPDX-License-Identifier: MIT */
/* Handlers of events: a tap and a thread each. Any thread. */
#ifndef SP_EVENT_HANDLER_H
#define SP_EVENT_HANDLER_H

#include "event/herald.h"

int sp__handler_attach(struct herald *herald, const char *pattern, sp_event_cb cb,
                       void *user_data, uint64_t *ret_id, sp_error *err) SP_MUST_CHECK;
int sp__handler_detach(struct herald *herald, uint64_t id, sp_error *err);
int sp__handler_stats(struct herald *herald, uint64_t id, uint64_t *ret_delivered,
                      uint64_t *ret_dropped, sp_error *err);

/* Give all of them what is left, for a while, and end them. */
void sp__handlers_close(struct herald *herald);

#endif
