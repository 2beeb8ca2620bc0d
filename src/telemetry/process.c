/* SPDX-License-Identifier: MIT */
/*
 * What /proc says of this process and its descriptors. What cannot be read counts as 0 or
 * not known: metrics without it are better than none.
 */
#include "telemetry/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "worker/vitals.h"

static double seconds_of(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static uint64_t read_virtual_pages(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%llu", &pages) != 1) {
            pages = 0;
        }
        (void)fclose(file);
    }
    return pages;
}

/* Ticks since boot are Unix time once it is known when that was. */
static double read_start(uint64_t ticks)
{
    struct timespec boot;
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    double booted_s =
        (double)(now.tv_sec - boot.tv_sec) + (double)(now.tv_nsec - boot.tv_nsec) / 1e9;
    double start_s = booted_s + (double)ticks / (double)sysconf(_SC_CLK_TCK);
    return (double)(uint64_t)(start_s * 100.0) / 100.0;
}

int64_t sp__process_fds(int pid)
{
    char path[32];
    int64_t count = -1; /* the folder's own descriptor is one of this process */
    (void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return -1;
    }
    count += pid != (int)getpid();
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(folder);
    return count;
}

void sp__process_facts_read(struct process_facts *ret)
{
    struct rusage usage;
    struct rlimit limit;
    struct vitals vitals;
    *ret = (struct process_facts){0};
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        ret->cpu_s = seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        ret->fds_max = limit.rlim_cur;
    }
    if (sp__vitals_read((int)getpid(), &vitals)) {
        ret->rss_bytes = vitals.rss_bytes;
        ret->start_s = read_start(vitals.start);
    }
    ret->virtual_bytes = read_virtual_pages() * (uint64_t)sysconf(_SC_PAGESIZE);
    int64_t fds = sp__process_fds((int)getpid());
    ret->fds = fds > 0 ? (uint64_t)fds : 0;
}
