/* SPDX-License-Identifier: MIT */
/*
 * Text for one line, in the three ways of writing a value.
 *
 * Whatever others wrote ends up here, workers above all, so nothing of it may end the
 * line, leave its quotes, or be no UTF-8. Nothing fails: what does not fit is cut, and a
 * quote that was opened is closed.
 */
#include "log/line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

enum { CLOSING_BYTES = 8 /* `..."` and what ends the line */ };

void sp__line_bytes(struct line *line, const char *bytes, size_t size)
{
    size_t room = line->max - line->size;
    size = size < room ? size : room;
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

void sp__line_put(struct line *line, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0) {
        sp__line_bytes(line, text,
                       (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    }
}

static int is_word(const char *text)
{
    if (text[0] == '\0') {
        return 0;
    }
    for (const char *at = text; *at != '\0';) {
        unsigned char c = (unsigned char)*at;
        size_t size = sp__utf8_size(at, SIZE_MAX);
        if (size == 0 || c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) {
            return 0;
        }
        at += size;
    }
    return 1;
}

/* One character of a quoted value into `out`; its size. */
static size_t escape(const char *at, size_t size, const char *control, char out[8])
{
    unsigned char c = (unsigned char)*at;
    if (size == 0) {
        memcpy(out, replacement, sizeof replacement);
        return sizeof replacement - 1;
    }
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c == '\n' || c == '\t') {
        out[0] = '\\';
        out[1] = c == '\n' ? 'n' : 't';
        return 2;
    }
    if (c < ' ' || c == 0x7f) {
        return (size_t)snprintf(out, 8, "%s%02x", control, c);
    }
    memcpy(out, at, size);
    return size;
}

/* `control` begins the escape of a control byte. */
static void put_quoted(struct line *line, const char *text, const char *control)
{
    size_t max = line->max > CLOSING_BYTES ? line->max - CLOSING_BYTES : 0;
    if (line->size >= max) {
        return;
    }
    sp__line_bytes(line, "\"", 1);
    while (*text != '\0') {
        char out[8];
        size_t size = sp__utf8_size(text, SIZE_MAX);
        size_t written = escape(text, size, control, out);
        if (line->size + written > max) {
            sp__line_bytes(line, "...", 3);
            break;
        }
        sp__line_bytes(line, out, written);
        text += size > 0 ? size : 1;
    }
    sp__line_bytes(line, "\"", 1);
}

void sp__line_logfmt(struct line *line, const char *text)
{
    if (is_word(text) && strlen(text) + CLOSING_BYTES < line->max - line->size) {
        sp__line_bytes(line, text, strlen(text));
    } else {
        put_quoted(line, text, "\\x");
    }
}

void sp__line_json(struct line *line, const char *text)
{
    put_quoted(line, text, "\\u00");
}

void sp__line_plain(struct line *line, const char *text)
{
    while (*text != '\0' && line->size + CLOSING_BYTES < line->max) {
        unsigned char c = (unsigned char)*text;
        size_t size = sp__utf8_size(text, SIZE_MAX);
        if (size == 0) {
            sp__line_bytes(line, replacement, sizeof replacement - 1);
        } else {
            sp__line_bytes(line, c < ' ' || c == 0x7f ? "?" : text, size);
        }
        text += size > 0 ? size : 1;
    }
}
