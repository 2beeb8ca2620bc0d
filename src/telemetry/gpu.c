/* SPDX-License-Identifier: MIT */
/*
 * The sampler of graphics processors: a thread that looks and sleeps.
 *
 * A look runs the vendors' tools, so it is taken only while somebody listens to one of the
 * events, and never on a loop. What a device does not tell is not told; of two figures
 * that go together the second may be SP_HARDWARE_UNKNOWN. Nothing fails but the start.
 */
#include "telemetry/gpu.h"

#include "base/error.h"
#include "base/latch.h"
#include "base/mem.h"
#include "base/thread.h"
#include "hardware/hardware.h"

struct gpu_sampler {
    struct herald *herald;
    const sp_hardware_options *options;
    uint64_t interval_ms;
    pthread_t thread;
    struct latch stopped;
};

static void tell_device(struct herald *herald, const sp_device *device)
{
    const char *name = device->text;
    double total = (double)device->memory_total_bytes;
    double left = (double)device->memory_free_bytes;
    if (total > 0) {
        sp__herald_tell(herald,
                        &(struct tidings){.event = {.kind = SP_EVENT_GPU_MEMORY},
                                          EVENT_NUMBERS(total - left, left, total),
                                          EVENT_TEXTS(name)});
    }
    if (device->busy_percent >= 0) {
        sp__herald_tell(herald,
                        &(struct tidings){.event = {.kind = SP_EVENT_GPU_UTILIZATION},
                                          EVENT_NUMBERS(device->busy_percent,
                                                        device->memory_busy_percent),
                                          EVENT_TEXTS(name)});
    }
    if (device->celsius >= 0) {
        sp__herald_tell(herald,
                        &(struct tidings){.event = {.kind = SP_EVENT_GPU_TEMPERATURE},
                                          EVENT_NUMBERS(device->celsius),
                                          EVENT_TEXTS(name)});
    }
    if (device->watts >= 0) {
        sp__herald_tell(
            herald, &(struct tidings){.event = {.kind = SP_EVENT_GPU_POWER},
                                      EVENT_NUMBERS(device->watts, device->watts_limit),
                                      EVENT_TEXTS(name)});
    }
}

static int is_wanted(const struct herald *herald)
{
    return sp__herald_wants(herald, SP_EVENT_GPU_MEMORY) ||
           sp__herald_wants(herald, SP_EVENT_GPU_UTILIZATION) ||
           sp__herald_wants(herald, SP_EVENT_GPU_TEMPERATURE) ||
           sp__herald_wants(herald, SP_EVENT_GPU_POWER);
}

size_t sp__gpu_sample(struct herald *herald, const sp_hardware_options *options)
{
    struct hardware *hardware;
    size_t count = 0;
    if (!is_wanted(herald) || sp__hardware_look(options, &hardware, NULL) < 0) {
        return 0;
    }
    for (size_t i = 0; i < hardware->devices_count; i++) {
        if (hardware->devices[i].kind != SP_DEVICE_CPU) {
            tell_device(herald, &hardware->devices[i]);
            count++;
        }
    }
    sp__free(hardware);
    return count;
}

/* ---- the thread ---- */

static void *run(void *arg)
{
    struct gpu_sampler *sampler = arg;
    do {
        (void)sp__gpu_sample(sampler->herald, sampler->options);
    } while (!sp__latch_wait(&sampler->stopped, sampler->interval_ms));
    return NULL;
}

int sp__gpu_open(struct herald *herald, const sp_hardware_options *options,
                 uint64_t interval_ms, struct gpu_sampler **ret_sampler, sp_error *err)
{
    struct gpu_sampler *sampler = sp__calloc(1, sizeof *sampler);
    if (sampler == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a sampler");
    }
    sampler->herald = herald;
    sampler->options = options;
    sampler->interval_ms = interval_ms;
    sp__latch_init(&sampler->stopped);
    int failed = sp__thread_start(&sampler->thread, NULL, run, sampler);
    if (failed != 0) {
        sp__free(sampler);
        return sp__fail_errno(err, failed, "start a thread for a sampler");
    }
    *ret_sampler = sampler;
    return SP_OK;
}

void sp__gpu_close(struct gpu_sampler *sampler)
{
    if (sampler == NULL) {
        return;
    }
    sp__latch_open(&sampler->stopped);
    (void)pthread_join(sampler->thread, NULL);
    sp__free(sampler);
}
