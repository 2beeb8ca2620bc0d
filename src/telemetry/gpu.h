/* SPDX-License-Identifier: MIT */
/* How graphics processors are, told as events from time to time. */
#ifndef SP_TELEMETRY_GPU_H
#define SP_TELEMETRY_GPU_H

#include "event/herald.h"
#include "snakepit/hardware.h"

struct gpu_sampler;

/* Tell how each device but the processor is now, if anybody listens: gpu.memory.sampled,
 * gpu.utilization.sampled and so on, as far as it is known. Returns how many devices were
 * looked at. Any thread; may wait for the vendors' tools. */
size_t sp__gpu_sample(struct herald *herald, const sp_hardware_options *options);

/* Do that every interval_ms, on a thread, until it is closed. options  borrowed. NOMEM,
 * SYSTEM (no thread). */
int sp__gpu_open(struct herald *herald, const sp_hardware_options *options,
                 uint64_t interval_ms, struct gpu_sampler **ret_sampler,
                 sp_error *err) SP_MUST_CHECK;
/* Waits for a look that is under way. NULL is fine. */
void sp__gpu_close(struct gpu_sampler *sampler);

#endif
