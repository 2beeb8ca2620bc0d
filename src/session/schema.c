/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON Schemas: a table of keywords, each with what reads it.
 *
 * Reading is strict: a keyword that is misspelt, of the wrong kind or not known here would
 * let arguments through that its author means to refuse, so the whole schema is refused
 * and the message says where. What a schema may cost is bounded by its size, its depth
 * and the number of schemas in it; checking is in schema_check.c.
 */
#include "session/schema.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/near.h"
#include "session/checks.h"
#include "wire/json.h"

/* Where reading is, for messages. */
struct place {
    const struct place *up;
    const char *name;
    size_t name_size;
};

struct reader {
    unsigned depth;
    unsigned nodes;
    sp_error *err;
    const struct place *place;
};

struct keyword {
    const char *name;
    int (*read)(struct reader *reader, struct schema *schema,
                const struct keyword *self, const struct json_element *value);
};

static int read_schema(struct reader *reader, const char *step, size_t step_size,
                       const struct json_element *value, struct schema **ret_schema);

/* ---- saying what is wrong ---- */

enum { PLACE_MAX = 160 };

/* "properties.x.items: " before a message; "" at the top. */
static const char *place_text(const struct place *place, char text[PLACE_MAX])
{
    char *at = text + PLACE_MAX - 1;
    *at = '\0';
    for (const char *end = ": "; place != NULL && place->up != NULL;
         place = place->up, end = ".") {
        size_t end_size = strlen(end);
        if ((size_t)(at - text) < place->name_size + end_size) {
            break;
        }
        at -= end_size;
        memcpy(at, end, end_size);
        at -= place->name_size;
        memcpy(at, place->name, place->name_size);
    }
    return at;
}

static int wrong(struct reader *reader, const char *keyword, const char *wanted,
                 const struct json_element *value)
{
    char place[PLACE_MAX];
    return sp__fail(reader->err, SP_ERR_BAD_VALUE, "%s%s must be %s, got %s",
                    place_text(reader->place, place), keyword, wanted,
                    sp__excerpt(value->value, value->value_size).text);
}

static int no_memory(struct reader *reader)
{
    return sp__fail(reader->err, SP_ERR_NOMEM, "no memory for a schema");
}

static char kind_of(const struct json_element *value)
{
    return sp__json_kind(value->value, value->value_size);
}

/* The text of a JSON string, terminated. NULL without memory. */
static char *text_of(const char *raw, size_t n, size_t *ret_size)
{
    char *text = sp__malloc(n + 1);
    if (text != NULL) {
        *ret_size = sp__json_unescape(raw, n, text);
        text[*ret_size] = '\0';
    }
    return text;
}

/* ---- keywords of one value ---- */

