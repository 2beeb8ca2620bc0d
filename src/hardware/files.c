/* SPDX-License-Identifier: MIT */
/*
 * Reading what the kernel says in files, small texts under a root that tests may choose,
 * and taking texts apart. Whatever is wrong with a file, it is as if it were not there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hardware/hardware.h"

enum { PATH_BYTES = 512 };

static int full_path(const struct search *search, const char *path,
                     char full[PATH_BYTES])
{
    int n = snprintf(full, PATH_BYTES, "%s%s", search->root, path);
    return n > 0 && n < PATH_BYTES ? 0 : -1;
}

int sp__hardware_exists(const struct search *search, const char *path)
{
    char full[PATH_BYTES];
    return full_path(search, path, full) == 0 && access(full, F_OK) == 0;
}

int sp__hardware_read(const struct search *search, const char *path, char *text,
                      size_t max)
{
    char full[PATH_BYTES];
    size_t size = 0;
    text[0] = '\0';
    int fd = full_path(search, path, full) == 0 ? open(full, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return -1;
    }
    while (size < max - 1) {
        ssize_t n = read(fd, text + size, max - 1 - size);
        if (n <= 0) {
            break;
        }
        size += (size_t)n;
    }
    (void)close(fd);
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL) {
        size--;
    }
    text[size] = '\0';
    return 0;
}

int sp__hardware_value(const char *text, const char *key, char *value, size_t max)
{
    size_t length = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = line + strcspn(line, "\n");
        const char *at = line + length;
        if (strncmp(line, key, length) == 0 && strchr(" \t:", *at) != NULL &&
            *at != '\0') {
            at += strspn(at, " \t:");
            size_t size = end > at ? (size_t)(end - at) : 0;
            (void)snprintf(value, max, "%.*s", (int)size, at);
            return 0;
        }
        line = *end != '\0' ? end + 1 : NULL;
    }
    value[0] = '\0';
    return -1;
}

int sp__hardware_has_word(const char *words, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at++) {
        char before = at > words ? at[-1] : ' ';
        char after = at[size];
        if (before == ' ' && (after == ' ' || after == '\0')) {
            return 1;
        }
    }
    return 0;
}

char *sp__hardware_line(char **at)
{
    char *line = *at;
    if (line == NULL || *line == '\0') {
        return NULL;
    }
    char *end = strchr(line, '\n');
    *at = end != NULL ? end + 1 : NULL;
    if (end != NULL) {
        *end = '\0';
    }
    return line;
}

char *sp__hardware_field(char **at)
{
    if (*at == NULL) {
        return NULL;
    }
    char *field = *at + strspn(*at, " \t");
    char *end = field + strcspn(field, ",\n");
    *at = *end == ',' ? end + 1 : NULL;
    *end = '\0';
    for (char *last = end; last > field && strchr(" \t\r", last[-1]) != NULL;) {
        *--last = '\0';
    }
    return field;
}
