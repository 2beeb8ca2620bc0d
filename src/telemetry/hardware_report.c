/* SPDX-License-Identifier: MIT */
/*
 * The report "hardware": what the machine of the pit has, or the device that would be
 * chosen, with the events that tell of the search and the choice.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "hardware/hardware.h"
#include "hardware/json.h"
#include "pit/pit.h"
#include "telemetry/json_report.h"

static void tell(struct herald *herald, int kind)
{
    sp__herald_tell(herald, &(struct tidings){.event = {.kind = kind}});
}

static double ms_since(uint64_t begun_us)
{
    return (double)(sp__now_us() - begun_us) / 1000;
}

static int look(struct herald *herald, int refresh, struct hardware **ret,
                sp_error *err)
{
    sp_hardware_options options = {.size = sizeof options, .refresh = refresh};
    uint64_t begun_us = sp__now_us();
    int is_new = refresh || !sp__hardware_is_known();
    tell(herald, is_new ? SP_EVENT_HARDWARE_CACHE_MISS : SP_EVENT_HARDWARE_CACHE_HIT);
    if (is_new) {
        sp__herald_tell(
            herald, &(struct tidings){.event = {.kind = SP_EVENT_HARDWARE_DETECT_START},
                                      EVENT_NUMBERS((double)sp__unix_ns())});
    }
    int rc = sp__hardware_look(&options, ret, err);
    if (rc == SP_OK && is_new) {
        sp__herald_tell(
            herald,
            &(struct tidings){.event = {.kind = SP_EVENT_HARDWARE_DETECT_STOP},
                              EVENT_NUMBERS(ms_since(begun_us)),
                              EVENT_TEXTS(sp__hardware_kind((*ret)->devices[0].kind))});
    }
    return rc;
}

static int choose(struct herald *herald, const struct hardware *hardware,
                  const char *wanted, struct sp_buffer *out, sp_error *err)
{
    uint64_t begun_us = sp__now_us();
    sp_device device = {0};
    sp__herald_tell(herald,
                    &(struct tidings){.event = {.kind = SP_EVENT_HARDWARE_SELECT_START},
                                      EVENT_NUMBERS((double)sp__unix_ns()),
                                      EVENT_TEXTS(wanted)});
    int rc = sp__hardware_choose(hardware, wanted, &device, err);
    sp__herald_tell(herald,
                    &(struct tidings){.event = {.kind = SP_EVENT_HARDWARE_SELECT_STOP},
                                      EVENT_NUMBERS(ms_since(begun_us)),
                                      EVENT_TEXTS(wanted, device.text)});
    return rc < 0 ? rc
                  : sp__report_put_json(out,
                                        json_pack("{s:i, s:s, s:s}", "version", 1,
                                                  "device", device.text, "name",
                                                  device.name),
                                        err);
}

int sp__report_hardware(const struct report_question *question, struct sp_buffer *out,
                        sp_error *err)
{
    struct herald *herald = &question->pit->herald;
    struct report_wishes wishes = sp__report_wishes(question, err);
    struct hardware *hardware = NULL;
    const char *wanted = NULL;
    int refresh = 0;
    (void)sp__report_wish_text(&wishes, "select", &wanted);
    (void)sp__report_wish_flag(&wishes, "refresh", &refresh);
    int rc = wishes.rc < 0 ? wishes.rc : look(herald, refresh, &hardware, err);
    if (rc == SP_OK) {
        rc = wanted != NULL ? choose(herald, hardware, wanted, out, err)
                            : sp__hardware_put_json(hardware, out, err);
    }
    sp__free(hardware);
    return rc;
}
