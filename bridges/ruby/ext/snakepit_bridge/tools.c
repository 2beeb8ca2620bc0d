/* SPDX-License-Identifier: MIT */
/*
 * Methods of Snakepit::Context that call tools: functions of the host's program and tools
 * of other workers. One that gives a stream is asked through source.c.
 *
 * Bytes and tensors of the arguments travel in one binary beside the JSON, and so they
 * come back.
 */
#include "ask.h"

void sp__rb_question(struct question *ret, VALUE *tool, VALUE args, VALUE *pool,
                     VALUE timeout_ms)
{
    struct encoder *encoder;
    Check_Type(args, T_HASH);
    *ret = (struct question){.tool = StringValueCStr(*tool)};
    ret->owner = sp__rb_encoded_value(args, &encoder);
    ret->json = (sp_bytes){encoder->out.data, encoder->out.size};
    ret->binary =
        (sp_binary){.name = SP__RB_PART, .value = sp__rb_encoded_parts(encoder)};
    ret->options =
        (sp_host_call_options){.size = sizeof ret->options,
                               .pool = NIL_P(*pool) ? NULL : StringValueCStr(*pool),
                               .timeout_ms = NUM2ULL(timeout_ms),
                               .binaries = &ret->binary,
                               .binaries_count = ret->binary.value.size > 0};
}

struct tool_call {
    struct question q;
    sp_host_result result;
};

static int run_call(struct ask *ask, sp_error *err)
{
    struct tool_call *call = (struct tool_call *)ask;
    return sp_job_call_host(ask->job, call->q.tool, call->q.json, &call->q.options,
                            &call->result, err);
}

static VALUE read_result(VALUE pointer)
{
    const sp_host_result *result = (const sp_host_result *)pointer;
    return sp__rb_answer(result->json, result->binary);
}

static VALUE clear_result(VALUE pointer)
{
    sp_host_result_clear((sp_host_result *)pointer);
    return Qnil;
}

static VALUE tool_call(VALUE self, VALUE tool, VALUE args, VALUE pool, VALUE timeout_ms)
{
    struct tool_call call = {0};
    sp__rb_question(&call.q, &tool, args, &pool, timeout_ms);
    call.q.ask.run = run_call;
    sp__rb_ask(self, &call.q.ask);
    RB_GC_GUARD(call.q.owner);
    RB_GC_GUARD(tool);
    RB_GC_GUARD(pool);
    return rb_ensure(read_result, (VALUE)&call.result, clear_result,
                     (VALUE)&call.result);
}

/* ---- what the host offers ---- */

struct tool_list {
    struct ask ask;
    VALUE list;
    const sp_job_host_tool *tool;
    int state;
};

static VALUE add_tool(VALUE pointer)
{
    const struct tool_list *tools = (const struct tool_list *)pointer;
    VALUE hash = rb_hash_new();
    (void)rb_hash_aset(hash, ID2SYM(rb_intern("name")), sp__rb_text(tools->tool->name));
    (void)rb_hash_aset(hash, ID2SYM(rb_intern("description")),
                       sp__rb_text(tools->tool->description));
    (void)rb_hash_aset(hash, ID2SYM(rb_intern("schema")),
                       sp__rb_from_text(tools->tool->input_schema));
    (void)rb_hash_aset(hash, ID2SYM(rb_intern("streaming")),
                       tools->tool->is_streaming ? Qtrue : Qfalse);
    return rb_ary_push(tools->list, hash);
}

static void collect(const sp_job_host_tool *tool, void *user_data)
{
    struct tool_list *tools = user_data;
    tools->tool = tool;
    sp__rb_with_lock(add_tool, (VALUE)tools, &tools->state);
}

static int run_list(struct ask *ask, sp_error *err)
{
    return sp_job_host_tools(ask->job, collect, ask, err);
}

static VALUE host_tools(VALUE self)
{
    struct tool_list tools = {.ask = {.run = run_list}, .list = rb_ary_new()};
    sp__rb_ask(self, &tools.ask);
    sp__rb_reraise(tools.state);
    return tools.list;
}

void sp__rb_tools_init(void)
{
    VALUE class = sp__rb_bridge.context;
    rb_define_private_method(class, "tool_call", tool_call, 4);
    rb_define_private_method(class, "tool_stream", sp__rb_tool_stream, 4);
    rb_define_method(class, "host_tools", host_tools, 0);
}
