/* SPDX-License-Identifier: MIT */
/*
 * A gRPC client that no Python server can keep busy: the project's own HTTP/2 and
 * message coders on one epoll loop. It drives grpcio's servers and our worker in
 * listening mode with the same bytes.
 *
 *     grpc_client calls  --socket PATH --in-flight K [--warm-ms N] [--measure-ms N]
 *     grpc_client stream --socket PATH --chunks N [--tool NAME]
 *
 * Requests carry their arguments in the parameters map, as a stock client sends them.
 * Any RPC that fails, and any wrong answer, ends the program with status 1.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "measure.h"
#include "peer.h"
#include "wire/h2.h"
#include "wire/proto.h"

enum { IN_FLIGHT_MAX = 65536, WRITE_BYTES = 256 * 1024, MESSAGE_MAX_BYTES = 4 << 20 };

struct call {
    uint64_t started_ns;
    uint32_t a;
    int is_right;
};

struct client {
    struct peer peer;
    struct h2 *h2;
    struct sp_buffer out;
    struct sp_buffer message;
    struct load load;
    uint32_t next;
    uint32_t open;
    uint64_t chunks; /* of a stream, and their sum */
    uint64_t sum;
};

static struct client client;
static struct call all[IN_FLIGHT_MAX];
static struct call streamed; /* the one of a stream */

static void check(int rc, const sp_error *err, const char *what)
{
    if (rc < 0) {
        give_up("grpc_client: %s: %s", what, err->message);
    }
}

static void open_rpc(const char *path, const struct proto_request *request, void *user)
{
    sp_error err = {0};
    struct h2_stream *stream;
    client.message.size = 0;
    check(sp__proto_put_request(&client.message, request, 1, &err), &err, "request");
    check(sp__h2_open(client.h2, path, SP_UNLIMITED, NULL, 0,
                      (sp_bytes){client.message.data, client.message.size}, 1, user,
                      &stream, &err),
          &err, "open");
    client.open++;
}

static void start_call(struct call *call)
{
    char args[64];
    call->a = client.next++;
    call->is_right = 0;
    size_t size = put_arguments(args, call->a, 3);
    struct proto_request request = {
        .tool_name = {"add", 3},
        .session_id = {"bench", 5},
        .args_json = {args, size},
    };
    open_rpc(SP__PATH_EXECUTE, &request, call);
}

static void on_message(void *user, struct h2_stream *stream, const uint8_t *data,
                       size_t size)
{
    struct call *call = sp__h2_stream_user(stream);
    sp_error err = {0};
    if (call == &streamed) {
        struct proto_chunk chunk;
        check(sp__proto_get_chunk(data, size, &chunk, &err), &err, "chunk");
        if (chunk.data.size > 0) {
            client.chunks++;
            client.sum += (uint64_t)get_result(chunk.data.data, chunk.data.size);
        }
        return;
    }
    struct proto_response response;
    check(sp__proto_get_response(data, size, &response, &err), &err, "response");
    call->is_right = response.success &&
                     get_result(response.result_json.data, response.result_json.size) ==
                         (int64_t)call->a + 3;
}

static void on_end(void *user, struct h2_stream *stream, const struct h2_status *status)
{
    struct call *call = sp__h2_stream_user(stream);
    client.open--;
    if (status->grpc_status != 0) {
        give_up("grpc_client: status %d: %s", status->grpc_status, status->message);
    }
    if (call == &streamed) {
        return;
    }
    uint64_t ended_ns = now_ns();
    if (load_ended(&client.load, call->started_ns, ended_ns, call->is_right)) {
        call->started_ns = ended_ns;
        start_call(call);
    }
}

static void connect_to(const char *path)
{
    static const struct h2_events events = {.on_message = on_message, .on_end = on_end};
    static const struct h2_options options = {.message_max = MESSAGE_MAX_BYTES};
    sp_error err = {0};
    peer_open(&client.peer, path);
    sp__buf_init(&client.out, SIZE_MAX / 2);
    sp__buf_init(&client.message, SIZE_MAX / 2);
    check(sp__h2_new(H2_CLIENT, &options, &events, NULL, &client.h2, &err), &err,
          "new");
}

/* Send what is due, take what comes, until no RPC is open. */
static void run(void)
{
    static uint8_t in[PEER_READ_BYTES];
    sp_error err = {0};
    size_t sent = 0;
    while (client.open > 0) {
        if (sent == client.out.size) {
            client.out.size = sent = 0;
            check(sp__h2_send(client.h2, &client.out, WRITE_BYTES, &err), &err, "send");
        }
        sent += peer_send(&client.peer, client.out.data + sent, client.out.size - sent);
        if (sent == client.out.size && sp__h2_wants_send(client.h2)) {
            continue;
        }
        size_t n = peer_receive(&client.peer, in, sizeof in);
        if (n > 0) {
            check(sp__h2_receive(client.h2, in, n, &err), &err, "receive");
        }
    }
}

static void disconnect(void)
{
    sp__h2_free(client.h2);
    sp__buf_fini(&client.out);
    sp__buf_fini(&client.message);
    peer_close(&client.peer);
}

static void stream(long chunks, const char *tool)
{
    char args[64];
    (void)snprintf(args, sizeof args, "{\"count\":%ld}", chunks);
    struct proto_request request = {
        .tool_name = sp_text(tool),
        .session_id = {"bench", 5},
        .args_json = sp_text(args),
        .stream = 1,
    };
    uint64_t began_ns = now_ns();
    open_rpc(SP__PATH_STREAM, &request, &streamed);
    run();
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    uint64_t n = (uint64_t)chunks;
    if (client.chunks != n || client.sum != n * (n - 1) / 2) {
        give_up("grpc_client: %llu chunks with the sum %llu instead of %ld",
                (unsigned long long)client.chunks, (unsigned long long)client.sum,
                chunks);
    }
    printf("{\"what\":\"stream\",\"chunks\":%ld,\"rate\":%.0f}\n", chunks,
           (double)chunks / seconds);
}

int main(int argc, char **argv)
{
    const char *path = option_text(argc, argv, "socket", NULL);
    long in_flight = option_number(argc, argv, "in-flight", 64);
    if (argc < 2 || path == NULL || in_flight < 1 || in_flight > IN_FLIGHT_MAX) {
        give_up("usage: grpc_client calls|stream --socket PATH [--OPTION VALUE]");
    }
    connect_to(path);
    if (strcmp(argv[1], "stream") == 0) {
        stream(option_number(argc, argv, "chunks", 10000),
               option_text(argc, argv, "tool", "numbers"));
    } else {
        load_begin(&client.load, (uint32_t)in_flight,
                   option_number(argc, argv, "warm-ms", 200),
                   option_number(argc, argv, "measure-ms", 1000));
        for (long i = 0; i < in_flight; i++) {
            all[i].started_ns = now_ns();
            start_call(&all[i]);
        }
        run();
        load_print(&client.load, "calls", "");
    }
    disconnect();
    return client.load.wrong > 0;
}
