/* The least that starting costs: spawn COUNT WIDTH PROGRAM [ARGUMENT]...
 * Starts a program COUNT times, WIDTH at once, and reaps it. Says when it began and how long it
 * took, in nanoseconds. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long long now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv)
{
    int count = atoi(argv[1]), width = atoi(argv[2]), running = 0;
    long long at = now(CLOCK_REALTIME), began = now(CLOCK_MONOTONIC);
    pid_t pid;

    (void)argc;
    for (int started = 0; started < count; started++) {
        if (running == width) {
            wait(NULL);
            running--;
        }
        if (posix_spawn(&pid, argv[3], NULL, NULL, argv + 3, environ))
            return 1;
        running++;
    }
    while (wait(NULL) > 0)
        ;
    printf("%lld %lld\n", at, now(CLOCK_MONOTONIC) - began);
    return 0;
}
