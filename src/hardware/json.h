/* SPDX-License-Identifier: MIT */
/* What was found, as JSON. */
#ifndef SP_HARDWARE_JSON_H
#define SP_HARDWARE_JSON_H

#include "base/buf.h"
#include "hardware/hardware.h"

int sp__hardware_put_json(const struct hardware *hardware, struct sp_buffer *out,
                          sp_error *err) SP_MUST_CHECK;

#endif
