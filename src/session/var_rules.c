/* SPDX-License-Identifier: MIT */
/*
 * Constraints: a table of what may be said of which type, reading them, and checking a
 * value against them.
 *
 * Reading is strict, because a constraint that is misspelt, of the wrong kind or
 * impossible to meet would otherwise be found out much later, by the value it let
 * through. Checks follow one order: min, max; min_length, max_length, pattern, enum.
 */
#include "session/var_rules.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/near.h"
#include "session/checks.h"
#include "session/compact.h"
#include "wire/json.h"

enum { CONSTRAINTS_BYTES_MAX = 65536 };

#define TYPE(name) (1u << VAR_##name)

struct constraint {
    const char *name;
    unsigned types;
    int (*read)(struct var_rules *rules, const struct constraint *self,
                const struct json_member *member, sp_error *err);
};

static int wrong_kind(const struct constraint *constraint, const char *wanted,
                      const struct json_member *member, sp_error *err)
{
    return sp__fail(err, SP_ERR_BAD_VALUE, "constraint %s must be %s, got %s",
                    constraint->name, wanted,
                    sp__excerpt(member->value, member->value_size).text);
}

static int no_memory(sp_error *err)
{
    return sp__fail(err, SP_ERR_NOMEM, "no memory for constraints");
}

static int read_bound(struct var_rules *rules, const struct constraint *self,
                      const struct json_member *member, sp_error *err)
{
    struct var_bound *bound =
        strcmp(self->name, "min") == 0 ? &rules->min : &rules->max;
    if (sp__json_kind(member->value, member->value_size) != '0' ||
        memchr("NI", member->value[0], 2) != NULL ||
        memcmp(member->value, "-I", member->value_size < 2 ? 1 : 2) == 0 ||
        sp__var_number(member->value, member->value_size, &bound->number) < 0) {
        return wrong_kind(self, "a finite number", member, err);
    }
    memcpy(bound->text, member->value, member->value_size);
    bound->text[member->value_size] = '\0';
    return SP_OK;
}

static int read_count(struct var_rules *rules, const struct constraint *self,
                      const struct json_member *member, sp_error *err)
{
    var_number number;
    if (sp__json_kind(member->value, member->value_size) != '0' ||
        sp__var_number(member->value, member->value_size, &number) < 0 || number < 0 ||
        number > (var_number)INT64_MAX || (var_number)(long long)number != number) {
        return wrong_kind(self, "a whole number from 0 up", member, err);
    }
    if (strcmp(self->name, "min_length") == 0) {
        rules->min_length = (uint64_t)number;
    } else if (strcmp(self->name, "max_length") == 0) {
        rules->max_length = (uint64_t)number;
    } else {
        rules->dimensions = (uint64_t)number;
    }
    return SP_OK;
}

/* A JSON string as terminated text of its own. */
static char *copy_text(const char *raw, size_t n, size_t *ret_size)
{
    char *text = sp__malloc(n + 1);
    if (text != NULL) {
        *ret_size = sp__json_unescape(raw, n, text);
        text[*ret_size] = '\0';
    }
    return text;
}

static int read_pattern(struct var_rules *rules, const struct constraint *self,
                        const struct json_member *member, sp_error *err)
{
    size_t size;
    if (sp__json_kind(member->value, member->value_size) != '"') {
        return wrong_kind(self, "a string", member, err);
    }
    rules->pattern_text = copy_text(member->value + 1, member->value_size - 2, &size);
    if (rules->pattern_text == NULL) {
        return no_memory(err);
    }
    rules->bytes += 2 * size;
    return sp__pattern_new(rules->pattern_text, size, &rules->pattern, err);
}

/* ---- lists of names ---- */

static int count_name(void *user, const char *raw, size_t n, int escaped)
{
    struct var_rules *rules = user;
    rules->names_count++;
    return 0;
}

/* Kept as a value would be, so that the two are compared as JSON. */
static int add_name(void *user, const char *raw, size_t n, int escaped)
{
    struct var_rules *rules = user;
    struct sp_buffer out;
    size_t size;
    char *name = copy_text(raw, n, &size);
    if (name == NULL) {
        return SP_ERR_NOMEM;
    }
    sp__buf_init(&out, SIZE_MAX);
    int rc = sp__json_put_string(&out, name, size, NULL);
    sp__free(name);
    if (rc == SP_OK) {
        rc = sp__buf_append(&out, "", 1, NULL);
    }
    if (rc < 0) {
        sp__buf_fini(&out);
        return SP_ERR_NOMEM;
    }
    sp__buf_take(&out, (uint8_t **)&rules->names[rules->names_count++], &size);
    rules->bytes += size + sizeof name;
    return 0;
}

