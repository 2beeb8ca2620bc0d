/* SPDX-License-Identifier: MIT */
/*
 * doctor: what the machine must have, whatever the workers are: the kernel's calls, room
 * for descriptors and processes, and folders that a daemon can use.
 */
#include "doctor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

void doctor_kernel(struct doctor *doctor)
{
    struct utsname name;
    char missing[128] = "";
    int subreaper;
    if (uname(&name) != 0) {
        return;
    }
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (fd >= 0) {
        (void)close(fd);
    } else {
        (void)strncat(missing, " pidfd_open", sizeof missing - strlen(missing) - 1);
    }
    /* An empty range closes nothing and still says whether the call exists. */
    if (syscall(SYS_close_range, ~0U, ~0U, 0) != 0) {
        (void)strncat(missing, " close_range", sizeof missing - strlen(missing) - 1);
    }
    if (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) != 0) {
        (void)strncat(missing, " subreaper", sizeof missing - strlen(missing) - 1);
    }
    fd = memfd_create("snakepit", MFD_CLOEXEC);
    if (fd >= 0) {
        (void)close(fd);
    } else {
        (void)strncat(missing, " memfd_create", sizeof missing - strlen(missing) - 1);
    }
    if (missing[0] != '\0') {
        note(doctor, LEVEL_FAIL, "kernel",
             "run Linux 5.9 or newer; in a container allow these calls, as docker run "
             "--security-opt seccomp=unconfined does",
             "%s %s lacks%s", name.sysname, name.release, missing);
    } else {
        note(doctor, LEVEL_OK, "kernel", "",
             "%s %s: pidfd, close_range, subreaper, memfd", name.sysname, name.release);
    }
}

static void show_limit(rlim_t value, char *text, size_t max)
{
    if (value == RLIM_INFINITY) {
        (void)snprintf(text, max, "unlimited");
    } else {
        (void)snprintf(text, max, "%llu", (unsigned long long)value);
    }
}

/* What raises a limit: the shell where it may, else whoever set it. */
static void put_ulimit(char hint[FIX_MAX], char letter, const char *unit_key,
                       const struct rlimit *limit, rlim_t wanted)
{
    if (limit->rlim_max == RLIM_INFINITY || wanted <= limit->rlim_max) {
        (void)snprintf(hint, FIX_MAX,
                       "ulimit -%c %llu; or fewer workers (pools.NAME.size)", letter,
                       (unsigned long long)wanted);
    } else {
        (void)snprintf(hint, FIX_MAX,
                       "%s=%llu in its unit, or as root ulimit -H%c %llu; or fewer "
                       "workers (pools.NAME.size)",
                       unit_key, (unsigned long long)wanted, letter,
                       (unsigned long long)wanted);
    }
}

void doctor_limits(struct doctor *doctor, unsigned workers)
{
    /* In the host: two sockets, a pidfd and two pipes for each worker, and some more. */
    rlim_t files_needed = 5 * (rlim_t)workers + 64;
    struct rlimit files;
    struct rlimit processes;
    char files_text[32];
    char processes_text[32];
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        getrlimit(RLIMIT_NPROC, &processes) != 0) {
        return;
    }
    show_limit(files.rlim_cur, files_text, sizeof files_text);
    show_limit(processes.rlim_cur, processes_text, sizeof processes_text);
    int few_files = files.rlim_cur < files_needed;
    int few_processes = processes.rlim_cur < 2 * (rlim_t)workers;
    if (few_files || few_processes) {
        char hint[FIX_MAX];
        if (few_files) {
            put_ulimit(hint, 'n', "LimitNOFILE", &files, files_needed);
        } else {
            put_ulimit(hint, 'u', "TasksMax", &processes, 2 * (rlim_t)workers);
        }
        note(doctor, LEVEL_WARN, "limits", hint,
             "%s open files, %s processes; %u workers want %llu files", files_text,
             processes_text, workers, (unsigned long long)files_needed);
    } else {
        note(doctor, LEVEL_OK, "limits", "",
             "%s open files, %s processes, enough for %u workers", files_text,
             processes_text, workers);
    }
}

