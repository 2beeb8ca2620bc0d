/* SPDX-License-Identifier: MIT */
/*
 * snakepitd, the daemon: a pit that serves its pools to other programs for as long as it
 * runs. It stands on the public headers alone, like anybody's program.
 *
 * main.c reads the configuration and opens, run.c goes on until a signal, the rest are
 * the ways out: log.c to people, notify.c to the service manager, signals.c from outside.
 */
#ifndef SNAKEPIT_DAEMON_H
#define SNAKEPIT_DAEMON_H

#include <stdarg.h>

#include "snakepit/snakepit.h"

enum {
    CODE_OK = 0,
    CODE_CUT = 1, /* it ended, and calls had to be cut off */
    CODE_USAGE = 2,
    CODE_FAILED = 3,  /* it could not start: socket, guard, workers */
    CODE_CONFIG = 78, /* the configuration is wrong: starting again is useless */
    CODE_LOST = 70    /* it runs no more: its loop does not answer */
};

/* ---- the command line ---- */
enum { SETS_MAX = 64 };

struct settings {
    const char *config_path;
    const char *keys[SETS_MAX]; /* of --set and of the options that are keys */
    const char *values[SETS_MAX];
    int sets_count;
    int check;
    int done; /* --help, --version: nothing more to do */
};

/* CODE_OK, or CODE_USAGE with the mistake told. */
int options_parse(struct settings *settings, int argc, char **argv);

/* ---- the log: see snakepit/log.h ---- */

/* Until log_open(), and after log_close(), lines are logfmt on standard error. */
int log_open(const sp_log_options *options, sp_error *err);
void log_close(void);
/* What the pit is given; NULL while there is none. */
sp_log *log_of_daemon(void);
/* One line. `format` makes the message. */
void log_line(int level, const char *event, const char *format, ...) SP_PRINTF(3, 4);
/* The message and the facts of an error. */
void log_error(const char *event, const sp_error *err);

/* ---- the service manager: sd_notify(3) without its library ---- */

/* Read and take away what the manager put into the environment. Returns the watchdog's
 * time in milliseconds, 0 when there is none. */
uint64_t notify_init(void);
/* 1 when it was sent, 0 when there is nobody to tell, -1 with errno. */
int notify(const char *format, ...) SP_PRINTF(1, 2);

/* ---- signals ---- */

/* SIGTERM and SIGINT make the returned descriptor readable; -1 with errno. */
int signals_init(void);
int signals_came(void);
/* The next one ends the patience of a drain. Until signals_last(). */
void signals_hurry(sp_pit *pit);
/* From now on a signal ends the process at once; the guard ends the workers. */
void signals_last(void);

/* ---- what is allowed ---- */

/* Raise the soft limit of descriptors to what is needed, as far as it may be. */
void limits_raise(const sp_pit_options *pit, const sp_service_options *service);
/* The names that workers get from the environment when the configuration names none. */
extern const char *const environment_pass[];
/* Users' names and numbers to ids: malloc'ed, or NULL with the mistake logged. */
uint32_t *users_resolve(const char *const *names, size_t *ret_count);

/* ---- running ---- */
struct running {
    sp_pit *pit;
    const sp_service_options *service;
    struct http *http;    /* or NULL */
    uint64_t startup_ms;  /* for all workers to be ready */
    uint64_t watchdog_ms; /* 0: nobody watches */
    int signal_fd;
};

/* Until a signal; closes the pit. A CODE_. */
int run(struct running *running);

#endif
