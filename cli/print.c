/* SPDX-License-Identifier: MIT */
/*
 * Standard output: tables that line up, JSON on one line, colours on a terminal.
 *
 * Whatever a worker sent is cleaned of control characters before it reaches a table, so
 * that a tool's description cannot drive the reader's terminal. JSON is safe by itself.
 */
#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int has_color;

void print_init(int with_color)
{
    has_color = with_color;
}

const char *paint(const char *color)
{
    static const struct {
        const char *name;
        const char *escape;
    } colors[] = {{"bold", "\033[1m"},
                  {"red", "\033[31m"},
                  {"green", "\033[32m"},
                  {"yellow", "\033[33m"},
                  {"dim", "\033[2m"}};
    if (!has_color) {
        return "";
    }
    for (size_t i = 0; i < sizeof colors / sizeof colors[0]; i++) {
        if (strcmp(colors[i].name, color) == 0) {
            return colors[i].escape;
        }
    }
    return "\033[0m";
}

/* The write that failed may be long past, and errno with it: ask. */
static int is_reader_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

int print_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return CODE_OK;
    }
    return errno == EPIPE || is_reader_gone()
               ? CODE_PIPE
               : complain(CODE_REFUSED, "standard output: %s", strerror(errno));
}

void print_json(const json_t *value)
{
    char *text = need(json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15)));
    progress_erase();
    (void)puts(text);
    free(text);
}

void print_clean(FILE *to, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        int is_control = c < ' ' || c == 0x7f;
        /* C1 control characters are two bytes in UTF-8, c2 80 to c2 9f. */
        if (c == 0xc2 && i + 1 < size && (unsigned char)text[i + 1] < 0xa0) {
            is_control = 1;
            i++;
        }
        (void)fputc(is_control ? (c == '\t' ? ' ' : '?') : c, to);
    }
}

/* --- Tables -------------------------------------------------------------------------- */

struct table {
    size_t columns;
    char **cells;
    size_t count;
    size_t capacity;
};

static void add_cell(struct table *table, char *cell)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 64 : table->capacity * 2;
        table->cells =
            need(realloc(table->cells, table->capacity * sizeof *table->cells));
    }
    table->cells[table->count++] = cell;
}

struct table *table_new(const char *const *headings)
{
    struct table *table = need(calloc(1, sizeof *table));
    for (; headings[table->columns] != NULL; table->columns++) {
        add_cell(table, need(strdup(headings[table->columns])));
    }
    return table;
}

void table_cell(struct table *table, const char *format, ...)
{
    va_list args;
    char *cell = NULL;
    va_start(args, format);
    int length = vasprintf(&cell, format, args);
    va_end(args);
    add_cell(table, need(length < 0 ? NULL : cell));
}

/* Characters, not bytes: continuation bytes of UTF-8 take no column. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

void table_print(struct table *table, const char *indent)
{
    size_t *widths = need(calloc(table->columns, sizeof *widths));
    for (size_t i = 0; i < table->count; i++) {
        size_t width = width_of(table->cells[i]);
        if (width > widths[i % table->columns]) {
            widths[i % table->columns] = width;
        }
    }
    progress_erase();
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        const char *cell = table->cells[i];
        if (column == 0) {
            (void)fputs(indent, stdout);
            (void)fputs(i == 0 ? paint("bold") : "", stdout);
        }
        print_clean(stdout, cell, strlen(cell));
        if (column + 1 == table->columns) {
            (void)printf("%s\n", i + 1 == table->columns ? paint("") : "");
        } else {
            (void)printf("%*s", (int)(widths[column] - width_of(cell) + 2), "");
        }
    }
    free(widths);
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(table);
}

const char *format_duration(uint64_t ms, char *text, size_t max)
{
    if (ms == SP_UNLIMITED) {
        (void)snprintf(text, max, "never");
    } else if (ms < 1000) {
        (void)snprintf(text, max, "%llums", (unsigned long long)ms);
    } else if (ms < 60 * 1000) {
        (void)snprintf(text, max, "%.1fs", (double)ms / 1000);
    } else if (ms < 3600 * 1000) {
        (void)snprintf(text, max, "%llum%02llus", (unsigned long long)(ms / 60000),
                       (unsigned long long)(ms / 1000 % 60));
    } else {
        (void)snprintf(text, max, "%lluh%02llum", (unsigned long long)(ms / 3600000),
                       (unsigned long long)(ms / 60000 % 60));
    }
    return text;
}

const char *format_time(uint64_t unix_ms, char text[TIME_MAX])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    if (unix_ms == 0 || gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        text[0] = '\0';
    }
    return text;
}

void print_fact(const char *name, const char *format, ...)
{
    char *value = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&value, format, args);
    va_end(args);
    need(length < 0 ? NULL : value);
    (void)printf("%-12s ", name);
    print_clean(stdout, value, (size_t)length);
    (void)fputc('\n', stdout);
    free(value);
}
