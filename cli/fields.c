/* SPDX-License-Identifier: MIT */
/* From a report's members to text. */
#include "fields.h"

#include "view.h"

void number_cell(struct table *table, const json_t *object, const char *key)
{
    table_cell(table, "%lld", report_number(object, key));
}

void words_cell(struct table *table, const json_t *object, const char *key)
{
    table_cell(table, "%s", report_words(object, key));
}

void duration_cell(struct table *table, const json_t *object, const char *key)
{
    char text[32];
    table_cell(
        table, "%s",
        format_duration((uint64_t)report_number(object, key), text, sizeof text));
}

const char *format_bytes(uint64_t bytes, char *text, size_t max)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    if (bytes == 0) {
        (void)snprintf(text, max, "-");
    } else {
        (void)snprintf(text, max, unit == 0 ? "%.0f%s" : "%.1f%s", value, units[unit]);
    }
    return text;
}
