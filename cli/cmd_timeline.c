/* SPDX-License-Identifier: MIT */
/*
 * timeline: when workers started and calls ran, of the daemon that runs or of a pit of its
 * own, as a trace for the viewers that draw such. It is the report as it comes.
 */
#include <errno.h>
#include <string.h>

#include "view.h"

static int write_to(const char *path, const struct text *text)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return complain(CODE_USAGE, "--out: %s: %s", path, strerror(errno));
    }
    int failed = fwrite(text->data, 1, text->size, file) != text->size;
    return fclose(file) != 0 || failed
               ? complain(CODE_FINDING, "%s is not whole: it could not be written",
                          path)
               : CODE_OK;
}

static int show(const struct cli *cli, struct view *view)
{
    struct text text = {0};
    json_t *options = need(json_object());
    if (cli->count > 0) {
        (void)json_object_set_new(options, "calls",
                                  json_integer((json_int_t)cli->count));
    }
    int code = view_text(view, "timeline", options, &text);
    progress_erase();
    if (code == CODE_OK && cli->out != NULL) {
        code = write_to(cli->out, &text);
    } else if (code == CODE_OK) {
        (void)fwrite(text.data, 1, text.size, stdout);
        (void)fputc('\n', stdout);
        code = print_flush();
    }
    text_free(&text);
    return code;
}

int cmd_timeline(struct cli *cli)
{
    if (cli->words_count > 0) {
        return complain(CODE_USAGE, "timeline takes no \"%s\"; --out FILE names a file",
                        cli->words[0]);
    }
    return view_do(cli, show);
}
