/* SPDX-License-Identifier: MIT */
/*
 * The daemon's HTTP listener: what monitors ask for. http_socket.c has the addresses,
 * http.c the connections, http_answers.c what is answered.
 */
#ifndef SNAKEPIT_DAEMON_HTTP_H
#define SNAKEPIT_DAEMON_HTTP_H

#include "snakepit/snakepit.h"

struct http;

/* Whether the address that the options may name is one; a warning is logged when it is
 * open to others. Error: SP_ERR_CONFIG. */
int http_check(const sp_http_options *options, sp_error *err);

/* Listen, on a thread of its own, when the options name an address; *ret_http is NULL
 * when they do not. Errors: as http_check(), SP_ERR_SYSTEM, SP_ERR_NOMEM. */
int http_open(sp_pit *pit, const sp_http_options *options, struct http **ret_http,
              sp_error *err);
/* While the pit is still there. NULL is fine. */
void http_close(struct http *http);

/* ---- http_socket.c ---- */

/* "tcp:HOST:PORT" with a numeric host, or "unix:/path". */
struct http_address {
    char path[108]; /* of a unix socket, or "" */
    char host[64];
    unsigned port;   /* 0: one that is free */
    int is_loopback; /* nobody beyond this machine may come */
};

int http_address_parse(const char *text, struct http_address *ret, sp_error *err);
/* A listening descriptor; negative: an SP_ERR_. *ret_text says where, with the port. */
int http_socket_open(const struct http_address *address, char *ret_text, size_t max,
                     sp_error *err);

/* ---- http_answers.c ---- */

struct http_answer {
    unsigned status;
    const char *type;
    char *body; /* malloc'ed, or NULL: there was no memory */
    size_t size;
};

enum { HTTP_METHOD_NOT_ALLOWED = 405 };

/* What is at a path, for GET and HEAD. accept: the request's header, or NULL. */
void http_answer(sp_pit *pit, const char *method, const char *path, const char *accept,
                 struct http_answer *ret);

#endif
