/* SPDX-License-Identifier: MIT */
/* From an object's members to text. */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

const char *field_words(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

long long field_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

double field_real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

void number_cell(struct table *table, const json_t *object, const char *key)
{
    table_cell(table, "%lld", field_number(object, key));
}

void words_cell(struct table *table, const json_t *object, const char *key)
{
    table_cell(table, "%s", field_words(object, key));
}

void duration_cell(struct table *table, const json_t *object, const char *key)
{
    char text[32];
    table_cell(table, "%s",
               format_duration((uint64_t)field_number(object, key), text, sizeof text));
}

void field_put(struct text *text, const char *key, const json_t *value)
{
    const char *word = json_string_value(value);
    if (word != NULL && word[0] != '\0' && strpbrk(word, " \t\n\"=\\") == NULL) {
        text_printf(text, " %s=%s", key, word);
        return;
    }
    char *dumped = need(
        json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9)));
    text_printf(text, " %s=%s", key, dumped);
    free(dumped);
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
