/* A wall clock that is wrong, for LD_PRELOAD: TORTURE_CLOCK says how. The monotonic clocks stay right. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    static unsigned calls;
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    const char *how = getenv("TORTURE_CLOCK");
    if (result != 0 || how == NULL || clock != CLOCK_REALTIME)
        return result;
    if (strcmp(how, "steps") == 0)
        time->tv_sec += (__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) % 2) ? 3600 : -3600;
    else if (strcmp(how, "frozen") == 0)
        *time = (struct timespec){.tv_sec = 1700000000, .tv_nsec = 0};
    else if (strcmp(how, "1960") == 0)
        time->tv_sec = -315619200;
    else if (strcmp(how, "2300") == 0)
        time->tv_sec = 10413792000;
    return result;
}
