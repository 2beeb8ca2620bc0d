/* SPDX-License-Identifier: MIT */
/*
 * Instances from outside: who has one, and what a killed host left behind.
 *
 * An instance is a name (sp_pit_options.instance) that one host at a time may have on a
 * machine. It has a folder, which the host locks, and a registry of processes in it. A
 * host ends at its start what a killed one of the same name left; the functions here let
 * others look, and clean up without starting anything.
 *
 * `runtime_dir` is the folder that instances are in, as in sp_pit_options. NULL stands
 * for every place where they are by default.
 */
#ifndef SNAKEPIT_INSTANCE_H
#define SNAKEPIT_INSTANCE_H

#include "base.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SP_INSTANCE_FREE = 0, /* nobody has it */
    SP_INSTANCE_HELD,     /* a host has it */
    SP_INSTANCE_ABANDONED /* its host is dead, and perhaps not all it started */
};

typedef struct sp_instance_info {
    char name[65];
    char folder[600];
    int state;              /* SP_INSTANCE_ */
    int pid;                /* of the host, also of a dead one; 0: not known */
    char program[64];       /* its name */
    char version[36];       /* of its library */
    uint64_t since_unix_ms; /* when it took the instance */
    uint32_t workers;       /* in its registry */
    uint32_t bad_rows;      /* of its registry, that cannot be read */
} sp_instance_info;

enum {
    SP_FOLDER_RUNTIME = 0, /* for as long as the machine runs: lock, registry, socket */
    SP_FOLDER_STATE        /* for longer: sessions */
};

/*
 * The folder of an instance, whether it is there or not.
 *
 * kind  SP_FOLDER_
 * base  the folder it is in; NULL: $XDG_RUNTIME_DIR/snakepit, for root /run/snakepit,
 *       else /tmp/snakepit-UID; of state $XDG_STATE_HOME/snakepit, for root
 *       /var/lib/snakepit, else ~/.local/state/snakepit
 * name  of the instance; NULL: "default"
 * path  the answer, of at most `max` bytes
 *
 * Errors: SP_ERR_INVAL, SP_ERR_TOO_BIG (max), SP_ERR_SYSTEM (nobody says where this
 * user's home is). Thread: any. Since: 0.1
 */
SP_API int sp_instance_folder(int kind, const char *base, const char *name, char *path,
                              size_t max, sp_error *err);

/* Borrowed until the callback returns. */
typedef void (*sp_instance_cb)(const sp_instance_info *info, void *user_data);

/*
 * Tell of every instance of this user, through a callback that runs before this returns.
 *
 * name  of the only one to tell of, or NULL
 *
 * Returns how many there were. Errors: SP_ERR_INVAL, SP_ERR_SYSTEM (a folder that others
 * can write to is refused), SP_ERR_NOMEM. Thread: any. Since: 0.1
 */
SP_API int sp_instance_each(const char *runtime_dir, const char *name,
                            sp_instance_cb cb, void *user_data, sp_error *err);

enum {
    SP_LEFT_OURS = 0, /* of a dead run of the instance */
    SP_LEFT_RUNNING,  /* of the host that has the instance */
    SP_LEFT_GONE,     /* a row of a process that has ended */
    SP_LEFT_STRANGER, /* a row whose number is another process's by now */
    SP_LEFT_UNSURE    /* it may be ours, which is not enough to end it */
};

/* One row of the registry, or one process with the instance's mark. */
typedef struct sp_leftover {
    int pid;            /* 0: a row was reserved and no process is known */
    int verdict;        /* SP_LEFT_ */
    int ended;          /* 1: it has been sent SIGKILL just now */
    int is_guard;       /* else a worker, or what one has started */
    const char *name;   /* "pool/3", or what the process calls itself */
    const char *source; /* "registry" or "environment" */
    const char *run;    /* 32 hexadecimal digits */
    const char *why;    /* what the verdict rests on */
} sp_leftover;

/* Borrowed until the callback returns. */
typedef void (*sp_leftover_cb)(const sp_leftover *leftover, void *user_data);

/*
 * End what a killed host of an instance left, and nothing else.
 *
 * info     as sp_instance_each() told it
 * dry_run  1: only say what there is
 * cb       hears of every row and process once; or NULL
 *
 * Returns how many processes were ended (dry_run: would be), all of which are gone then.
 * Errors: SP_ERR_IN_USE (a host has the instance, unless dry_run, or something does not
 * end in ten seconds), SP_ERR_SYSTEM, SP_ERR_NOMEM. Thread: any. Since: 0.1
 */
SP_API int sp_instance_cleanup(const sp_instance_info *info, int dry_run,
                               sp_leftover_cb cb, void *user_data, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
