/* SPDX-License-Identifier: MIT */
/*
 * Reading what a daemon keeps: its events, the lines of its log.
 *
 * The daemon is asked with a cursor that moves behind what was seen, again while a report
 * is full. With --follow it goes on from there: with a stream where there is one, else by
 * asking again and again; when the daemon goes away, so does this.
 */
#include "kept.h"

#include <poll.h>

#include "fields.h"

enum { PAUSE_MS = 300, ONE_REPORT = 5000 };

struct reader {
    const struct cli *cli;
    const struct kept *kept;
    struct view view;
    json_t *wish; /* with the cursor */
};

/* One report's part of `list`; how many there were, or -1 with an exit code. */
static int read_some(struct reader *reader, json_t *list, int *ret_code)
{
    json_t *report = view_report(&reader->view, reader->kept->report,
                                 need(json_copy(reader->wish)), ret_code);
    if (report == NULL) {
        return -1;
    }
    json_t *found = json_object_get(report, reader->kept->list);
    int count = (int)json_array_size(found);
    if (field_number(report, "lost") > 0) {
        talk("(%lld %s are no longer kept)", field_number(report, "lost"),
             reader->kept->list);
    }
    (void)json_array_extend(list, found);
    (void)json_object_set(reader->wish, "cursor", json_object_get(report, "cursor"));
    json_decref(report);
    return count;
}

/* All that there is now. */
static int read_all(struct reader *reader, json_t *list)
{
    int code = CODE_OK;
    while (read_some(reader, list, &code) == ONE_REPORT) {
    }
    return code;
}

/* Show what there is now; of much the last `max`, 0: all. */
static int show_new(struct reader *reader, size_t max)
{
    json_t *list = need(json_array());
    int code = read_all(reader, list);
    size_t count = json_array_size(list);
    for (size_t i = max > 0 && max < count ? count - max : 0;
         code == CODE_OK && i < count; i++) {
        const json_t *one = json_array_get(list, i);
        if (wants_json(reader->cli)) {
            print_json(one);
        } else {
            reader->kept->show(one);
        }
    }
    json_decref(list);
    return code == CODE_OK ? print_flush() : code;
}

/* Ask for what is new, again and again. */
static int poll_for_new(struct reader *reader)
{
    int code = CODE_OK;
    while (code == CODE_OK) {
        (void)poll(NULL, 0, PAUSE_MS); /* a signal ends it */
        code = watch_interrupted() ? CODE_INTERRUPTED : show_new(reader, 0);
    }
    return code;
}

int kept_show(const struct cli *cli, const struct kept *kept, json_t *wish)
{
    struct reader reader = {.cli = cli, .kept = kept, .wish = wish};
    int code = view_open_daemon(cli, &reader.view);
    if (code == CODE_OK) {
        (void)json_object_set_new(wish, "max", json_integer(ONE_REPORT));
        code = show_new(&reader, (size_t)cli->count);
        if (code == CODE_OK && cli->follow) {
            code = kept->follow != NULL ? kept->follow(cli, &reader.view, reader.wish)
                                        : poll_for_new(&reader);
        }
        view_close(&reader.view);
    }
    json_decref(wish);
    return code;
}
