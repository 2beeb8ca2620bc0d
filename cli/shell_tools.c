/* SPDX-License-Identifier: MIT */
/*
 * --tool NAME=COMMAND: commands of the shell as tools that workers may call.
 *
 * A call waits in a queue for one of a few threads. Each runs its command in a process
 * group of its own: the arguments go to its standard input, its standard output is the
 * result, its standard error is shown, and its end told when it fails. When nobody waits
 * for the answer any more, because time is over or somebody pressed Ctrl-C, the group is
 * killed; so is what a command leaves behind in it.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    AT_ONCE = 16,          /* commands */
    RESULT_MAX = 16 << 20, /* bytes of output */
    TAIL_MAX = 300,        /* of standard error, in the error */
    LOOK_MS = 20           /* how often it is asked whether anybody waits */
};

/* A call on its way to a command. */
struct errand {
    struct errand *next;
    const struct setting *tool;
    sp_tool_call *call;
    struct text args;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct errand *first;
    struct errand **last;
    int waiting; /* errands */
    int idle;    /* threads */
    int stopping;
    pthread_t threads[AT_ONCE];
    int count;
} shell = {.lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER};

/* --- One command ---------------------------------------------------------------------- */

struct run {
    const struct errand *errand;
    pid_t pid;
    int in, out, err; /* our ends; -1: closed */
    size_t written;
    struct text result;
    struct text line; /* of standard error, not whole yet */
    char tail[TAIL_MAX + 1];
    int is_over;  /* nobody waits, or it says too much */
    int has_exit; /* it has ended, and is not reaped */
    int status;
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static int open_pipe(int fds[2], int ours)
{
    if (pipe2(fds, O_CLOEXEC) < 0) {
        fds[0] = fds[1] = -1;
        return -1;
    }
    return fcntl(fds[ours], F_SETFL, O_NONBLOCK);
}

static int spawn(struct run *run, int in, int out, int err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)run->errand->tool->value, NULL};
    (void)sigemptyset(&none);
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) {
        return rc;
    }
    rc = posix_spawnattr_init(&attributes);
    if (rc == 0) {
        (void)posix_spawnattr_setflags(&attributes,
                                       POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
        (void)posix_spawnattr_setsigmask(&attributes, &none);
        rc = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        rc = rc != 0 ? rc
                     : posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        rc = rc != 0 ? rc
                     : posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
        rc = rc != 0 ? rc
                     : posix_spawn(&run->pid, "/bin/sh", &actions, &attributes, argv,
                                   environ);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* 0, or an errno. */
static int start(struct run *run)
{
    int in[2];
    int out[2];
    int err[2];
    int rc = open_pipe(in, 1) < 0 ? errno : 0;
    rc = open_pipe(out, 0) < 0 ? errno : rc;
    rc = open_pipe(err, 0) < 0 ? errno : rc;
    if (rc == 0) {
        rc = spawn(run, in[0], out[1], err[1]);
    }
    close_fd(&in[0]);
    close_fd(&out[1]);
    close_fd(&err[1]);
    run->in = in[1];
    run->out = out[0];
    run->err = err[0];
    return rc;
}

static void feed(struct run *run)
{
    const struct text *args = &run->errand->args;
    ssize_t n = 0;
    if (run->written < args->size) {
        n = write(run->in, args->data + run->written, args->size - run->written);
    }
    if (n > 0) {
        run->written += (size_t)n;
    }
    if (run->written == args->size || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close_fd(&run->in);
    }
}

static void read_result(struct run *run)
{
    char bytes[16384];
    ssize_t n = read(run->out, bytes, sizeof bytes);
    if (n > 0) {
        text_add(&run->result, bytes, (size_t)n);
        run->is_over = run->is_over || run->result.size > RESULT_MAX;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_fd(&run->out);
    }
}

static void tell_line(struct run *run)
{
    const char *line = text_c(&run->line);
    talk("%s: %s", run->errand->tool->key, line);
    (void)snprintf(run->tail, sizeof run->tail, "%s", line);
    run->line.size = 0;
}

static void read_errors(struct run *run)
{
    char bytes[4096];
    ssize_t n = read(run->err, bytes, sizeof bytes);
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] == '\n' || run->line.size >= sizeof bytes) {
            tell_line(run);
        } else {
            char c =
                bytes[i] >= 0 && bytes[i] < ' ' && bytes[i] != '\t' ? '?' : bytes[i];
            text_add(&run->line, &c, 1);
        }
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close_fd(&run->err);
    }
}

/* Until it has ended and everything was read, or nobody waits. What has left a process
 * behind that keeps the pipes open is not waited for. */
static void attend(struct run *run)
{
    while (!run->is_over) {
        struct pollfd fds[] = {{.fd = run->in, .events = POLLOUT},
                               {.fd = run->out, .events = POLLIN},
                               {.fd = run->err, .events = POLLIN}};
        int n = poll(fds, 3, run->has_exit ? 0 : LOOK_MS);
        if (n > 0) {
            if (fds[0].revents != 0) {
                feed(run);
            }
            if (fds[1].revents != 0) {
                read_result(run);
            }
            if (fds[2].revents != 0) {
                read_errors(run);
            }
        } else if (run->has_exit) {
            return;
        }
        if (!run->has_exit) {
            siginfo_t info = {0};
            /* It stays unreaped, so that its number is nobody else's: see end(). */
            run->has_exit = waitid(P_PID, (id_t)run->pid, &info,
                                   WEXITED | WNOHANG | WNOWAIT) == 0 &&
                            info.si_pid == run->pid;
        } else if (run->out < 0 && run->err < 0) {
            return;
        }
        run->is_over = run->is_over || sp_tool_call_is_over(run->errand->call);
    }
}