static int refuse_number(void *user, const char *text, size_t n, enum json_number kind)
{
    return SP_ERR_BAD_VALUE;
}

static int refuse_literal(void *user, int value)
{
    return SP_ERR_BAD_VALUE;
}

static int refuse_object(void *user)
{
    return SP_ERR_BAD_VALUE;
}

static int read_names(struct var_rules *rules, const struct constraint *self,
                      const struct json_member *member, sp_error *err)
{
    struct json_handler handler = {.string = count_name,
                                   .number = refuse_number,
                                   .literal = refuse_literal,
                                   .object_begin = refuse_object};
    if (sp__json_kind(member->value, member->value_size) != '[' ||
        sp__json_read(member->value, member->value_size, 1, &handler, rules, NULL) <
            0) {
        return wrong_kind(self, "a list of strings", member, err);
    }
    if (rules->names_count == 0) {
        /* For a choice or a module this means any; an enum would refuse everything. */
        return strcmp(self->name, "enum") != 0
                   ? SP_OK
                   : wrong_kind(self, "a list of at least one string", member, err);
    }
    rules->names = sp__calloc(rules->names_count, sizeof *rules->names);
    rules->names_json = sp__strndup(member->value, member->value_size);
    rules->names_count = 0;
    if (rules->names == NULL || rules->names_json == NULL) {
        return no_memory(err);
    }
    rules->bytes += member->value_size;
    handler.string = add_name;
    if (sp__json_read(member->value, member->value_size, 1, &handler, rules, NULL) <
        0) {
        return no_memory(err);
    }
    return SP_OK;
}

static int read_shape(struct var_rules *rules, const struct constraint *self,
                      const struct json_member *member, sp_error *err)
{
    rules->shape = sp__malloc(sizeof *rules->shape);
    if (rules->shape == NULL) {
        return no_memory(err);
    }
    rules->bytes += sizeof *rules->shape;
    if (sp__shape_read(member->value, member->value_size, rules->shape) < 0) {
        return wrong_kind(self, "a list of at most 32 sizes", member, err);
    }
    return SP_OK;
}

/* ---- the table ---- */

static const struct constraint constraints[] = {
    {"min", TYPE(FLOAT) | TYPE(INTEGER), read_bound},
    {"max", TYPE(FLOAT) | TYPE(INTEGER), read_bound},
    {"min_length", TYPE(STRING) | TYPE(LIST) | TYPE(MAP), read_count},
    {"max_length", TYPE(STRING) | TYPE(LIST) | TYPE(MAP), read_count},
    {"pattern", TYPE(STRING), read_pattern},
    {"enum", TYPE(STRING), read_names},
    {"choices", TYPE(CHOICE), read_names},
    {"allowed_modules", TYPE(MODULE), read_names},
    {"dimensions", TYPE(EMBEDDING), read_count},
    {"shape", TYPE(TENSOR), read_shape},
};

enum { CONSTRAINTS = sizeof constraints / sizeof constraints[0] };

static int unknown(enum var_type type, const char *name, sp_error *err)
{
    struct near near;
    char hint[256];
    sp__near_init(&near, name);
    for (size_t i = 0; i < CONSTRAINTS; i++) {
        if (constraints[i].types & 1u << type) {
            sp__near_offer(&near, constraints[i].name);
        }
    }
    return sp__fail(err, SP_ERR_BAD_VALUE, "type %s has no constraint \"%s\"%s",
                    sp__var_type_name(type), name,
                    sp__near_text(&near, hint, sizeof hint));
}

static int read_member(struct var_rules *rules, const struct json_member *member,
                       unsigned *seen, sp_error *err)
{
    char name[65];
    size_t size =
        member->key_size < sizeof name - 1 ? member->key_size : sizeof name - 1;
    memcpy(name, member->key, size);
    name[size] = '\0';
    for (size_t i = 0; i < CONSTRAINTS; i++) {
        if (strcmp(constraints[i].name, name) != 0 ||
            !(constraints[i].types & 1u << rules->type)) {
            continue;
        }
        if (*seen & 1u << i) {
            return sp__fail(err, SP_ERR_BAD_VALUE, "constraint %s is given twice",
                            name);
        }
        *seen |= 1u << i;
        return constraints[i].read(rules, &constraints[i], member, err);
    }
    return unknown(rules->type, name, err);
}

