/* bare_start HOW DESCRIPTORS STARTS: starts /bin/true that often, one after the other, from a process that has
 * so many further descriptors open, and writes the median of start + exec + exit + reap in nanoseconds.
 * HOW: vfork (vfork and execve, nothing else) or spawn (posix_spawn). What benches/descriptors.rs measures against. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static unsigned long long now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (unsigned long long)ts.tv_sec * 1000000000ull + (unsigned long long)ts.tv_nsec;
}

static int compare(const void *a, const void *b) {
    unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    if (argc != 4) return 111;
    int spawn = !strcmp(argv[1], "spawn"), descriptors = atoi(argv[2]), starts = atoi(argv[3]);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < descriptors; i++)
        if (fcntl(null, F_DUPFD_CLOEXEC, 3) < 0) return 112;
    unsigned long long *times = calloc((size_t)starts, sizeof *times);
    char *words[] = { "true", NULL };
    for (int i = 0; i < starts; i++) {
        unsigned long long began = now();
        pid_t pid;
        if (spawn) {
            if (posix_spawn(&pid, "/bin/true", NULL, NULL, words, environ)) return 113;
        } else {
            pid = vfork();
            if (pid == 0) {
                execve("/bin/true", words, environ);
                _exit(127);
            }
        }
        int status;
        if (waitpid(pid, &status, 0) != pid || status != 0) return 114;
        times[i] = now() - began;
    }
    qsort(times, (size_t)starts, sizeof *times, compare);
    printf("%llu\n", times[starts / 2]);
    return 0;
}