static unsigned type_by_name(const struct json_element *value)
{
    static const char *const names[] = {"\"null\"",   "\"boolean\"", "\"integer\"",
                                        "\"number\"", "\"string\"",  "\"array\"",
                                        "\"object\""};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == value->value_size &&
            memcmp(names[i], value->value, value->value_size) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

static int read_type(struct reader *reader, struct schema *schema,
                     const struct keyword *self, const struct json_element *value)
{
    struct json_element one = *value;
    size_t at = 0;
    int many = kind_of(value) == '[';
    schema->types = 0;
    while (!many || sp__json_next_element(value->value, value->value_size, &at, &one)) {
        unsigned type = type_by_name(&one);
        if (type == 0) {
            return wrong(reader, self->name,
                         "null, boolean, integer, number, string, array or object, "
                         "or a list of these",
                         &one);
        }
        schema->types |= type;
        if (!many) {
            break;
        }
    }
    if (schema->types == 0) {
        return wrong(reader, self->name, "at least one type", value);
    }
    if (schema->types & SCHEMA_NUMBER) {
        schema->types |= SCHEMA_INTEGER;
    }
    return SP_OK;
}

static int read_bound(struct reader *reader, struct schema *schema,
                      const struct keyword *self, const struct json_element *value)
{
    int exclusive = self->name[0] == 'e';
    int is_min = strstr(self->name, "inimum") != NULL;
    struct schema_bound bound = {.exclusive = exclusive};
    if (kind_of(value) != '0' ||
        sp__var_number(value->value, value->value_size, &bound.number) < 0) {
        return wrong(reader, self->name, "a finite number", value);
    }
    memcpy(bound.text, value->value, value->value_size);
    struct schema_bound *place = is_min ? &schema->min : &schema->max;
    if (place->text[0] != '\0') {
        return wrong(reader, self->name, "the only bound on this side", value);
    }
    *place = bound;
    return SP_OK;
}

static int read_count(struct reader *reader, struct schema *schema,
                      const struct keyword *self, const struct json_element *value)
{
    var_number number;
    if (kind_of(value) != '0' ||
        sp__var_number(value->value, value->value_size, &number) < 0 || number < 0 ||
        number > (var_number)UINT32_MAX || (var_number)(uint64_t)number != number) {
        return wrong(reader, self->name, "a whole number from 0 to 4294967295", value);
    }
    size_t count = (size_t)number;
    if (strcmp(self->name, "minLength") == 0) {
        schema->min_length = count;
    } else if (strcmp(self->name, "maxLength") == 0) {
        schema->max_length = count;
    } else if (strcmp(self->name, "minItems") == 0) {
        schema->min_items = count;
    } else {
        schema->max_items = count;
    }
    return SP_OK;
}

static int read_pattern(struct reader *reader, struct schema *schema,
                        const struct keyword *self, const struct json_element *value)
{
    size_t size;
    char place[PLACE_MAX];
    if (kind_of(value) != '"') {
        return wrong(reader, self->name, "a string", value);
    }
    schema->pattern_text = text_of(value->value + 1, value->value_size - 2, &size);
    if (schema->pattern_text == NULL) {
        return no_memory(reader);
    }
    int rc = sp__pattern_new(schema->pattern_text, size, &schema->pattern, reader->err);
    return rc < 0 ? sp__wrap(reader->err, rc, "%s%s", place_text(reader->place, place),
                             self->name)
                  : rc;
}

static int is_scalar(const struct json_element *value)
{
    char kind = kind_of(value);
    return kind != '{' && kind != '[';
}

static int read_values(struct reader *reader, struct schema *schema,
                       const struct keyword *self, const struct json_element *value)
{
    struct json_element one;
    size_t at = 0;
    size_t count = 0;
    if (schema->values != NULL) {
        return wrong(reader, self->name, "the only one of enum and const", value);
    }
    if (self->name[0] == 'c') { /* const: a list of one */
        if (!is_scalar(value)) {
            return wrong(reader, self->name, "a scalar", value);
        }
        schema->values = sp__malloc(value->value_size + 3);
        if (schema->values == NULL) {
            return no_memory(reader);
        }
        schema->values[0] = '[';
        memcpy(schema->values + 1, value->value, value->value_size);
        memcpy(schema->values + 1 + value->value_size, "]", 2);
        return SP_OK;
    }
    while (kind_of(value) == '[' &&
           sp__json_next_element(value->value, value->value_size, &at, &one)) {
        if (!is_scalar(&one)) {
            return wrong(reader, self->name, "a list of scalars", &one);
        }
        count++;
    }
    if (count == 0) {
        return wrong(reader, self->name, "a list of at least one scalar", value);
    }
    schema->values = sp__strndup(value->value, value->value_size);
    return schema->values == NULL ? no_memory(reader) : SP_OK;
}

/* ---- keywords with schemas in them ---- */

static int read_items(struct reader *reader, struct schema *schema,
                      const struct keyword *self, const struct json_element *value)
{
    return read_schema(reader, self->name, strlen(self->name), value, &schema->items);
}

static struct schema_property *find_property(struct schema *schema, const char *name,
                                             size_t size)
{
    for (size_t i = 0; i < schema->properties_count; i++) {
        struct schema_property *property = &schema->properties[i];
        if (property->name_size == size && memcmp(property->name, name, size) == 0) {
            return property;
        }
    }
    return NULL;
}

/* Where the next property goes. NULL without memory. */
static struct schema_property *add_property(struct schema *schema)
{
    size_t count = schema->properties_count;
    if ((count & (count - 1)) == 0) {
        struct schema_property *grown = sp__realloc(
            schema->properties, (count == 0 ? 1 : 2 * count) * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        schema->properties = grown;
    }
    return &schema->properties[schema->properties_count];
}

/* The property of a raw name, made when there is none. */
static int need_property(struct reader *reader, struct schema *schema, const char *raw,
                         size_t n, struct schema_property **ret)
{
    char place[PLACE_MAX];
    size_t size;
    char *name = text_of(raw, n, &size);
    if (name == NULL) {
        return no_memory(reader);
    }
    *ret = find_property(schema, name, size);
    if (*ret != NULL) {
        sp__free(name);
        return SP_OK;
    }
    int rc = SP_OK;
    if (schema->properties_count >= SCHEMA_NODES_MAX) {
        rc = sp__fail(reader->err, SP_ERR_TOO_BIG, "%sat most %d properties",
                      place_text(reader->place, place), SCHEMA_NODES_MAX);
    } else if ((*ret = add_property(schema)) == NULL) {
        rc = no_memory(reader);
    }
    if (rc < 0) {
        sp__free(name);
        return rc;
    }
    **ret = (struct schema_property){.name = name, .name_size = size};
    schema->properties_count++;
    return SP_OK;
}

static int read_properties(struct reader *reader, struct schema *schema,
                           const struct keyword *self, const struct json_element *value)
{
    struct json_member member;
    size_t at = 0;
    if (kind_of(value) != '{') {
        return wrong(reader, self->name, "an object", value);
    }
    while (sp__json_next_member(value->value, value->value_size, &at, &member)) {
        struct json_element inner = {member.value, member.value_size};
        struct schema_property *property;
        int rc = need_property(reader, schema, member.key, member.key_size, &property);
        if (rc == SP_OK && property->schema != NULL) {
            rc = wrong(reader, self->name, "an object without a name twice", value);
        }
        if (rc == SP_OK) {
            rc = read_schema(reader, property->name, property->name_size, &inner,
                             &property->schema);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return SP_OK;
}

static int read_required(struct reader *reader, struct schema *schema,
                         const struct keyword *self, const struct json_element *value)
{
    struct json_element one;
    size_t at = 0;
    if (kind_of(value) != '[') {
        return wrong(reader, self->name, "a list of strings", value);
    }
    while (sp__json_next_element(value->value, value->value_size, &at, &one)) {
        if (kind_of(&one) != '"') {
            return wrong(reader, self->name, "a list of strings", value);
        }
        struct schema_property *property;
        int rc =
            need_property(reader, schema, one.value + 1, one.value_size - 2, &property);
        if (rc < 0) {
            return rc;
        }
        property->required = 1;
    }
    return SP_OK;
}

static int read_additional(struct reader *reader, struct schema *schema,
                           const struct keyword *self, const struct json_element *value)
{
    if (kind_of(value) == 'f') {
        schema->closed = 1;
        return SP_OK;
    }
    return read_schema(reader, self->name, strlen(self->name), value,
                       &schema->additional);
}

static int read_any_of(struct reader *reader, struct schema *schema,
                       const struct keyword *self, const struct json_element *value)
{
    struct json_element one;
    size_t at = 0;
    size_t count = 0;
    while (kind_of(value) == '[' &&
           sp__json_next_element(value->value, value->value_size, &at, &one)) {
        count++;
    }
    if (count == 0 || count > SCHEMA_NODES_MAX) {
        return wrong(reader, self->name, "a list of at least one schema", value);
    }
    schema->any_of = sp__calloc(count, sizeof(struct schema *));
    if (schema->any_of == NULL) {
        return no_memory(reader);
    }
    at = 0;
    while (sp__json_next_element(value->value, value->value_size, &at, &one)) {
        int rc = read_schema(reader, self->name, strlen(self->name), &one,
                             &schema->any_of[schema->any_of_count++]);
        if (rc < 0) {
            return rc;
        }
    }
    return SP_OK;
}

static int read_nothing(struct reader *reader, struct schema *schema,
                        const struct keyword *self, const struct json_element *value)
{
    return SP_OK;
}

static const struct keyword keywords[] = {
    {"type", read_type},
    {"enum", read_values},
    {"const", read_values},
    {"minimum", read_bound},
    {"maximum", read_bound},
    {"exclusiveMinimum", read_bound},
    {"exclusiveMaximum", read_bound},
    {"minLength", read_count},
    {"maxLength", read_count},
    {"pattern", read_pattern},
    {"items", read_items},
    {"minItems", read_count},
    {"maxItems", read_count},
    {"properties", read_properties},
    {"required", read_required},
    {"additionalProperties", read_additional},
    {"anyOf", read_any_of},
    {"$schema", read_nothing},
    {"$id", read_nothing},
    {"$comment", read_nothing},
    {"title", read_nothing},
    {"description", read_nothing},
    {"default", read_nothing},
    {"examples", read_nothing},
    {"format", read_nothing},
    {"deprecated", read_nothing},
    {"readOnly", read_nothing},
    {"writeOnly", read_nothing},
};

/* ---- a schema ---- */

static const struct keyword *find_keyword(const struct json_member *member)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (strlen(keywords[i].name) == member->key_size &&
            memcmp(keywords[i].name, member->key, member->key_size) == 0) {
            return &keywords[i];
        }
    }
    return NULL;
}

static int refuse_keyword(struct reader *reader, const struct json_member *member)
{
    char place[PLACE_MAX];
    char text[256];
    struct near near;
    struct excerpt name = sp__excerpt(member->key, member->key_size);
    sp__near_init(&near, name.text);
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        sp__near_offer(&near, keywords[i].name);
    }
    return sp__fail(reader->err, SP_ERR_BAD_VALUE,
                    "%sthe keyword \"%s\" is not supported%s",
                    place_text(reader->place, place), name.text,
                    sp__near_text(&near, text, sizeof text));
}

static int bounds_cross(const struct schema *schema)
{
    if (schema->min.text[0] == '\0' || schema->max.text[0] == '\0') {
        return 0;
    }
    return schema->min.number > schema->max.number ||
           (schema->min.number == schema->max.number &&
            (schema->min.exclusive || schema->max.exclusive));
}

/* What nothing could ever meet is a mistake. */
static int check_sense(struct reader *reader, const struct schema *schema)
{
    char place[PLACE_MAX];
    if (bounds_cross(schema)) {
        return sp__fail(
            reader->err, SP_ERR_BAD_VALUE, "%snothing lies between %s and %s",
            place_text(reader->place, place), schema->min.text, schema->max.text);
    }
    if (schema->min_length > schema->max_length) {
        return sp__fail(
            reader->err, SP_ERR_BAD_VALUE, "%sminLength %zu is more than maxLength %zu",
            place_text(reader->place, place), schema->min_length, schema->max_length);
    }
    if (schema->min_items > schema->max_items) {
        return sp__fail(
            reader->err, SP_ERR_BAD_VALUE, "%sminItems %zu is more than maxItems %zu",
            place_text(reader->place, place), schema->min_items, schema->max_items);
    }
    return SP_OK;
}

static int read_keywords(struct reader *reader, struct schema *schema,
                         const struct json_element *value)
{
    struct json_member member;
    size_t at = 0;
    uint32_t seen = 0; /* bits, by their places in the table */
    while (sp__json_next_member(value->value, value->value_size, &at, &member)) {
        const struct keyword *keyword = find_keyword(&member);
        struct json_element inner = {member.value, member.value_size};
        if (keyword == NULL) {
            return refuse_keyword(reader, &member);
        }
        uint32_t bit = UINT32_C(1) << (keyword - keywords);
        int rc = (seen & bit) != 0 ? wrong(reader, keyword->name, "said once", &inner)
                                   : keyword->read(reader, schema, keyword, &inner);
        if (rc < 0) {
            return rc;
        }
        seen |= bit;
    }
    return check_sense(reader, schema);
}

/* The schemas true and {} are NULL: anything. */
static int read_schema(struct reader *reader, const char *step, size_t step_size,
                       const struct json_element *value, struct schema **ret_schema)
{
    const struct place *above = reader->place;
    struct place here = {.up = above, .name = step, .name_size = step_size};
    char text[PLACE_MAX];
    int rc;
    if (kind_of(value) == 't') {
        return SP_OK;
    }
    if (kind_of(value) != '{') {
        return wrong(reader, step, "a schema: an object or true", value);
    }
    reader->place = &here;
    if (++reader->depth > SCHEMA_DEPTH_MAX || ++reader->nodes > SCHEMA_NODES_MAX) {
        rc = sp__fail(reader->err, SP_ERR_TOO_DEEP,
                      "%sat most %d schemas in each other, and %d in all",
                      place_text(reader->place, text), SCHEMA_DEPTH_MAX,
                      SCHEMA_NODES_MAX);
    } else {
        struct schema *schema = sp__calloc(1, sizeof *schema);
        *ret_schema = schema;
        if (schema == NULL) {
            rc = no_memory(reader);
        } else {
            schema->types = SCHEMA_ANY;
            schema->max_length = SIZE_MAX;
            schema->max_items = SIZE_MAX;
            rc = read_keywords(reader, schema, value);
        }
    }
    reader->depth--;
    reader->place = above;
    return rc;
}

int sp__schema_new(const char *json, size_t size, struct schema **ret_schema,
                   sp_error *err)
{
    struct schema *schema = NULL;
    struct json_element value = {json, size};
    struct reader reader = {.err = err};
    int rc = sp__check_json("the schema", json, size, SCHEMA_BYTES_MAX, err);
    if (rc == SP_OK && sp__json_kind(json, size) != '{') {
        rc = sp__fail(err, SP_ERR_BAD_VALUE, "the schema must be an object, got %s",
                      sp__excerpt(json, size).text);
    }
    if (rc == SP_OK) {
        rc = read_schema(&reader, "", 0, &value, &schema);
    }
    if (rc < 0) {
        sp__schema_free(schema);
        return rc;
    }
    sp__schema_flatten(schema);
    *ret_schema = schema;
    return SP_OK;
}

void sp__schema_free(struct schema *schema)
{
    if (schema == NULL) {
        return;
    }
    for (size_t i = 0; i < schema->properties_count; i++) {
        sp__schema_free(schema->properties[i].schema);
        sp__free(schema->properties[i].name);
    }
    for (size_t i = 0; i < schema->any_of_count; i++) {
        sp__schema_free(schema->any_of[i]);
    }
    sp__schema_free(schema->items);
    sp__schema_free(schema->additional);
    sp__pattern_free(schema->pattern);
    sp__free(schema->properties);
    sp__free(schema->any_of);
    sp__free(schema->pattern_text);
    sp__free(schema->values);
    sp__free(schema);
}