static void end(struct run *run)
{
    (void)kill(-run->pid, SIGKILL); /* and what it left behind */
    while (waitpid(run->pid, &run->status, 0) < 0 && errno == EINTR) {
    }
    if (run->line.size > 0) {
        tell_line(run);
    }
}

/* --- The answer ----------------------------------------------------------------------- */

static void refuse(const struct run *run, int code, const char *what, long long number)
{
    sp_error failure = {0};
    (void)sp_error_set(&failure, code, "%s %s %lld%s%s", run->errand->tool->key, what,
                       number, run->tail[0] != '\0' ? ": " : "", run->tail);
    sp_tool_call_fail(run->errand->call, &failure);
    sp_error_clear(&failure);
}

static void answer(const struct run *run)
{
    sp_bytes json = {run->result.data, run->result.size};
    if (run->result.size > RESULT_MAX) {
        refuse(run, SP_ERR_TOO_BIG, "writes more bytes than may be, which are",
               RESULT_MAX);
    } else if (run->is_over) {
        sp_tool_call_fail(run->errand->call, NULL); /* which nobody hears */
    } else if (WIFSIGNALED(run->status)) {
        refuse(run, SP_ERR_REMOTE, "was ended by signal", WTERMSIG(run->status));
    } else if (WEXITSTATUS(run->status) != 0) {
        refuse(run, SP_ERR_REMOTE, "ended with status", WEXITSTATUS(run->status));
    } else {
        (void)sp_tool_call_reply(run->errand->call, json, (sp_bytes){0}, NULL);
    }
}

static void run_errand(const struct errand *errand)
{
    struct run run = {.errand = errand};
    int rc = start(&run);
    if (rc != 0) {
        refuse(&run, SP_ERR_SYSTEM, "cannot be started, errno", rc);
    } else {
        attend(&run);
        end(&run);
        answer(&run);
    }
    close_fd(&run.in);
    close_fd(&run.out);
    close_fd(&run.err);
    text_free(&run.result);
    text_free(&run.line);
}

/* --- The threads ---------------------------------------------------------------------- */

static void free_errand(struct errand *errand)
{
    text_free(&errand->args);
    free(errand);
}

/* Locked. */
static struct errand *take(void)
{
    struct errand *errand = shell.first;
    if (errand != NULL) {
        shell.first = errand->next;
        shell.last = shell.first == NULL ? &shell.first : shell.last;
        shell.waiting--;
    }
    return errand;
}

static void *work(void *arg)
{
    (void)pthread_mutex_lock(&shell.lock);
    while (!shell.stopping || shell.first != NULL) {
        struct errand *errand = take();
        if (errand == NULL) {
            shell.idle++;
            (void)pthread_cond_wait(&shell.some, &shell.lock);
            shell.idle--;
            continue;
        }
        (void)pthread_mutex_unlock(&shell.lock);
        run_errand(errand);
        free_errand(errand);
        (void)pthread_mutex_lock(&shell.lock);
    }
    (void)pthread_mutex_unlock(&shell.lock);
    return arg;
}

/* Locked. One more thread when all there are have something to do; signals are for the
 * others. */
static void hire(void)
{
    sigset_t all;
    sigset_t before;
    if (shell.waiting <= shell.idle || shell.count == AT_ONCE) {
        return;
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&shell.threads[shell.count], NULL, work, NULL) == 0) {
        shell.count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void tool_cb(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    struct errand *errand = need(calloc(1, sizeof *errand));
    errand->tool = user_data;
    errand->call = call;
    text_add(&errand->args, args_json.data, args_json.size);
    text_add(&errand->args, "\n", 1);
    (void)pthread_mutex_lock(&shell.lock);
    if (shell.last == NULL) {
        shell.last = &shell.first;
    }
    *shell.last = errand;
    shell.last = &errand->next;
    shell.waiting++;
    hire();
    (void)pthread_cond_signal(&shell.some);
    (void)pthread_mutex_unlock(&shell.lock);
}

int shell_tools_add(const struct cli *cli, sp_pit *pit)
{
    for (int i = 0; i < cli->tools_count; i++) {
        sp_error err = {0};
        sp_host_tool tool = {.size = sizeof tool,
                             .name = cli->tools[i].key,
                             .description = cli->tools[i].value,
                             .flags = SP_TOOL_ANY_THREAD,
                             .fn = tool_cb,
                             .user_data = (void *)(uintptr_t)&cli->tools[i]};
        if (sp_tool_register(pit, &tool, &err) < 0) {
            int code = report(&err);
            sp_error_clear(&err);
            return code;
        }
    }
    return CODE_OK;
}

void shell_tools_end(void)
{
    (void)pthread_mutex_lock(&shell.lock);
    shell.stopping = 1;
    (void)pthread_cond_broadcast(&shell.some);
    (void)pthread_mutex_unlock(&shell.lock);
    for (int i = 0; i < shell.count; i++) {
        (void)pthread_join(shell.threads[i], NULL);
    }
    shell.count = 0;
    shell.stopping = 0;
}
