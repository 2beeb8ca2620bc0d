/* SPDX-License-Identifier: MIT */
/*
 * Numbers of the configuration: counts, durations with a unit, sizes with a unit.
 *
 * A duration must have a unit, because "30" has meant seconds to some and milliseconds
 * to others; a size without one is bytes. A number may have up to three decimals
 * ("1.5s"); it is held in thousandths while it is read, and the limits on its digits
 * keep that from overflowing. "never" and "infinite" are SP_UNLIMITED where the row
 * allows it. What is malformed and what is out of range are told apart.
 */
#include "pit/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit time_units[] = {
    {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit byte_units[] = {
    {"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"B", 1}};

enum { UNITS = 4 };

/* How reading a number ended. */
enum number {
    NUMBER_OK,
    NUMBER_MALFORMED,
    NUMBER_HUGE,
    NUMBER_NEGATIVE,
    NUMBER_NO_UNIT
};

/* Decimal digits with up to three after a point; *ret_thousandths holds the value times
 * 1000, *ret_rest what follows. */
static enum number read_decimal(const char *text, uint64_t *ret_thousandths,
                                const char **ret_rest)
{
    int is_negative = text[0] == '-';
    const char *c = text + is_negative;
    uint64_t value = 0;
    if (*c < '0' || *c > '9') {
        return NUMBER_MALFORMED;
    }
    for (; *c >= '0' && *c <= '9'; c++) {
        /* Large enough for every limit, small enough for every factor. */
        if (value > UINT64_C(1000000000000)) {
            return is_negative ? NUMBER_NEGATIVE : NUMBER_HUGE;
        }
        value = value * 10 + (uint64_t)(*c - '0');
    }
    value *= 1000;
    if (*c == '.') {
        uint64_t place = 100;
        c++;
        if (*c < '0' || *c > '9') {
            return NUMBER_MALFORMED;
        }
        for (; *c >= '0' && *c <= '9'; c++) {
            value += place * (uint64_t)(*c - '0');
            place /= 10;
        }
    }
    *ret_thousandths = value;
    *ret_rest = c;
    return is_negative ? NUMBER_NEGATIVE : NUMBER_OK;
}

static enum number read_count(const char *text, uint64_t *ret_value)
{
    const char *rest;
    uint64_t thousandths;
    enum number result = read_decimal(text, &thousandths, &rest);
    if (result != NUMBER_OK) {
        return result;
    }
    if (*rest != '\0' || strchr(text, '.') != NULL) {
        return NUMBER_MALFORMED;
    }
    *ret_value = thousandths / 1000;
    return NUMBER_OK;
}

static enum number read_mask(const char *text, uint64_t *ret_value)
{
    size_t length = strlen(text);
    if (length == 0 || length > 4 || strspn(text, "01234567") != length) {
        return NUMBER_MALFORMED;
    }
    *ret_value = strtoull(text, NULL, 8);
    return NUMBER_OK;
}

/* A number and one unit. Without a unit the number counts as `bare` units, or, when
 * that is 0, is a mistake. */
static enum number read_with_unit(const char *text, const struct unit *units,
                                  uint64_t bare, uint64_t *ret_value)
{
    const char *rest;
    uint64_t thousandths = 0;
    enum number result = read_decimal(text, &thousandths, &rest);
    if (result != NUMBER_OK) {
        return result;
    }
    uint64_t factor = bare;
    if (*rest != '\0') {
        factor = 0;
        for (size_t i = 0; i < UNITS; i++) {
            if (strcmp(rest, units[i].name) == 0) {
                factor = units[i].factor;
            }
        }
        if (factor == 0) {
            return NUMBER_MALFORMED;
        }
    } else if (factor == 0) {
        return NUMBER_NO_UNIT;
    }
    if (thousandths > UINT64_MAX / factor) {
        return NUMBER_HUGE;
    }
    *ret_value = thousandths * factor / 1000;
    return NUMBER_OK;
}

/* The number with the largest unit that leaves no fraction: 90000 ms is "90s". */
static void show_with_unit(uint64_t value, const struct unit *units, char *ret_text,
                           size_t max)
{
    size_t i = 0;
    while (i < UNITS - 1 && (value < units[i].factor || value % units[i].factor != 0)) {
        i++;
    }
    if (value == 0 && units == time_units) {
        i = 2; /* "0s" */
    }
    (void)snprintf(ret_text, max, "%llu%s",
                   (unsigned long long)(value / units[i].factor), units[i].name);
}

static int is_size(enum config_kind kind)
{
    return kind == KIND_SIZE || kind == KIND_SIZE_ANY;
}

static int can_be_never(enum config_kind kind)
{
    return kind == KIND_COUNT_ANY || kind == KIND_DURATION_ANY ||
           kind == KIND_SIZE_ANY || kind == KIND_DURATIONS;
}

/* Thousandths without idle zeros: 100 is "0.1". */
static void show_share(uint64_t value, char *ret_text, size_t max)
{
    int digits = value % 1000 == 0 ? 0 : value % 100 == 0 ? 1 : value % 10 == 0 ? 2 : 3;
    unsigned long long part = value % 1000;
    for (int i = digits; i < 3; i++) {
        part /= 10;
    }
    if (digits > 0) {
        (void)snprintf(ret_text, max, "%llu.%0*llu", (unsigned long long)(value / 1000),
                       digits, part);
    } else {
        (void)snprintf(ret_text, max, "%llu", (unsigned long long)(value / 1000));
    }
}

void sp__config_number_show(const struct param *param, uint64_t value, char *ret_text,
                            size_t max)
{
    if (value == SP_UNLIMITED) {
        (void)snprintf(ret_text, max, "never");
    } else if (param->kind == KIND_COUNT || param->kind == KIND_COUNT_ANY) {
        (void)snprintf(ret_text, max, "%llu", (unsigned long long)value);
    } else if (param->kind == KIND_MASK) {
        (void)snprintf(ret_text, max, "%03llo", (unsigned long long)value);
    } else if (param->kind == KIND_SHARE) {
        show_share(value, ret_text, max);
    } else {
        show_with_unit(value, is_size(param->kind) ? byte_units : time_units, ret_text,
                       max);
    }
}

void sp__config_range_text(const struct param *param, char *ret_text, size_t max)
{
    char low[24];
    char high[24];
    ret_text[0] = '\0';
    if (param->kind > KIND_SIZE && param->kind != KIND_DURATIONS) {
        return;
    }
    sp__config_number_show(param, param->min, low, sizeof low);
    sp__config_number_show(param, param->max, high, sizeof high);
    (void)snprintf(ret_text, max, "%s..%s%s", low, high,
                   can_be_never(param->kind) ? " or never" : "");
}

const char *sp__config_number_name(enum config_kind kind)
{
    return kind == KIND_COUNT || kind == KIND_COUNT_ANY ? "a whole number"
           : kind == KIND_SHARE                         ? "a share such as 0.1"
           : kind == KIND_MASK                          ? "an octal mask such as 077"
           : is_size(kind)                              ? "a size such as 64MiB"
                                                        : "a duration such as 30s";
}

/* The text as a number of the kind. */
static enum number read_kind(const struct param *param, const struct node *node,
                             uint64_t *ret_value)
{
    const char *rest;
    const char *text = node->text;
    if (can_be_never(param->kind) &&
        (strcmp(text, "never") == 0 || strcmp(text, "infinite") == 0)) {
        *ret_value = SP_UNLIMITED;
        return NUMBER_OK;
    }
    if (param->kind == KIND_COUNT || param->kind == KIND_COUNT_ANY) {
        return node->is_plain ? read_count(text, ret_value) : NUMBER_MALFORMED;
    }
    if (param->kind == KIND_MASK) {
        return read_mask(text, ret_value);
    }
    if (param->kind == KIND_SHARE) {
        enum number result = read_decimal(text, ret_value, &rest);
        return result == NUMBER_OK && *rest != '\0' ? NUMBER_MALFORMED : result;
    }
    return is_size(param->kind) ? read_with_unit(text, byte_units, 1, ret_value)
                                : read_with_unit(text, time_units, 0, ret_value);
}

int sp__config_number_read(const struct param *param, const struct node *node,
                           const struct place *place, uint64_t *ret_number,
                           sp_error *err)
{
    const char *text = node->text;
    int is_count = param->kind == KIND_COUNT || param->kind == KIND_COUNT_ANY;
    uint64_t value = 0;
    enum number result = read_kind(param, node, &value);
    if (result == NUMBER_NO_UNIT) {
        return sp__config_complain(place, node, err,
                                   "%.40s has no unit; write %.40ss, %.40sms, %.40sm "
                                   "or %.40sh",
                                   text, text, text, text, text);
    }
    if (is_count && !node->is_plain) {
        return sp__config_complain(place, node, err,
                                   "expected a whole number, not text in quotes");
    }
    if (result == NUMBER_MALFORMED) {
        const char *units =
            is_count || param->kind == KIND_SHARE || param->kind == KIND_MASK ? ""
            : is_size(param->kind) ? " (units: B, KiB, MiB, GiB)"
                                   : " (units: ms, s, m, h)";
        return sp__config_complain(place, node, err, "expected %s, not \"%.60s\"%s",
                                   sp__config_number_name(param->kind), text, units);
    }
    int is_never = value == SP_UNLIMITED && can_be_never(param->kind);
    if (result != NUMBER_OK ||
        (!is_never && (value < param->min || value > param->max))) {
        char range[48];
        sp__config_range_text(param, range, sizeof range);
        return sp__config_complain(place, node, err, "%.40s is out of range %s", text,
                                   range);
    }
    *ret_number = value;
    return 0;
}
