/* SPDX-License-Identifier: MIT */
/*
 * Arguments of workers' tools, checked by the host.
 *
 * A worker announces names, types and defaults; they become a schema once, when the pool
 * hears of the tool first. A parameter whose name begins with stars stands for all there
 * may be beside the others, as in Python. A tool that announces nothing about its
 * parameters, or something that makes no schema, takes anything: then its worker judges.
 */
#include "pit/rules.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "session/schema.h"

static int is_rest(const char *name)
{
    return name[0] == '*';
}

int sp__rules_put_schema(struct sp_buffer *out, const sp_tool_parameter *params,
                         size_t count, int with_types, sp_error *err)
{
    int open = count == 0;
    size_t kept = 0;
    sp_tool_parameter *own = sp__calloc(count + 1, sizeof *own);
    if (own == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a schema");
    }
    for (size_t i = 0; i < count; i++) {
        if (is_rest(params[i].name)) {
            open = 1;
            continue;
        }
        own[kept] = params[i];
        own[kept].type = with_types ? own[kept].type : NULL;
        kept++;
    }
    int rc = sp__schema_put_params(out, own, kept, open, 0, err);
    sp__free(own);
    return rc;
}

void *sp__rules_learn(const struct pool *pool, const struct proto_tool *spec)
{
    struct schema *schema = NULL;
    struct sp_buffer text;
    size_t count = spec->params_count;
    int level = pool->options.check_args;
    if (count == 0 || level == SP_CHECK_NONE) {
        return NULL;
    }
    sp_tool_parameter *params = sp__calloc(count, sizeof *params);
    if (params == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const struct proto_param *param = &spec->params[i];
        params[i] = (sp_tool_parameter){.name = param->name,
                                        .type = param->type,
                                        .required = param->default_json == NULL,
                                        .default_json = param->default_json};
    }
    sp__buf_init(&text, SCHEMA_BYTES_MAX);
    int rc = sp__rules_put_schema(&text, params, count, level != SP_CHECK_NAMES, NULL);
    if (rc == SP_OK) {
        (void)!sp__schema_new((const char *)text.data, text.size, &schema, NULL);
    }
    sp__buf_fini(&text);
    sp__free(params);
    return schema;
}

void sp__rules_forget(void *rules)
{
    sp__schema_free(rules);
}

static int is_beside(void *user, const char *name, size_t size)
{
    const struct binaries *binaries = user;
    for (size_t i = 0; i < binaries->count; i++) {
        const sp_bytes *key = &binaries->pairs[i].key;
        if (key->size == size && memcmp(key->data, name, size) == 0) {
            return 1;
        }
    }
    return 0;
}

static const struct schema *schema_of(const struct tool *tool)
{
    return atomic_load_explicit(&tool->rules, memory_order_acquire);
}

int sp__rules_take(const struct tool *tool, sp_bytes args)
{
    const struct schema *schema = schema_of(tool);
    return schema != NULL && sp__schema_takes(schema, args.data, args.size);
}

int sp__rules_check(const struct tool *tool, const struct binaries *binaries,
                    sp_bytes args, sp_error *err)
{
    const struct schema *schema = schema_of(tool);
    struct schema_beside beside = {.has = is_beside, .user = (void *)binaries};
    if (schema == NULL) {
        return SP_OK;
    }
    int rc = sp__schema_check(schema, args.data, args.size, &beside, err);
    return rc < 0 ? sp__wrap(err, rc, "tool %s", tool->name) : rc;
}
