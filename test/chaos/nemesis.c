/* SPDX-License-Identifier: MIT */
/*
 * The nemesis.
 *
 * A victim is held by a pidfd before it is struck, and struck only when the pool still
 * names its pid after that: a number that has gone to a stranger harms nobody.
 */
#include "nemesis.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "processes.h"

enum { WORKERS_MAX = 256 };

static int is_victim(const sp_worker_info *worker)
{
    return worker->pid > 0 &&
           (worker->state == SP_WORKER_READY || worker->state == SP_WORKER_BUSY ||
            worker->state == SP_WORKER_STARTING);
}

static int list(struct scene *scene, sp_worker_info *workers)
{
    int n = sp_pool_workers_get(scene->pit, NULL, workers, WORKERS_MAX, NULL);
    return n > WORKERS_MAX ? WORKERS_MAX : n;
}

static int still_lists(struct scene *scene, int pid)
{
    sp_worker_info workers[WORKERS_MAX];
    int n = list(scene, workers);
    for (int i = 0; i < n; i++) {
        if (workers[i].pid == pid && is_victim(&workers[i])) {
            return 1;
        }
    }
    return 0;
}

static int strike_worker(struct scene *scene, int pid, const char *kind)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int done = 0;
    if (pidfd >= 0 && still_lists(scene, pid)) {
        ledger_note(&scene->host, "fault", "%s %d", kind, pid);
        done = syscall(SYS_pidfd_send_signal, pidfd,
                       strcmp(kind, "hang") == 0 ? SIGSTOP : SIGKILL, NULL, 0) == 0;
    }
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    return done;
}

/* Every worker goes with its guard. */
static int strike_guard(struct scene *scene)
{
    pid_t children[16];
    sp_worker_info workers[WORKERS_MAX];
    int n = list(scene, workers);
    for (int i = 0; i < n; i++) {
        if (workers[i].pid > 0) {
            ledger_note(&scene->host, "fault", "orphan %d", workers[i].pid);
        }
    }
    size_t found = processes_children(children, 16);
    for (size_t i = 0; i < found; i++) {
        ledger_note(&scene->host, "fault", "guard %d", (int)children[i]);
        (void)kill(children[i], SIGKILL);
    }
    return found > 0;
}

int nemesis_strike(struct scene *scene, const char *kind, uint64_t dice)
{
    sp_worker_info workers[WORKERS_MAX];
    if (strcmp(kind, "guard") == 0) {
        return strike_guard(scene);
    }
    int n = list(scene, workers);
    for (int i = 0; i < n; i++) {
        const sp_worker_info *worker = &workers[(dice + (uint64_t)i) % (uint64_t)n];
        if (!is_victim(worker)) {
            continue;
        }
        if (strcmp(kind, "recycle") == 0) {
            return sp_pool_recycle(scene->pit, NULL, worker->id, NULL) == 0;
        }
        return strike_worker(scene, worker->pid, kind);
    }
    return 0;
}

/* ---- the thread ---- */

static const char *draw(struct nemesis *left, uint64_t dice)
{
    struct {
        const char *kind;
        uint64_t *left;
    } all[] = {{"kill", &left->kills},
               {"hang", &left->hangs},
               {"guard", &left->guards},
               {"recycle", &left->recycles}};
    uint64_t sum = left->kills + left->hangs + left->guards + left->recycles;
    uint64_t at = sum > 0 ? dice % sum : 0;
    for (size_t i = 0; sum > 0 && i < sizeof all / sizeof all[0]; i++) {
        if (at < *all[i].left) {
            (*all[i].left)--;
            return all[i].kind;
        }
        at -= *all[i].left;
    }
    return NULL;
}

static void *be_nemesis(void *arg)
{
    struct nemesis *nemesis = arg;
    struct load *load = nemesis->load;
    uint64_t total =
        nemesis->kills + nemesis->hangs + nemesis->guards + nemesis->recycles;
    uint64_t seed = load->scene->amounts->seed;
    for (uint64_t i = 0; i < total; i++) {
        uint64_t due = (i + 1) * load->count / (total + 1);
        const char *kind = draw(nemesis, chance(seed, i * 2 + 77));
        while (atomic_load(&load->done) < due) {
            (void)poll(NULL, 0, 1);
        }
        uint64_t tries = 0;
        while (!nemesis_strike(load->scene, kind, chance(seed, i * 2 + 78) + tries) &&
               !load_is_done(load)) {
            tries++;
            (void)poll(NULL, 0, 1);
        }
        nemesis->done++;
    }
    return NULL;
}

void nemesis_start(struct nemesis *nemesis, struct load *load)
{
    nemesis->load = load;
    nemesis->scene = load->scene;
    if (pthread_create(&nemesis->thread, NULL, be_nemesis, nemesis) != 0) {
        scene_fail("no thread for the nemesis", NULL);
    }
}

void nemesis_join(struct nemesis *nemesis)
{
    (void)pthread_join(nemesis->thread, NULL);
}
