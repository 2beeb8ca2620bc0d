/* SPDX-License-Identifier: MIT */
/* What the machine has for the host and its workers. Any thread. */
#ifndef SP_TELEMETRY_MACHINE_H
#define SP_TELEMETRY_MACHINE_H

#include <stdint.h>

struct machine {
    uint32_t processors;   /* that this process may run on */
    uint64_t memory_bytes; /* of the machine, or of the control group if that is less */
};

/* What cannot be found out is 0. */
void sp__machine_read(struct machine *ret);

#endif