/* ---- folders ---- */

enum { FOLDER_BYTES = 4200 };

/* What is in the way of a folder, which may have to be made: the nearest above it that is
 * there. 0: nothing is. */
static int find_obstacle(const char *folder, char ret_path[FOLDER_BYTES],
                         const char **ret_why)
{
    struct stat found;
    (void)snprintf(ret_path, FOLDER_BYTES, "%s", folder);
    while (lstat(ret_path, &found) != 0 || S_ISLNK(found.st_mode)) {
        if (stat(ret_path, &found) == 0) {
            break; /* a link that leads somewhere */
        }
        char *slash = strrchr(ret_path, '/');
        if (slash == NULL) {
            return 0;
        }
        slash[slash == ret_path] = '\0'; /* the root keeps its own */
    }
    if (!S_ISDIR(found.st_mode)) {
        *ret_why = "is no folder";
        return 1;
    }
    if (access(ret_path, W_OK | X_OK) != 0) {
        *ret_why = "cannot be written to";
        return 1;
    }
    return 0;
}

static void note_obstacle(struct doctor *doctor, enum level level, const char *key,
                          const char *folder, const char *obstacle, const char *why)
{
    char hint[FIX_MAX];
    if (strcmp(why, "is no folder") == 0) {
        (void)snprintf(hint, sizeof hint, "rm %.200s; or set %s to another folder",
                       obstacle, key);
    } else {
        (void)snprintf(
            hint, sizeof hint,
            "sudo install -d -o %u -m 700 %.200s; or set %s to another folder",
            (unsigned)getuid(), folder, key);
    }
    note(doctor, level, "folders", hint, "%s is %s, but %s %s", key, folder, obstacle,
         why);
}

/* 1: the folder can be used. */
static int check_folder(struct doctor *doctor, enum level bad, int kind,
                        const char *base, const char *instance, char folder[600])
{
    char obstacle[FOLDER_BYTES];
    const char *why;
    const char *key = kind == SP_FOLDER_RUNTIME ? "runtime_dir" : "state_dir";
    sp_error err = {0};
    if (sp_instance_folder(kind, base, instance, folder, 600, &err) < 0) {
        char hint[FIX_MAX];
        (void)snprintf(hint, sizeof hint, "set %s to a folder with a shorter name",
                       key);
        note(doctor, bad, "folders", hint, "%s: %s", key, err.message);
        sp_error_clear(&err);
        return 0;
    }
    if (find_obstacle(folder, obstacle, &why)) {
        note_obstacle(doctor, bad, key, folder, obstacle, why);
        return 0;
    }
    return 1;
}

void doctor_folders(struct doctor *doctor, const sp_pit_options *options)
{
    enum { SOCKET_MAX = sizeof((struct sockaddr_un *)NULL)->sun_path - 1 };
    static const char name[] = "/snakepit.sock";
    char runtime[600];
    char state[600];
    /* Commands of the moment need neither. */
    enum level bad = options->instance != NULL || options->runtime_dir != NULL
                         ? LEVEL_FAIL
                         : LEVEL_WARN;
    if (!check_folder(doctor, bad, SP_FOLDER_RUNTIME, options->runtime_dir,
                      options->instance, runtime) ||
        !check_folder(doctor, bad, SP_FOLDER_STATE, NULL, options->instance, state)) {
        return;
    }
    if (strlen(runtime) + strlen(name) > SOCKET_MAX) {
        note(doctor, bad, "folders",
             "set listen.socket to a path of at most 107 bytes, or runtime_dir to a "
             "folder with a shorter name",
             "the socket of a daemon would be %s%s, longer than %d bytes", runtime,
             name, (int)SOCKET_MAX);
        return;
    }
    note(doctor, LEVEL_OK, "folders", "", "a daemon has %s and %s", runtime, state);
}
