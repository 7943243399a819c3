/* What the system can do: spawn_limit COUNT AT_A_TIME PROGRAM [ARGUMENT...]

   Starts the program COUNT times and reaps it, never more than AT_A_TIME at once, and nothing else;
   its output is thrown away. Prints the seconds that took, and the CPU seconds of this process. */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <fcntl.h>

extern char **environ;

static double seconds(long whole, double rest) { return whole + rest; }

static double now(void) {
    struct timespec it;
    clock_gettime(CLOCK_MONOTONIC, &it);
    return seconds(it.tv_sec, it.tv_nsec / 1e9);
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int count = atoi(argv[1]), at_a_time = atoi(argv[2]), running = 0;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    double began = now();
    for (int started = 0; started < count || running;) {
        if (started < count && running < at_a_time) {
            pid_t pid;
            if (posix_spawn(&pid, argv[3], &actions, NULL, argv + 3, environ)) return 1;
            started++;
            running++;
        } else {
            if (waitpid(-1, NULL, 0) < 0) return 1;
            running--;
        }
    }
    double took = now() - began;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%f %f\n", took,
           seconds(usage.ru_utime.tv_sec, usage.ru_utime.tv_usec / 1e6) +
               seconds(usage.ru_stime.tv_sec, usage.ru_stime.tv_usec / 1e6));
    return 0;
}
