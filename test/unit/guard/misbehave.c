/* SPDX-License-Identifier: MIT */
/*
 * A worker with bad manners, one per first argument. It reports on descriptor 1 and,
 * where it stays alive, ignores every signal that can be ignored.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static _Noreturn void stay(void)
{
    for (int i = 1; i < NSIG; i++) {
        (void)signal(i, SIG_IGN);
    }
    for (;;) {
        (void)pause();
    }
}

static int show_arguments(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        dprintf(1, "arg %s\n", argv[i]);
    }
    for (char **env = environ; *env != NULL; env++) {
        dprintf(1, "env %s\n", *env);
    }
    char folder[4096];
    dprintf(1, "cwd %s\n", getcwd(folder, sizeof folder));
    return 0;
}

static int show_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.' && strtol(entry->d_name, NULL, 10) != dirfd(dir)) {
            dprintf(1, "%s ", entry->d_name);
        }
    }
    dprintf(1, "\n");
    return closedir(dir);
}

static void show_lines(const char *path, const char *only)
{
    char line[256];
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, only, strlen(only)) == 0) {
            dprintf(1, "%s", line);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static int show_state(void)
{
    show_lines("/proc/self/status", "SigBlk");
    show_lines("/proc/self/status", "SigIgn");
    show_lines("/proc/self/status", "SigCgt");
    struct rlimit files;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    dprintf(1, "group %d session %d files %llu umask %o oom ", getpgrp() == getpid(),
            getsid(0) == getpid(), (unsigned long long)files.rlim_cur, umask(0));
    show_lines("/proc/self/oom_score_adj", "");
    return 0;
}

/* Whether /proc shows this process as itself, a guard as process 1, and the host. */
static int show_world(const char *host)
{
    char path[64];
    char link[16] = "";
    (void)readlink("/proc/self", link, sizeof link - 1);
    (void)snprintf(path, sizeof path, "/proc/%s/comm", host);
    dprintf(1, "self %d parent %d host %d\n", strtol(link, NULL, 10) == getpid(),
            getppid() == 1, access(path, F_OK) == 0);
    return 0;
}

static int kill_everybody(void)
{
    (void)kill(1, SIGKILL);
    (void)kill(getppid(), SIGKILL);
    return kill(-1, SIGKILL);
}

static int show_limits(void)
{
    struct rlimit files;
    struct rlimit core;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    (void)getrlimit(RLIMIT_CORE, &core);
    dprintf(1, "files %llu core %llu nice %d umask %o\n",
            (unsigned long long)files.rlim_max, (unsigned long long)core.rlim_cur,
            getpriority(PRIO_PROCESS, 0), umask(0));
    return 0;
}

/* Take and use memory until it is refused (7) or this is killed. */
static int hog(void)
{
    enum { PIECE = 1 << 20 };
    for (;;) {
        char *piece = malloc(PIECE);
        if (piece == NULL) {
            return 7;
        }
        memset(piece, 1, PIECE);
    }
}

/* As many processes as there may be, each in a session of its own, and a word when there
 * may be no more. */
static void bomb(void)
{
    for (int i = 0; i < 500; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            (void)setsid();
            stay();
        }
        if (pid < 0) {
            dprintf(1, "full after %d\n", i);
            break;
        }
    }
}

/* A grandchild that ignores everything: in this group, or out of it by double fork and
 * setsid. It says so itself, when it ignores. */
static void beget(int escapes)
{
    if (fork() != 0) {
        return;
    }
    if (escapes) {
        (void)setsid();
        if (fork() != 0) {
            _exit(0);
        }
    }
    for (int i = 1; i < NSIG; i++) {
        (void)signal(i, SIG_IGN);
    }
    dprintf(1, "self\n");
    stay();
}

static int crash(void)
{
    struct rlimit none = {0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)raise(SIGSEGV);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "arguments") == 0) {
        return show_arguments(argc, argv);
    }
    if (strcmp(what, "fds") == 0) {
        return show_fds();
    }
    if (strcmp(what, "state") == 0) {
        return show_state();
    }
    if (strcmp(what, "exit") == 0) {
        return (int)strtol(argv[2], NULL, 10);
    }
    if (strcmp(what, "world") == 0) {
        return show_world(argv[2]);
    }
    if (strcmp(what, "limits") == 0) {
        return show_limits();
    }
    if (strcmp(what, "hog") == 0) {
        return hog();
    }
    if (strcmp(what, "bomb") == 0) {
        bomb();
    }
    if (strcmp(what, "regicide") == 0) {
        /* Only where nobody else can be meant. */
        return getppid() == 1 && getpid() < 100 ? kill_everybody() : 1;
    }
    if (strcmp(what, "crash") == 0) {
        return crash();
    }
    if (strcmp(what, "family") == 0 || strcmp(what, "hostile") == 0) {
        beget(0);
    }
    if (strcmp(what, "escape") == 0 || strcmp(what, "hostile") == 0) {
        beget(1);
    }
    if (strcmp(what, "leave") == 0) { /* daemonise one, then end when told */
        beget(1);
        char byte;
        return read(0, &byte, 1) == 1;
    }
    if (strcmp(what, "stay") == 0) {
        dprintf(1, "self\n");
    }
    stay();
}
