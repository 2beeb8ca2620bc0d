/* SPDX-License-Identifier: MIT */
/*
 * Growing text, and files read and written whole.
 *
 * The command line is a program, not a library: when memory ends it says so and ends,
 * which its pit's guard answers by ending every worker.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than the largest argument of a call can be. */
#define FILE_BYTES_MAX (2ull << 30)

void *need(void *memory)
{
    if (memory == NULL) {
        (void)fputs("error: out of memory\n", stderr);
        exit(CODE_UNREACHABLE);
    }
    return memory;
}

static void reserve(struct text *text, size_t more)
{
    size_t wanted = text->size + more + 1;
    if (wanted <= text->capacity) {
        return;
    }
    size_t capacity = text->capacity < 256 ? 256 : text->capacity;
    while (capacity < wanted) {
        capacity *= 2;
    }
    text->data = need(realloc(text->data, capacity));
    text->capacity = capacity;
}

void text_add(struct text *text, const void *data, size_t size)
{
    reserve(text, size);
    if (size > 0) {
        memcpy(text->data + text->size, data, size);
    }
    text->size += size;
    text->data[text->size] = '\0';
}

void text_printf(struct text *text, const char *format, ...)
{
    char *part = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&part, format, args);
    va_end(args);
    need(length < 0 ? NULL : part);
    text_add(text, part, (size_t)length);
    free(part);
}

const char *text_c(struct text *text)
{
    reserve(text, 0);
    text->data[text->size] = '\0';
    return text->data;
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

int read_whole(const char *path, struct text *ret_text)
{
    int is_input = strcmp(path, "-") == 0;
    int fd = is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int code = CODE_OK;
    if (fd < 0) {
        return complain(errno == ENOENT ? CODE_NOT_FOUND : CODE_USAGE, "%s: %s", path,
                        strerror(errno));
    }
    for (;;) {
        reserve(ret_text, 64 * 1024);
        ssize_t n = read(fd, ret_text->data + ret_text->size, 64 * 1024);
        if (n < 0 && errno == EINTR && !watch_interrupted()) {
            continue;
        }
        if (n < 0) {
            code = watch_interrupted()
                       ? CODE_INTERRUPTED
                       : complain(CODE_USAGE, "%s: %s", path, strerror(errno));
        }
        if (n <= 0) {
            break;
        }
        ret_text->size += (size_t)n;
        if (ret_text->size > FILE_BYTES_MAX) {
            code = complain(CODE_USAGE, "%s: larger than 2 GiB", path);
            break;
        }
    }
    if (!is_input) {
        (void)close(fd); /* nothing was written */
    }
    (void)text_c(ret_text);
    return code;
}

int write_new(const char *path, const char *content, int force)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL);
    int fd = open(path, flags, 0666);
    if (fd < 0 && errno == EEXIST) {
        return complain(CODE_REFUSED, "%s exists; --force replaces it", path);
    }
    if (fd < 0) {
        return complain(CODE_REFUSED, "%s: %s", path, strerror(errno));
    }
    size_t left = strlen(content);
    int code = CODE_OK;
    while (left > 0 && code == CODE_OK) {
        ssize_t n = write(fd, content, left);
        if (n < 0 && errno != EINTR) {
            code = complain(CODE_REFUSED, "%s: %s", path, strerror(errno));
        } else if (n > 0) {
            content += n;
            left -= (size_t)n;
        }
    }
    if (close(fd) != 0 && code == CODE_OK) {
        code = complain(CODE_REFUSED, "%s: %s", path, strerror(errno));
    }
    return code;
}