static int check_sense(const struct var_rules *rules, sp_error *err)
{
    if (rules->min.text[0] != '\0' && rules->max.text[0] != '\0' &&
        rules->min.number > rules->max.number) {
        return sp__fail(err, SP_ERR_BAD_VALUE,
                        "constraint min %s is above max %s: nothing would fit",
                        rules->min.text, rules->max.text);
    }
    if (rules->min_length > rules->max_length) {
        return sp__fail(
            err, SP_ERR_BAD_VALUE,
            "constraint min_length %llu is above max_length %llu: nothing would fit",
            (unsigned long long)rules->min_length,
            (unsigned long long)rules->max_length);
    }
    return SP_OK;
}

static int read_all(struct var_rules *rules, const char *json, size_t size,
                    sp_error *err)
{
    struct json_member member;
    struct sp_buffer out;
    size_t at = 0;
    unsigned seen = 0;
    int rc = sp__check_object("constraints", json, size, CONSTRAINTS_BYTES_MAX, err);
    if (rc < 0) {
        return rc == SP_ERR_INVAL && err != NULL ? (err->code = SP_ERR_BAD_VALUE) : rc;
    }
    while (rc == SP_OK && sp__json_next_member(json, size, &at, &member)) {
        rc = read_member(rules, &member, &seen, err);
    }
    if (rc == SP_OK) {
        rc = check_sense(rules, err);
    }
    sp__buf_init(&out, CONSTRAINTS_BYTES_MAX + 1);
    struct compact compact = {.out = &out, .err = err};
    if (rc == SP_OK) {
        rc = sp__compact(&compact, json, size);
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(&out, "", 1, err);
    }
    if (rc < 0) {
        sp__buf_fini(&out);
        return rc;
    }
    sp__free(rules->json);
    sp__buf_take(&out, (uint8_t **)&rules->json, &rules->json_size);
    rules->json_size--;
    return SP_OK;
}

/* Most variables have no constraints, and share these. One reference is never given
 * back, so they are never freed. */
static char no_constraints[] = "{}";
#define PLAIN(t)                              \
    [VAR_##t] = {.references = 1,             \
                 .type = VAR_##t,             \
                 .max_length = VAR_UNBOUNDED, \
                 .dimensions = VAR_UNBOUNDED, \
                 .json = no_constraints,      \
                 .json_size = 2}
static struct var_rules plain_rules[VAR_TYPES] = {
    PLAIN(FLOAT),  PLAIN(INTEGER),   PLAIN(STRING), PLAIN(BOOLEAN), PLAIN(CHOICE),
    PLAIN(MODULE), PLAIN(EMBEDDING), PLAIN(TENSOR), PLAIN(LIST),    PLAIN(MAP),
};

int sp__var_rules_new(enum var_type type, const char *json, size_t size,
                      struct var_rules **ret_rules, sp_error *err)
{
    if (size == 0 || (size == 2 && memcmp(json, "{}", 2) == 0)) {
        *ret_rules = sp__var_rules_ref(&plain_rules[type]);
        return SP_OK;
    }
    struct var_rules *rules = sp__calloc(1, sizeof *rules);
    if (rules == NULL || (rules->json = sp__strdup("{}")) == NULL) {
        sp__free(rules);
        return no_memory(err);
    }
    atomic_init(&rules->references, 1);
    rules->type = type;
    rules->json_size = 2;
    rules->max_length = rules->dimensions = VAR_UNBOUNDED;
    int rc = read_all(rules, json, size, err);
    if (rc < 0) {
        sp__var_rules_unref(rules);
        return rc;
    }
    rules->bytes += sizeof *rules + rules->json_size + 1;
    *ret_rules = rules;
    return SP_OK;
}

struct var_rules *sp__var_rules_ref(struct var_rules *rules)
{
    (void)atomic_fetch_add_explicit(&rules->references, 1, memory_order_relaxed);
    return rules;
}

void sp__var_rules_unref(struct var_rules *rules)
{
    if (rules == NULL || atomic_fetch_sub(&rules->references, 1) > 1) {
        return;
    }
    for (size_t i = 0; rules->names != NULL && i < rules->names_count; i++) {
        sp__free(rules->names[i]);
    }
    sp__free(rules->names);
    sp__free(rules->names_json);
    sp__pattern_free(rules->pattern);
    sp__free(rules->pattern_text);
    sp__free(rules->shape);
    sp__free(rules->json);
    sp__free(rules);
}

/* ---- checking ---- */

