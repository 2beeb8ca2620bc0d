/* SPDX-License-Identifier: MIT */
/*
 * Finding the folder below which this process may make control groups.
 *
 * /proc/self/cgroup says in which group a process is, /proc/self/mountinfo where the
 * hierarchies are mounted and which part of them is to be seen there. In version 1 each
 * controller has a hierarchy. In version 2 there is one, and a group hands a controller
 * on to those below only when it has no processes of its own (the root excepted), so the
 * group above the own one is tried as well: that is how a service manager delegates.
 *
 * Files are read line by line into one buffer; a line that does not fit is skipped.
 */
#include "hierarchy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, PATH_MAX_BYTES = 4096 };

struct reader {
    int fd;
    char text[LINE_MAX_BYTES];
    size_t begin;
    size_t end;
};

/* The next line without its end, or NULL. */
static char *next_line(struct reader *reader)
{
    int is_skipping = 0;
    for (;;) {
        char *line = reader->text + reader->begin;
        char *newline = memchr(line, '\n', reader->end - reader->begin);
        if (newline != NULL) {
            *newline = '\0';
            reader->begin = (size_t)(newline - reader->text) + 1;
            if (!is_skipping) {
                return line;
            }
            is_skipping = 0;
            continue;
        }
        if (reader->begin == 0 && reader->end == sizeof reader->text) {
            reader->end = 0; /* too long: forget it up to its end */
            is_skipping = 1;
        }
        memmove(reader->text, reader->text + reader->begin,
                reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->begin = 0;
        ssize_t n = read(reader->fd, reader->text + reader->end,
                         sizeof reader->text - reader->end);
        if (n <= 0) {
            return NULL;
        }
        reader->end += (size_t)n;
    }
}

/* Whether a list separated by commas has a word. */
static int has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    while (*list != '\0') {
        size_t n = strcspn(list, ",");
        if (n == length && strncmp(list, word, n) == 0) {
            return 1;
        }
        list += n + (list[n] == ',');
    }
    return 0;
}

/* The group of this process for a controller, "" for version 2. 1 when found. */
static int find_group(const char *controller, char path[PATH_MAX_BYTES])
{
    static struct reader reader;
    char *line;
    int found = 0;
    reader = (struct reader){.fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC)};
    while (!found && (line = next_line(&reader)) != NULL) {
        char *list = strchr(line, ':');
        char *group = list != NULL ? strchr(list + 1, ':') : NULL;
        if (group != NULL) {
            *group = '\0';
            found = controller[0] == '\0' ? list[1] == '\0'
                                          : has_word(list + 1, controller);
            (void)snprintf(path, PATH_MAX_BYTES, "%s", group + 1);
        }
    }
    (void)close(reader.fd);
    return found;
}

/* Split a line of mountinfo: root, mount point, and, behind " - ", type and options. */
static int split_mount(char *line, char **root, char **point, char **type,
                       char **options)
{
    char *save = NULL;
    char *rest = strstr(line, " - ");
    if (rest == NULL) {
        return 0;
    }
    *rest = '\0';
    *root = strtok_r(line, " ", &save);
    for (int i = 0; i < 3 && *root != NULL; i++) {
        *root = strtok_r(NULL, " ", &save);
    }
    *point = strtok_r(NULL, " ", &save);
    *type = strtok_r(rest + 3, " ", &save);
    (void)strtok_r(NULL, " ", &save);
    *options = strtok_r(NULL, " ", &save);
    return *root != NULL && *point != NULL && *type != NULL && *options != NULL;
}

/* The folder of the group, where its hierarchy is mounted. 1 when found. */
static int find_folder(const char *controller, const char *group,
                       char folder[PATH_MAX_BYTES])
{
    static struct reader reader;
    char *line;
    int found = 0;
    reader = (struct reader){.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)};
    while (!found && (line = next_line(&reader)) != NULL) {
        char *root;
        char *point;
        char *type;
        char *options;
        if (!split_mount(line, &root, &point, &type, &options) ||
            strcmp(type, controller[0] == '\0' ? "cgroup2" : "cgroup") != 0 ||
            (controller[0] != '\0' && !has_word(options, controller))) {
            continue;
        }
        /* A container may see a part of the hierarchy only: that part is its root. */
        size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
        int is_below = strncmp(group, root, length) == 0;
        (void)snprintf(folder, PATH_MAX_BYTES, "%s%s", point,
                       is_below ? group + length : "");
        found = 1;
    }
    (void)close(reader.fd);
    return found;
}

/* Whether groups below the folder have the controller, when it is asked for. */
static int hand_on(int dir, const char *controller)
{
    static struct reader reader;
    char word[32];
    (void)snprintf(word, sizeof word, "+%s", controller);
    int fd = openat(dir, "cgroup.subtree_control", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t n = write(fd, word, strlen(word));
    if (n < 0) { /* it may have been so before */
        reader = (struct reader){.fd = fd};
        char *line = next_line(&reader);
        for (char *c = line; c != NULL && *c != '\0'; c++) {
            *c = *c == ' ' ? ',' : *c;
        }
        n = line != NULL && has_word(line, controller) ? 1 : -1;
    }
    (void)close(fd);
    return n > 0;
}

static int open_folder(const char *path)
{
    return access(path, W_OK) == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                   : -1;
}

struct hierarchy sp__hierarchy_find(const char *controller)
{
    static char group[PATH_MAX_BYTES];
    static char folder[PATH_MAX_BYTES];
    struct hierarchy found = {.dir = -1};
    if (find_group(controller, group) && find_folder(controller, group, folder)) {
        found.dir = open_folder(folder);
        return found;
    }
    found.is_v2 = 1;
    if (!find_group("", group) || !find_folder("", group, folder)) {
        return found;
    }
    for (int i = 0; i < 2; i++) {
        found.dir = open_folder(folder);
        if (found.dir >= 0 && hand_on(found.dir, controller)) {
            return found;
        }
        if (found.dir >= 0) {
            (void)close(found.dir);
            found.dir = -1;
        }
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash == folder || strcmp(group, "/") == 0) {
            break;
        }
        *slash = '\0';
    }
    return found;
}

int sp__hierarchy_own(void)
{
    static char group[PATH_MAX_BYTES];
    static char folder[PATH_MAX_BYTES];
    if (!find_group("", group) || !find_folder("", group, folder)) {
        errno = ENOENT;
        return -1;
    }
    return open_folder(folder);
}

struct dirent64_head { /* what getdents64 writes; readdir() would allocate */
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

void sp__hierarchy_list(int dir, void (*on_entry)(void *user, const char *name),
                        void *user)
{
    _Alignas(8) static char entries[8192];
    long n;
    if (lseek(dir, 0, SEEK_SET) != 0) {
        return;
    }
    while ((n = syscall(SYS_getdents64, dir, entries, sizeof entries)) > 0) {
        for (long at = 0; at < n;) {
            const struct dirent64_head *entry = (const void *)(entries + at);
            at += entry->length;
            on_entry(user, entry->name);
        }
    }
}
