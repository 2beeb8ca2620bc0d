/* SPDX-License-Identifier: MIT */
/* Serving a pit to workers that have not inherited a way back to it. */
#ifndef SP_API_SERVE_H
#define SP_API_SERVE_H

#include "snakepit/pit.h"

/* Listen where such workers were told (workshop.host_address), until the pit closes; they
 * try for a while, and may have begun. Errors: as sp_pit_listen(). */
int sp__listen_for_workers(sp_pit *pit, sp_error *err) SP_MUST_CHECK;

#endif