static int check_bounds(const struct var_rules *rules, const struct cast *cast,
                        sp_error *err)
{
    if (cast->is_special) {
        return SP_OK;
    }
    if (rules->min.text[0] != '\0' && cast->number < rules->min.number) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "value %.*s is below minimum %s",
                        (int)cast->json.size, (const char *)cast->json.data,
                        rules->min.text);
    }
    if (rules->max.text[0] != '\0' && cast->number > rules->max.number) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "value %.*s is above maximum %s",
                        (int)cast->json.size, (const char *)cast->json.data,
                        rules->max.text);
    }
    return SP_OK;
}

static int check_length(const struct var_rules *rules, size_t length, const char *unit,
                        sp_error *err)
{
    if (length < rules->min_length) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "must be at least %llu %s, got %zu",
                        (unsigned long long)rules->min_length, unit, length);
    }
    if (length > rules->max_length) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "must be at most %llu %s, got %zu",
                        (unsigned long long)rules->max_length, unit, length);
    }
    return SP_OK;
}

static int check_names(const struct var_rules *rules, const struct cast *cast,
                       const char *what, sp_error *err)
{
    if (rules->names == NULL) {
        return SP_OK;
    }
    for (size_t i = 0; i < rules->names_count; i++) {
        if (strlen(rules->names[i]) == cast->json.size &&
            memcmp(rules->names[i], cast->json.data, cast->json.size) == 0) {
            return SP_OK;
        }
    }
    return sp__fail(err, SP_ERR_BAD_VALUE, "must be one of%s: %s, got %s", what,
                    rules->names_json,
                    sp__excerpt((const char *)cast->json.data, cast->json.size).text);
}

static int check_string(const struct var_rules *rules, const struct cast *cast,
                        sp_error *err)
{
    size_t length = 0;
    int rc = SP_OK;
    if (rules->min_length > 0 || rules->max_length != VAR_UNBOUNDED) {
        rc = sp__grapheme_count(cast->text, cast->text_size, &length, err);
        if (rc == SP_OK) {
            rc = check_length(rules, length, "characters", err);
        }
    }
    if (rc == SP_OK && rules->pattern != NULL) {
        rc = sp__pattern_search(rules->pattern, cast->text, cast->text_size, err);
        if (rc == 0) {
            return sp__fail(
                err, SP_ERR_BAD_VALUE, "must match pattern: %s, got %s",
                rules->pattern_text,
                sp__excerpt((const char *)cast->json.data, cast->json.size).text);
        }
    }
    return rc < 0 ? rc : check_names(rules, cast, "", err);
}

static int check_shape(const struct var_rules *rules, const struct cast *cast,
                       sp_error *err)
{
    char wanted[32 * 21];
    char got[32 * 21];
    const struct var_shape *shape = rules->shape;
    if (shape == NULL || (shape->count == cast->shape.count &&
                          memcmp(shape->sizes, cast->shape.sizes,
                                 shape->count * sizeof shape->sizes[0]) == 0)) {
        return SP_OK;
    }
    return sp__fail(err, SP_ERR_BAD_VALUE, "shape must be %s, got %s",
                    sp__shape_text(shape, wanted, sizeof wanted),
                    sp__shape_text(&cast->shape, got, sizeof got));
}

static int check(const struct var_rules *rules, const struct cast *cast, sp_error *err)
{
    switch (rules->type) {
    case VAR_FLOAT:
    case VAR_INTEGER:
        return check_bounds(rules, cast, err);
    case VAR_STRING:
        return check_string(rules, cast, err);
    case VAR_CHOICE:
        return check_names(rules, cast, "", err);
    case VAR_MODULE:
        return check_names(rules, cast, " the allowed modules", err);
    case VAR_EMBEDDING:
        return rules->dimensions == VAR_UNBOUNDED || rules->dimensions == cast->count
                   ? SP_OK
                   : sp__fail(err, SP_ERR_BAD_VALUE,
                              "must have exactly %llu dimensions, got %zu",
                              (unsigned long long)rules->dimensions, cast->count);
    case VAR_TENSOR:
        return check_shape(rules, cast, err);
    case VAR_LIST:
    case VAR_MAP:
        return check_length(rules, cast->count, "elements", err);
    case VAR_BOOLEAN:
    case VAR_TYPES:
        break;
    }
    return SP_OK;
}

int sp__var_rules_apply(const struct var_rules *rules, const char *json, size_t size,
                        size_t max, struct cast *ret_cast, sp_error *err)
{
    int rc = sp__cast(rules->type, json, size, max, ret_cast, err);
    return rc < 0 ? rc : check(rules, ret_cast, err);
}
