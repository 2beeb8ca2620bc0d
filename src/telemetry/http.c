/* SPDX-License-Identifier: MIT */
/*
 * HTTP by libcurl, which is loaded when it is first needed and stays: it brings two dozen
 * libraries along, and every program that never exports anything would start slower for
 * them (decision 28).
 *
 * Failure: a library that is not there, a server that is not, an answer that does not come.
 * All of it is an error of the call; nothing is retried here.
 */
#include "telemetry/http.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum { REPLY_MAX = 64 * 1024 };

static struct {
    void *library;
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *handle, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *handle);
    CURLcode (*easy_getinfo)(CURL *handle, CURLINFO info, ...);
    void (*easy_cleanup)(CURL *handle);
    const char *(*easy_strerror)(CURLcode code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
} curl;

static pthread_once_t loaded = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
    static const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"curl_global_init", &curl.global_init},
        {"curl_easy_init", &curl.easy_init},
        {"curl_easy_setopt", &curl.easy_setopt},
        {"curl_easy_perform", &curl.easy_perform},
        {"curl_easy_getinfo", &curl.easy_getinfo},
        {"curl_easy_cleanup", &curl.easy_cleanup},
        {"curl_easy_strerror", &curl.easy_strerror},
        {"curl_slist_append", &curl.slist_append},
        {"curl_slist_free_all", &curl.slist_free_all},
    };
    void *library = NULL;
    for (size_t i = 0; library == NULL && i < sizeof names / sizeof names[0]; i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    for (size_t i = 0; library != NULL && i < sizeof functions / sizeof functions[0];
         i++) {
        void *found = dlsym(library, functions[i].name);
        if (found == NULL) {
            return;
        }
        *(void **)functions[i].place = found; /* as POSIX has it */
    }
    if (library != NULL && curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        curl.library = library;
    }
}

struct http {
    CURL *handle;
    struct curl_slist *headers;
    struct sp_buffer reply;
    char message[CURL_ERROR_SIZE];
    _Atomic uint64_t give_up_ms;
};

static size_t reply_cb(char *data, size_t size, size_t count, void *user)
{
    struct http *http = user;
    size_t bytes = size * count;
    size_t room = REPLY_MAX - http->reply.size;
    /* What is too much is read and forgotten, so that the connection can be used again. */
    (void)!sp__buf_append(&http->reply, data, bytes < room ? bytes : room, NULL);
    return bytes;
}

static int progress_cb(void *user, curl_off_t down_total, curl_off_t down,
                       curl_off_t up_total, curl_off_t up)
{
    struct http *http = user;
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return sp__now_ms() >=
           atomic_load_explicit(&http->give_up_ms, memory_order_relaxed);
}

static int set_headers(struct http *http, const char *const *headers)
{
    for (size_t i = 0; headers[i] != NULL; i++) {
        struct curl_slist *longer = curl.slist_append(http->headers, headers[i]);
        if (longer == NULL) {
            return SP_ERR_NOMEM;
        }
        http->headers = longer;
    }
    return SP_OK;
}

int sp__http_open(const char *url, const char *const *headers, struct http **ret_http,
                  sp_error *err)
{
    (void)pthread_once(&loaded, load);
    if (curl.library == NULL) {
        return sp__fail(err, SP_ERR_UNSUPPORTED,
                        "libcurl.so.4 cannot be loaded (Debian: libcurl4)");
    }
    struct http *http = sp__calloc(1, sizeof *http);
    if (http == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a connection");
    }
    sp__buf_init(&http->reply, REPLY_MAX);
    atomic_init(&http->give_up_ms, UINT64_MAX);
    http->handle = curl.easy_init();
    CURL *handle = http->handle;
    if (handle == NULL || set_headers(http, headers) < 0 ||
        curl.easy_setopt(handle, CURLOPT_URL, url) != CURLE_OK) {
        sp__http_close(http);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a connection");
    }
    /* None of these can fail: libcurl of Debian 12 knows them all. */
    (void)curl.easy_setopt(handle, CURLOPT_NOSIGNAL, 1L); /* it is not our process */
    (void)curl.easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl.easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl.easy_setopt(handle, CURLOPT_HTTPHEADER, http->headers);
    (void)curl.easy_setopt(handle, CURLOPT_POST, 1L);
    (void)curl.easy_setopt(handle, CURLOPT_WRITEFUNCTION, reply_cb);
    (void)curl.easy_setopt(handle, CURLOPT_WRITEDATA, http);
    (void)curl.easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    (void)curl.easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, progress_cb);
    (void)curl.easy_setopt(handle, CURLOPT_XFERINFODATA, http);
    (void)curl.easy_setopt(handle, CURLOPT_ERRORBUFFER, http->message);
    *ret_http = http;
    return SP_OK;
}

void sp__http_close(struct http *http)
{
    if (http == NULL) {
        return;
    }
    if (http->handle != NULL) {
        curl.easy_cleanup(http->handle);
    }
    curl.slist_free_all(http->headers);
    sp__buf_fini(&http->reply);
    sp__free(http);
}

void sp__http_give_up_at(struct http *http, uint64_t give_up_ms)
{
    atomic_store_explicit(&http->give_up_ms, give_up_ms, memory_order_relaxed);
}

int sp__http_post(struct http *http, sp_bytes body, uint64_t timeout_ms,
                  struct http_reply *ret, sp_error *err)
{
    uint64_t now_ms = sp__now_ms();
    uint64_t give_up_ms = atomic_load_explicit(&http->give_up_ms, memory_order_relaxed);
    if (now_ms >= give_up_ms) {
        return sp__fail(err, SP_ERR_TIMEOUT, "no time is left");
    }
    if (timeout_ms > give_up_ms - now_ms) {
        timeout_ms = give_up_ms - now_ms;
    }
    http->reply.size = 0;
    http->message[0] = '\0';
    (void)curl.easy_setopt(http->handle, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    (void)curl.easy_setopt(http->handle, CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t)body.size);
    (void)curl.easy_setopt(http->handle, CURLOPT_POSTFIELDS, (const char *)body.data);
    CURLcode code = curl.easy_perform(http->handle);
    if (code != CURLE_OK) {
        int is_late =
            code == CURLE_OPERATION_TIMEDOUT || code == CURLE_ABORTED_BY_CALLBACK;
        return sp__fail(err, is_late ? SP_ERR_TIMEOUT : SP_ERR_SYSTEM, "%s",
                        http->message[0] != '\0' ? http->message
                                                 : curl.easy_strerror(code));
    }
    curl_off_t retry_s = 0;
    *ret = (struct http_reply){.body = {http->reply.data, http->reply.size}};
    (void)curl.easy_getinfo(http->handle, CURLINFO_RESPONSE_CODE, &ret->status);
    (void)curl.easy_getinfo(http->handle, CURLINFO_RETRY_AFTER, &retry_s);
    ret->retry_after_s = retry_s > 0 ? (uint64_t)retry_s : 0;
    return SP_OK;
}
