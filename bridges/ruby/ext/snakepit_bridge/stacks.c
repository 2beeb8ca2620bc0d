/* SPDX-License-Identifier: MIT */
/*
 * The stack of a worker that seems to hang, written by a signal's handler.
 *
 * The handler must work while the interpreter is stuck, so it asks nothing of it that
 * takes memory or locks: rb_profile_frames() only reads the frames of the thread it runs
 * on, and the texts it prints were made when the code was compiled. A signal that another
 * thread got is passed on to the main one, where the tools run.
 */
#include <ruby.h>
#include <ruby/debug.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bridge.h"

enum { FRAMES_MAX = 64, LINE_BYTES = 512 };

static struct {
    pthread_t main;
    int fd;
} target;

static size_t add_text(char *line, size_t used, const char *text, size_t n)
{
    size_t room = LINE_BYTES - used;
    n = n < room ? n : room;
    memcpy(line + used, text, n);
    return used + n;
}

static size_t add_value(char *line, size_t used, VALUE text)
{
    if (!RB_TYPE_P(text, T_STRING)) {
        return add_text(line, used, "?", 1);
    }
    return add_text(line, used, RSTRING_PTR(text), (size_t)RSTRING_LEN(text));
}

static size_t add_number(char *line, size_t used, int number)
{
    char digits[12];
    char *at = digits + sizeof digits;
    unsigned rest = number > 0 ? (unsigned)number : 0;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    return add_text(line, used, at, (size_t)(digits + sizeof digits - at));
}

void sp__rb_write_stack(int fd)
{
    static const char head[] = "Ruby's stack (most recent call first):\n";
    VALUE frames[FRAMES_MAX];
    int numbers[FRAMES_MAX];
    int count = rb_profile_frames(0, FRAMES_MAX, frames, numbers);
    ssize_t ignored = write(fd, head, sizeof head - 1);
    for (int i = 0; i < count; i++) {
        char line[LINE_BYTES + 1];
        if (!RB_TYPE_P(rb_profile_frame_path(frames[i]), T_STRING)) {
            continue; /* a function in C: the next frame says where it was called */
        }
        size_t used = add_text(line, 0, "  ", 2);
        used = add_value(line, used, rb_profile_frame_path(frames[i]));
        used = add_text(line, used, ":", 1);
        used = add_number(line, used, numbers[i]);
        used = add_text(line, used, " in ", 4);
        used = add_value(line, used, rb_profile_frame_label(frames[i]));
        line[used++] = '\n';
        ignored = write(fd, line, used);
    }
    (void)ignored; /* the descriptor takes what it takes */
}

static void on_stack_signal(int number)
{
    int saved_errno = errno;
    if (pthread_equal(pthread_self(), target.main)) {
        sp__rb_write_stack(target.fd);
    } else {
        (void)pthread_kill(target.main, number);
    }
    errno = saved_errno;
}

int sp__rb_stacks_offer(int signal_number, int fd)
{
    struct sigaction action = {.sa_handler = on_stack_signal,
                               .sa_flags = SA_RESTART | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    target.main = pthread_self();
    target.fd = fd;
    return sigaction(signal_number, &action, NULL);
}
