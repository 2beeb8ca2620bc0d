/* SPDX-License-Identifier: MIT */
/*
 * Crash recovery: what a program sees when a worker dies.
 *
 * 1. A tool brings its process down. Its call fails with a certificate of the death, and
 *    the next call goes to a fresh worker.
 * 2. A worker is killed under a call that may be repeated: the call does not fail at all.
 * 3. A call that brings down whatever worker it gets is given up.
 *
 * There is no adapter: "none" calls any importable function.
 */
#include <signal.h>
#include <snakepit/snakepit.h>
#include <stdio.h>
#include <time.h>

static int call(sp_pit *pit, const char *tool, const char *args, uint32_t flags)
{
    sp_call_options options = {.size = sizeof options, .flags = flags};
    sp_result result = {0};
    sp_error err = {0};
    int rc = sp_execute(pit, tool, sp_text(args), &options, &result, &err);
    printf("%s%s: ", tool, args);
    if (rc == 0) {
        printf("%s\n", result.json);
    } else {
        printf("%s, signal %d, attempts %u\n", sp_error_name(rc), err.worker_signal,
               err.attempts);
    }
    sp_result_clear(&result);
    sp_error_clear(&err);
    return rc;
}

/* Kill whichever worker has the call, as soon as one has it. */
static void kill_busy_worker(sp_pit *pit)
{
    static const struct timespec a_moment = {.tv_nsec = 5000000};
    for (;;) {
        sp_worker_info workers[2];
        int count = sp_pool_workers_get(pit, NULL, workers, 2, NULL);
        for (int i = 0; i < count && i < 2; i++) {
            if (workers[i].state == SP_WORKER_BUSY) {
                kill(workers[i].pid, SIGKILL);
                return;
            }
        }
        nanosleep(&a_moment, NULL);
    }
}

static int survive(sp_pit *pit)
{
    sp_call_options options = {.size = sizeof options, .flags = SP_CALL_IDEMPOTENT};
    sp_result result = {0};
    sp_error err = {0};
    sp_id id;
    int rc = sp_call_start(pit, "time.sleep", sp_text("[0.5]"), &options, NULL, NULL,
                           &id, &err);
    if (rc == 0) {
        kill_busy_worker(pit);
        rc = sp_call_wait(pit, id, &result, &err);
    }
    printf("time.sleep, its worker killed: %s, attempts %u\n",
           rc == 0 ? result.json : err.message,
           rc == 0 ? result.attempts : err.attempts);
    sp_result_clear(&result);
    sp_error_clear(&err);
    return rc;
}

static void certificate(const sp_death *death, void *user_data)
{
    (void)user_data;
    printf("certificate: %s after %llu call(s), %zu under way\n",
           sp_death_name(death->why), (unsigned long long)death->calls_total,
           death->calls_count);
}

int main(void)
{
    sp_pit *pit = NULL;
    sp_error err = {0};
    int wrong = 0;
    int rc = sp_pit_open_string("pools: [{name: default, adapter: none, size: 2}]",
                                &pit, &err);
    if (rc == 0) {
        wrong += call(pit, "os.abort", "[]", 0) != SP_ERR_WORKER_DIED;
        wrong += call(pit, "math.sqrt", "[2.25]", 0) != 0;
        wrong += survive(pit) != 0;
        wrong += call(pit, "os.abort", "[]", SP_CALL_IDEMPOTENT) != SP_ERR_POISON;
        wrong += call(pit, "math.sqrt", "[6.25]", 0) != 0;
        rc = sp_pool_deaths_get(pit, NULL, certificate, NULL, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc < 0 || wrong > 0;
}
