/* SPDX-License-Identifier: MIT */
/*
 * The table of settings, and the questions it answers by itself: which row is this key,
 * which key was probably meant, what does `config explain` say.
 *
 * Everything here is constant but for the texts of the ranges, which are written once.
 * Nothing fails except sp_config_explain() for a key that is not there.
 */
#include "pit/config.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/near.h"
#include "pit/params.h"

/* 0 stands for "no member": `size` is the first of each struct. */
_Static_assert(offsetof(sp_pit_options, size) == 0, "size comes first");
_Static_assert(offsetof(sp_pool_options, size) == 0, "size comes first");
_Static_assert(offsetof(sp_sessions_options, size) == 0, "size comes first");
_Static_assert(offsetof(sp_service_options, size) == 0, "size comes first");

static const struct param params[PARAMS] = {
#define X(id, in, name, sort, low, high, choices, preset, variable, of, member, about) \
    [PARAM_##id] = {.scope = SCOPE_##in,                                               \
                    .kind = KIND_##sort,                                               \
                    .key = name,                                                       \
                    .min = low,                                                        \
                    .max = high,                                                       \
                    .words = choices,                                                  \
                    .default_text = preset,                                            \
                    .environment = variable,                                           \
                    .goes = OF_##of,                                                   \
                    .offset = offsetof(sp_##of##_options, member),                     \
                    .text = about},
    SP_PARAM_TABLE(X)
#undef X
};

/* Keys as people are told them. */
#define FULL_TOP(key) key
#define FULL_POOL(key) "pools[]." key
static const char *const full_keys[PARAMS] = {
#define X(id, in, name, ...) [PARAM_##id] = FULL_##in(name),
    SP_PARAM_TABLE(X)
#undef X
};

const struct param *sp__config_param(enum param_id id)
{
    return &params[id];
}

int sp__config_param_find(enum config_scope scope, const char *key)
{
    for (int i = 0; i < PARAMS; i++) {
        if (params[i].scope == scope && strcmp(params[i].key, key) == 0) {
            return i;
        }
    }
    return -1;
}

int sp__config_is_group(enum config_scope scope, const char *group)
{
    size_t length = strlen(group);
    for (int i = 0; i < PARAMS; i++) {
        if (params[i].scope == scope && strncmp(params[i].key, group, length) == 0 &&
            params[i].key[length] == '.') {
            return 1;
        }
    }
    return 0;
}

const char *sp__config_nearest(const char *word, const char *const *words, size_t count)
{
    struct near near;
    sp__near_init(&near, word);
    for (size_t i = 0; i < count; i++) {
        sp__near_offer(&near, words[i]);
    }
    return near.length > 0 ? near.names[0] : NULL;
}

/* --- Describing --------------------------------------------------------------------- */

static char ranges[PARAMS][48];

static void write_ranges(void)
{
    for (int i = 0; i < PARAMS; i++) {
        sp__config_range_text(&params[i], ranges[i], sizeof ranges[i]);
    }
}

static const char *kind_name(enum config_kind kind)
{
    switch (kind) {
    case KIND_COUNT:
    case KIND_COUNT_ANY:
        return "count";
    case KIND_MASK:
        return "mask";
    case KIND_SHARE:
        return "share";
    case KIND_DURATION:
    case KIND_DURATION_ANY:
        return "duration";
    case KIND_SIZE:
    case KIND_SIZE_ANY:
        return "size";
    case KIND_NAME:
        return "name";
    case KIND_CHOICE:
    case KIND_CONSTANT:
        return "word";
    case KIND_PATH:
    case KIND_PROGRAM:
        return "path";
    case KIND_TEXT:
    case KIND_ADAPTER:
        return "text";
    case KIND_LIST:
    case KIND_VARIABLE_NAMES:
        return "list";
    case KIND_WORDS:
    case KIND_COMMAND:
        return "list or text";
    case KIND_VARIABLES:
    case KIND_DURATIONS:
        return "map";
    }
    return "";
}

SP_API int sp_config_key_at(size_t index, sp_config_key *ret_key)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (index >= PARAMS || ret_key == NULL) {
        return 0;
    }
    (void)pthread_once(&once, write_ranges); /* cannot fail with a valid control */
    const struct param *param = &params[index];
    *ret_key = (sp_config_key){
        .key = full_keys[index],
        .type = kind_name(param->kind),
        .range = param->words[0] != '\0' ? param->words : ranges[index],
        .default_value = param->default_text,
        .environment = param->environment,
        .text = param->text,
    };
    return 1;
}

/* The key without the part that says which pool: "pools.default.size", "pools[0].size",
 * "pool.size" and "defaults.size" give "size". */
static const char *bare_key(const char *key)
{
    static const char *const heads[] = {"defaults.", "pool."};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (strncmp(key, heads[i], strlen(heads[i])) == 0) {
            return key + strlen(heads[i]);
        }
    }
    if (strncmp(key, "pools.", 6) == 0 || strncmp(key, "pools[", 6) == 0) {
        const char *dot = strchr(key + 6, '.');
        return dot != NULL ? dot + 1 : key;
    }
    return key;
}

SP_API int sp_config_explain(const char *key, sp_config_key *ret_key, sp_error *err)
{
    if (key == NULL || ret_key == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "sp_config_explain needs a key and a result");
    }
    const char *bare = bare_key(key);
    const char *words[PARAMS];
    for (int i = 0; i < PARAMS; i++) {
        words[i] = params[i].key;
        if (strcmp(bare, params[i].key) == 0 &&
            (bare == key || params[i].scope == SCOPE_POOL)) {
            (void)sp_config_key_at((size_t)i, ret_key);
            return 0;
        }
    }
    const char *near = sp__config_nearest(bare, words, PARAMS);
    if (near != NULL) {
        return sp__fail(err, SP_ERR_NOT_FOUND,
                        "there is no key \"%.80s\"; did you mean \"%s\"?", key, near);
    }
    return sp__fail(err, SP_ERR_NOT_FOUND, "there is no key \"%.80s\"", key);
}
