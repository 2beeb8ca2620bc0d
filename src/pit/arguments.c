/* SPDX-License-Identifier: MIT */
/*
 * Arguments on their way to a worker: their size, depth and form, what the adapter says, what
 * the tool has announced.
 *
 * Most are an object that is what the tool wants, which one pass over the text finds
 * (session/schema_pass.c). All others go the longer way, which also says what is wrong.
 */
#include "pit/arguments.h"

#include "base/error.h"
#include "pit/rules.h"
#include "wire/json.h"

static int check_size(const struct pool *pool, size_t bytes, sp_error *err)
{
    if (bytes > pool->options.request_max_bytes) {
        return sp__fail(err, SP_ERR_TOO_BIG,
                        "the arguments have %zu bytes, pool %s takes at most %llu "
                        "(request_max)",
                        bytes, pool->name,
                        (unsigned long long)pool->options.request_max_bytes);
    }
    return SP_OK;
}

static int check_form(sp_bytes args, sp_error *err)
{
    int rc = sp__json_read(args.data, args.size, SP__JSON_DEPTH_MAX, NULL, NULL, err);
    if (rc < 0) {
        return rc;
    }
    char kind = sp__json_kind(args.data, args.size);
    if (kind != '{' && kind != '[') {
        return sp__fail(err, SP_ERR_BAD_ARGS,
                        "the arguments are neither a JSON object nor an array");
    }
    return SP_OK;
}

/* What the pool's own adapter says: let it check, rewrite, and set the time. */
static int ask_adapter(const sp_adapter *adapter, const char *tool, sp_bytes *args,
                       struct sp_buffer *rewritten, uint64_t *timeout_ms, sp_error *err)
{
    sp_error refusal = {0};
    int rc = 0;
    if (adapter->validate != NULL) {
        rc = adapter->validate(adapter->user_data, tool, *args, &refusal);
    }
    if (rc == 0 && adapter->prepare != NULL) {
        rc = adapter->prepare(adapter->user_data, tool, *args, rewritten, &refusal);
        if (rc == 0 && rewritten->size > 0) {
            *args = (sp_bytes){rewritten->data, rewritten->size};
        }
    }
    if (rc != 0) {
        rc = sp__fail(err, SP_ERR_REFUSED, "%s",
                      refusal.message[0] != '\0' ? refusal.message
                                                 : "the adapter gave no reason");
        sp_error_clear(&refusal);
        return rc;
    }
    if (adapter->size >= sizeof *adapter && adapter->timeout_ms != NULL) {
        uint64_t wanted_ms = adapter->timeout_ms(adapter->user_data, tool, *args);
        *timeout_ms = wanted_ms != 0 ? wanted_ms : *timeout_ms;
    }
    sp_error_clear(&refusal);
    return SP_OK;
}

/* The longer way: binaries that become arguments, an adapter that is asked, arguments that
 * are wrong or that only a closer look can tell. What an adapter rewrites is bounded by its
 * buffer; what all of it comes to is checked at the end. */
static int read_closely(struct arguments *arguments, const struct pool *pool,
                        const struct tool *tool, const struct call_wish *wish,
                        const sp_call_options *options, sp_error *err)
{
    const sp_adapter *adapter = pool->options.custom;
    int rc = check_form(arguments->json, err);
    if (rc == SP_OK) {
        rc = sp__binaries_read(&arguments->binaries, options->binaries,
                               options->binaries_count, err);
        arguments->json = arguments->binaries.args;
    }
    if (rc == SP_OK && adapter != NULL) {
        sp__buf_init(&arguments->rewritten, pool->options.request_max_bytes);
        rc = ask_adapter(adapter, wish->tool, &arguments->json, &arguments->rewritten,
                         &arguments->timeout_ms, err);
        if (rc == SP_OK && arguments->rewritten.size > 0) {
            rc = check_form(arguments->json, err);
        }
    }
    if (rc == SP_OK && tool != NULL) {
        rc = sp__rules_check(tool, &arguments->binaries, arguments->json, err);
    }
    if (rc == SP_OK) {
        rc = check_size(pool, arguments->json.size + arguments->binaries.bytes, err);
    }
    return rc;
}

int sp__arguments_read(struct arguments *arguments, const struct pool *pool,
                       const struct tool *tool, const struct call_wish *wish,
                       const sp_call_options *options, sp_error *err)
{
    sp_bytes json = wish->args_json.size == 0 ? (sp_bytes){.data = "{}", .size = 2}
                                              : wish->args_json;
    arguments->json = json;
    arguments->binaries = (struct binaries){
        .args = json, .pairs = wish->binary, .count = wish->binary_count};
    sp__buf_init(&arguments->rewritten, 0);
    int rc = check_size(pool, json.size, err);
    if (rc < 0) {
        return rc;
    }
    int is_usual = pool->options.custom == NULL && tool != NULL &&
                   options->binaries_count == 0 && wish->binary_count == 0;
    if (is_usual && sp__rules_take(tool, json)) {
        return SP_OK;
    }
    return read_closely(arguments, pool, tool, wish, options, err);
}

void sp__arguments_fini(struct arguments *arguments)
{
    sp__binaries_fini(&arguments->binaries);
    sp__buf_fini(&arguments->rewritten);
}
