/* SPDX-License-Identifier: MIT */
/*
 * What snakepit does, on real input, visibly: `make demo`.
 *
 *     demo [FOLDER]      FOLDER is this repository; default: here
 *
 * One pit with two pools of Python workers: "words" runs the plain functions of
 * wordcount.py, "tools" the showcase. Five sections do work and check what comes back;
 * the last closes the pit and asks the kernel whether any process is left. Whatever is
 * wrong is said and counted, and the exit status is 0 only when nothing was.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <snakepit/snakepit.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "demo_processes.h"

enum {
    WORKERS = 4, /* in each pool */
    FILES_MAX = 200,
    PATH_BYTES = 1024,
    ROWS = 200000,
    CALLS = 1000,
    TOP_WORDS = 10,
    LETTERS_LEAST = 4,
    BAR_WIDTH = 40
};

static int problems;

SP_PRINTF(1, 2)
static void wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("  WRONG: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    problems++;
}

static void failed(const char *what, const sp_error *err)
{
    wrong("%s: %s: %s", what, sp_error_name(err->code), err->message);
    if (err->worker_stderr != NULL) {
        printf("%s\n", err->worker_stderr);
    }
}

static void heading(int number, const char *text)
{
    printf("\n%d. %s\n", number, text);
    for (size_t i = 0; i < strlen(text) + 3; i++) {
        putchar('-');
    }
    putchar('\n');
    fflush(stdout);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_bar(double share, int width)
{
    int full = (int)(share * width + 0.5);
    for (int i = 0; i < width; i++) {
        fputs(i < full ? "#" : ".", stdout);
    }
}

/* ---- 1. words ---- */

struct file {
    struct words *words;
    char path[PATH_BYTES];
    int count;
    int different;
    int pid;
};

struct words {
    struct file files[FILES_MAX];
    int files_count;
    int open;
    json_t *sum; /* word -> how often, over all files */
};

static void find_documents(struct words *words, const char *folder, int is_deep)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[PATH_BYTES];
        size_t length = strlen(entry->d_name);
        int n = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof path || entry->d_name[0] == '.') {
            continue;
        }
        if (entry->d_type == DT_DIR && is_deep) {
            find_documents(words, path, 1);
        } else if (length > 3 && strcmp(entry->d_name + length - 3, ".md") == 0 &&
                   words->files_count < FILES_MAX) {
            struct file *file = &words->files[words->files_count++];
            *file = (struct file){.words = words};
            memcpy(file->path, path, sizeof path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static void on_counted(const sp_reply *reply, void *user_data)
{
    struct file *file = user_data;
    file->words->open--;
    if (reply->error != NULL) {
        failed(file->path, reply->error);
        return;
    }
    json_t *counts;
    json_t *answer = json_loads(reply->result->json, 0, NULL);
    if (json_unpack(answer, "{s:i,s:i,s:o}", "words", &file->count, "different",
                    &file->different, "counts", &counts) != 0) {
        wrong("%s: an answer without counts", file->path);
    } else {
        const char *word;
        json_t *n;
        json_object_foreach (counts, word, n) {
            json_int_t before =
                json_integer_value(json_object_get(file->words->sum, word));
            json_object_set_new(file->words->sum, word,
                                json_integer(before + json_integer_value(n)));
        }
    }
    file->pid = reply->result->worker_pid;
    json_decref(answer);
}

struct ranked {
    const char *word;
    json_int_t count;
};

static int by_count(const void *left, const void *right)
{
    const struct ranked *a = left;
    const struct ranked *b = right;
    return a->count != b->count ? (a->count < b->count ? 1 : -1)
                                : strcmp(a->word, b->word);
}

static void print_top(json_t *sum)
{
    const char *word;
    json_t *n;
    size_t count = 0;
    struct ranked *all = calloc(json_object_size(sum) + 1, sizeof *all);
    if (all == NULL) {
        wrong("no memory for the words");
        return;
    }
    json_object_foreach (sum, word, n) {
        all[count++] = (struct ranked){word, json_integer_value(n)};
    }
    qsort(all, count, sizeof *all, by_count);
    printf("\n  most frequent of %zu different words with %d letters or more:\n", count,
           LETTERS_LEAST);
    for (size_t i = 0; i < count && i < TOP_WORDS; i++) {
        printf("  %6lld  %-12s ", (long long)all[i].count, all[i].word);
        print_bar((double)all[i].count / (double)all[0].count, 30);
        printf("\n");
    }
    if (count < TOP_WORDS) {
        wrong("only %zu words", count);
    }
    free(all);
}

static void print_files(const struct words *words, double seconds)
{
    long total = 0;
    int workers = 0;
    for (int i = 0; i < words->files_count; i++) {
        const struct file *file = &words->files[i];
        int is_new = 1;
        for (int j = 0; j < i; j++) {
            is_new = is_new && words->files[j].pid != file->pid;
        }
        workers += is_new;
        total += file->count;
        printf("  %7d words, %5d different, worker %-7d %s\n", file->count,
               file->different, file->pid, file->path);
    }
    printf("  %7ld words in %d files, counted by %d workers in %.0f ms\n", total,
           words->files_count, workers, seconds * 1000);
}

static void count_words(sp_pit *pit, const char *folder)
{
    static struct words words;
    char path[PATH_BYTES];
    sp_call_options options = {.size = sizeof options, .pool = "words"};
    heading(1, "Word statistics of this repository's documents, in parallel");
    words.sum = json_object();
    find_documents(&words, folder, 0);
    snprintf(path, sizeof path, "%s/docs", folder);
    find_documents(&words, path, 1);
    double began_s = now_s();
    for (int i = 0; i < words.files_count; i++) {
        sp_error err = {0};
        json_t *args =
            json_pack("{s:s,s:i}", "path", words.files[i].path, "least", LETTERS_LEAST);
        char *text = json_dumps(args, JSON_COMPACT);
        int rc = sp_call_start(pit, "count_file", sp_text(text), &options, on_counted,
                               &words.files[i], NULL, &err);
        if (rc == 0) {
            words.open++;
        } else {
            failed(words.files[i].path, &err);
        }
        free(text);
        json_decref(args);
        sp_error_clear(&err);
    }
    while (words.open > 0 && sp_pit_dispatch(pit, SP_UNLIMITED, NULL) >= 0) {
    }
    print_files(&words, now_s() - began_s);
    if (words.files_count == 0) {
        wrong("no documents in %s", folder);
    } else {
        print_top(words.sum);
    }
    json_decref(words.sum);
}

/* ---- 2. a large file, streamed ---- */

struct dataset {
    const char *path;
    double mean; /* of the column "amount", as written */
    int is_terminal;
    int told; /* tenths that have been printed, without a terminal */
    int is_final;
    long rows;
};

static int write_rows(struct dataset *dataset)
{
    static const char *const regions[] = {"north", "east", "south", "west"};
    FILE *file = fopen(dataset->path, "we");
    if (file == NULL) {
        wrong("%s: %s", dataset->path, strerror(errno));
        return -1;
    }
    unsigned long long cents_sum = 0;
    fprintf(file, "id,region,amount,rating\n");
    for (unsigned i = 0; i < ROWS; i++) {
        unsigned cents = (i * 7919u + 13u) % 100000u;
        cents_sum += cents;
        fprintf(file, "%u,%s,%u.%02u,%u\n", i, regions[i % 4], cents / 100, cents % 100,
                1 + i * 31 % 5);
    }
    long size = ftell(file);
    if (fclose(file) != 0) {
        wrong("%s: %s", dataset->path, strerror(errno));
        return -1;
    }
    dataset->mean = (double)cents_sum / 100.0 / ROWS;
    printf("  wrote %s: %d rows, %.1f MB\n", dataset->path, ROWS, (double)size / 1e6);
    return 0;
}

static void show_progress(struct dataset *dataset, double percent, long rows)
{
    if (dataset->is_terminal) {
        printf("\r  [");
        print_bar(percent / 100, BAR_WIDTH);
        printf("] %5.1f %%  %ld rows", percent, rows);
        fflush(stdout);
    } else if ((int)(percent / 10) > dataset->told) {
        dataset->told = (int)(percent / 10);
        printf("  %5.1f %%  %ld rows\n", percent, rows);
    }
}

static void check_statistics(struct dataset *dataset, json_t *chunk)
{
    double mean = NAN;
    double least = NAN;
    double most = NAN;
    double rate = 0;
    if (dataset->is_terminal) {
        printf("\n");
    }
    if (json_unpack(chunk, "{s:F,s:{s:{s:{s:F,s:F,s:F}}}}", "rows_per_second", &rate,
                    "final_stats", "columns", "amount", "mean", &mean, "min", &least,
                    "max", &most) != 0) {
        wrong("the last chunk has no statistics of the column");
        return;
    }
    printf("  column amount: mean %.4f, from %.2f to %.2f; %.0f rows/s\n", mean, least,
           most, rate);
    if (fabs(mean - dataset->mean) > 1e-6 || dataset->rows != ROWS) {
        wrong("%d rows with the mean %.6f were written", ROWS, dataset->mean);
    }
}

static int on_chunk(const sp_chunk *chunk, void *user_data)
{
    struct dataset *dataset = user_data;
    double percent = 0;
    json_int_t rows = 0;
    json_t *value = json_loadb(chunk->data, chunk->size, 0, NULL);
    if (json_unpack(value, "{s:F,s:I,s:b}", "progress_percent", &percent,
                    "processed_rows", &rows, "is_final", &dataset->is_final) != 0) {
        wrong("a chunk that is no progress report");
        json_decref(value);
        return 1; /* stops the stream */
    }
    dataset->rows = (long)rows;
    show_progress(dataset, percent, dataset->rows);
    if (dataset->is_final) {
        check_statistics(dataset, value);
    }
    json_decref(value);
    return 0;
}

static void stream_dataset(sp_pit *pit)
{
    char folder[] = "/tmp/snakepit-demo-XXXXXX";
    char path[sizeof folder + 16];
    struct dataset dataset = {.path = path, .is_terminal = isatty(STDOUT_FILENO)};
    sp_call_options options = {.size = sizeof options, .pool = "tools"};
    sp_error err = {0};
    heading(2, "A CSV file of 200,000 rows, streamed through process_large_dataset");
    if (mkdtemp(folder) == NULL) {
        wrong("%s: %s", folder, strerror(errno));
        return;
    }
    snprintf(path, sizeof path, "%s/rows.csv", folder);
    if (write_rows(&dataset) == 0) {
        json_t *args = json_pack("{s:s,s:i}", "file_path", path, "chunk_size", 2000);
        char *text = json_dumps(args, JSON_COMPACT);
        if (sp_execute_stream(pit, "process_large_dataset", sp_text(text), &options,
                              on_chunk, &dataset, &err) < 0) {
            failed("process_large_dataset", &err);
        } else if (!dataset.is_final) {
            wrong("the stream ended without its last chunk");
        }
        free(text);
        json_decref(args);
    }
    unlink(path);
    rmdir(folder);
    sp_error_clear(&err);
}

/* ---- 3. many calls at once ---- */

struct timed_call {
    struct burst *burst;
    int number;
    double started_s;
    double took_ms;
};

struct burst {
    struct timed_call calls[CALLS];
    int open;
    int right;
};

static void on_doubled(const sp_reply *reply, void *user_data)
{
    struct timed_call *call = user_data;
    struct burst *burst = call->burst;
    char expected[64];
    call->took_ms = (now_s() - call->started_s) * 1000;
    burst->open--;
    snprintf(expected, sizeof expected, "{\"result\":%d}", 2 * call->number);
    if (reply->error != NULL) {
        failed("add", reply->error);
    } else {
        burst->right += strcmp(reply->result->json, expected) == 0;
    }
}

static int by_time(const void *left, const void *right)
{
    double a = ((const struct timed_call *)left)->took_ms;
    double b = ((const struct timed_call *)right)->took_ms;
    return a < b ? -1 : a > b;
}

static void call_many(sp_pit *pit)
{
    static struct burst burst;
    sp_call_options options = {.size = sizeof options, .pool = "tools"};
    heading(3, "1,000 calls at the same time");
    double began_s = now_s();
    for (int i = 0; i < CALLS; i++) {
        struct timed_call *call = &burst.calls[i];
        char args[64];
        sp_error err = {0};
        *call = (struct timed_call){.burst = &burst, .number = i, .started_s = now_s()};
        snprintf(args, sizeof args, "{\"a\":%d,\"b\":%d}", i, i);
        if (sp_call_start(pit, "add", sp_text(args), &options, on_doubled, call, NULL,
                          &err) < 0) {
            failed("add", &err);
        } else {
            burst.open++;
        }
        sp_error_clear(&err);
    }
    while (burst.open > 0 && sp_pit_dispatch(pit, SP_UNLIMITED, NULL) >= 0) {
    }
    double seconds = now_s() - began_s;
    qsort(burst.calls, CALLS, sizeof burst.calls[0], by_time);
    printf("  %d of %d answers are right; %.0f calls/s over %d workers\n", burst.right,
           CALLS, CALLS / seconds, WORKERS);
    printf("  milliseconds: half within %.1f, 90 %% within %.1f, 99 %% within %.1f, "
           "all within %.1f\n",
           burst.calls[CALLS / 2].took_ms, burst.calls[CALLS * 9 / 10].took_ms,
           burst.calls[CALLS * 99 / 100].took_ms, burst.calls[CALLS - 1].took_ms);
    if (burst.right != CALLS) {
        wrong("%d answers are not", CALLS - burst.right);
    }
}

/* ---- 4. a session ---- */

static void remember(sp_pit *pit)
{
    static const struct {
        const char *session, *tool, *args, *expected;
    } steps[] = {
        {"ann", "set_counter", "{\"value\":40}", "{\"value\":40}"},
        {"ann", "increment_counter", "{}", "{\"value\":41}"},
        {"bob", "increment_counter", "{}", "{\"value\":1}"},
        {"ann", "increment_counter", "{}", "{\"value\":42}"},
        {"ann", "get_counter", "{}", "{\"value\":42}"},
        {"bob", "get_counter", "{}", "{\"value\":1}"},
    };
    sp_call_options options = {.size = sizeof options, .pool = "tools"};
    heading(4, "Sessions that remember");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        sp_result result = {0};
        sp_error err = {0};
        if (sp_execute_in_session(pit, steps[i].session, steps[i].tool,
                                  sp_text(steps[i].args), &options, &result,
                                  &err) < 0) {
            failed(steps[i].tool, &err);
        } else {
            printf("  %s %-18s %-14s -> %-14s worker %d\n", steps[i].session,
                   steps[i].tool, steps[i].args, result.json, result.worker_pid);
            if (strcmp(result.json, steps[i].expected) != 0) {
                wrong("expected %s", steps[i].expected);
            }
        }
        sp_result_clear(&result);
        sp_error_clear(&err);
    }
}

/* ---- 5. a failure ---- */

static void expect_failure(sp_pit *pit, const char *tool, const char *args, int code)
{
    sp_call_options options = {.size = sizeof options, .pool = "tools"};
    sp_result result = {0};
    sp_error err = {0};
    int rc = sp_execute(pit, tool, sp_text(args), &options, &result, &err);
    if (rc != code) {
        wrong("%s ended with %s", tool, sp_error_name(rc));
    }
    printf("  %s(%s)\n", tool, args);
    printf("    code       %s: %s\n", sp_error_name(err.code), err.message);
    printf("    user code  %s\n",
           err.executed == SP_EXECUTED_NO ? "did not run" : "ran");
    printf("    what to do %s\n", sp_error_hint(err.code));
    if (err.remote_type != NULL) {
        printf("    type       %s\n    message    %s\n", err.remote_type,
               err.remote_message != NULL ? err.remote_message : "");
    }
    for (char *line = err.remote_trace; line != NULL && *line != '\0';) {
        size_t n = strcspn(line, "\n");
        printf("    | %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    if (code == SP_ERR_REMOTE &&
        (err.remote_type == NULL || err.remote_trace == NULL)) {
        wrong("the exception's type or traceback is missing");
    }
    sp_result_clear(&result);
    sp_error_clear(&err);
}

static void fail(sp_pit *pit)
{
    heading(5, "A tool that raises, and what the caller sees");
    expect_failure(pit, "error_demo", "{\"error_type\":\"value\"}", SP_ERR_REMOTE);
    expect_failure(pit, "ad", "{\"a\":1}", SP_ERR_NO_TOOL);
}

/* ---- 6. the end ---- */

static void close_and_prove(sp_pit *pit)
{
    static struct processes seen;
    static struct processes children;
    heading(6, "No process is left");
    processes_list(&seen);
    for (int i = 0; i < seen.count; i++) {
        printf("  %s%s %d", i % 4 == 0 && i > 0 ? "\n  " : "", seen.all[i].name,
               seen.all[i].pid);
    }
    if (seen.count < 2 * WORKERS) {
        wrong("only %d processes were found", seen.count);
    }
    double began_s = now_s();
    sp_pit_close(pit);
    int left = processes_left(&seen);
    int now = processes_list(&children);
    printf("\n  closed in %.0f ms; of %d processes %d are left, and %d children\n",
           (now_s() - began_s) * 1000, seen.count, left, now);
    if (left != 0 || now != 0) {
        wrong("the pit left processes behind");
    }
}

static sp_pit *open_pit(const char *folder)
{
    char adapter[PATH_BYTES];
    sp_error err = {0};
    sp_pit *pit = NULL;
    snprintf(adapter, sizeof adapter, "%s/examples/adapters/wordcount.py", folder);
    sp_pool_options pools[] = {
        {.size = sizeof pools[0],
         .name = "words",
         .adapter = adapter,
         .workers = WORKERS},
        {.size = sizeof pools[0],
         .name = "tools",
         .adapter = "showcase",
         .workers = WORKERS,
         .queue_max = 2 * CALLS,
         .affinity = SP_AFFINITY_STRICT_QUEUE},
    };
    sp_pit_options options = {.size = sizeof options, .pools = pools, .pools_count = 2};
    double began_s = now_s();
    if (sp_pit_open(&options, &pit, &err) < 0 || sp_pit_await_ready(pit, 0, &err) < 0) {
        failed("start", &err);
        sp_pit_close(pit);
        pit = NULL;
    } else {
        sp_worker_info worker = {0};
        sp_pool_workers_get(pit, "tools", &worker, 1, NULL);
        printf("snakepit %s: %d workers, %s, ready after %.0f ms\n", sp_version(),
               2 * WORKERS, worker.runtime, (now_s() - began_s) * 1000);
    }
    sp_error_clear(&err);
    return pit;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    double began_s = now_s();
    sp_pit *pit = open_pit(folder);
    if (pit == NULL) {
        return 1;
    }
    count_words(pit, folder);
    stream_dataset(pit);
    call_many(pit);
    remember(pit);
    fail(pit);
    close_and_prove(pit);
    printf("\n%s after %.1f s\n", problems == 0 ? "Everything is right" : "Not right",
           now_s() - began_s);
    return problems == 0 ? 0 : 1;
}
