/* Reading the clock while signals come, with addresses that are none, and at instants far apart.
 *
 * Nanoseconds to sleep between readings may come in; lines go out. Always true: a reading lies between the system
 * calls before and after it, whatever interrupts it; a bad address is a fault of the program's own, as it is in the
 * vDSO, not an error. That all clocks agree is clocks.c. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

static int64_t raw_ns(clockid_t clock) {
    struct timespec now;
    if (raw(SYS_clock_gettime, clock, &now) != 0)
        abort();
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static volatile sig_atomic_t alarms, is_late;
static volatile int64_t latest;

static void on_alarm(int signal) {
    (void)signal;
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (now < latest)
        is_late = 1;
    latest = now;
    alarms++;
}

static void interrupted(void) {
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 300}, {0, 300}};
    setitimer(ITIMER_REAL, &often, NULL);
    int64_t before = 0;
    int goes_back = 0;
    while (alarms < 300) {
        int64_t now = clock_ns(CLOCK_MONOTONIC);
        goes_back |= now < before;
        before = now;
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    say("interrupted: %s, %s", goes_back ? "goes back" : "never goes back", is_late ? "late" : "in order");
}

static sigjmp_buf back;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    say("signal %d at %lx", signal, (unsigned long)info->si_addr & ~0xffful);
    siglongjmp(back, 1);
}

static void bad_addresses(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    static void *volatile bad = (void *)0x40;
    if (sigsetjmp(back, 1) == 0)
        say("clock_gettime: %d", clock_gettime(CLOCK_MONOTONIC, bad));
    if (sigsetjmp(back, 1) == 0)
        say("clock_gettime: %d", clock_gettime(CLOCK_REALTIME_COARSE, bad));
    if (sigsetjmp(back, 1) == 0)
        say("gettimeofday: %d", gettimeofday(bad, NULL));
    if (sigsetjmp(back, 1) == 0)
        say("time: %d", (int)time(bad));
    say("no clock: %ld", got(clock_gettime(12345, &(struct timespec){0})));
    say("no clock: %ld", got(clock_gettime(8 + 3, &(struct timespec){0})) >= -EINVAL ? 0l : 1l);
}

static void everywhere(int count, char **durations) {
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    int is_right = 1;
    for (int i = 0; i <= count; i++) {
        for (unsigned c = 0; c < sizeof clocks / sizeof *clocks; c++) {
            int64_t before = raw_ns(clocks[c]);
            struct timespec now;
            clock_gettime(clocks[c], &now);
            is_right &= now.tv_nsec >= 0 && now.tv_nsec < 1000000000;
            int64_t ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
            is_right &= before <= ns && ns <= raw_ns(clocks[c]);
        }
        int64_t before = raw_ns(CLOCK_REALTIME);
        struct timeval day;
        gettimeofday(&day, NULL);
        is_right &= day.tv_usec >= 0 && day.tv_usec < 1000000;
        int64_t us = day.tv_sec * INT64_C(1000000) + day.tv_usec;
        is_right &= before / 1000 <= us && us <= raw_ns(CLOCK_REALTIME) / 1000;
        before = raw_ns(CLOCK_REALTIME_COARSE);
        time_t stored, seconds = time(&stored);
        is_right &= seconds == stored && before / 1000000000 <= seconds;
        is_right &= seconds <= raw_ns(CLOCK_REALTIME) / 1000000000;
        if (i < count)
            pass_time(atoll(durations[i]));
    }
    say("everywhere: %s", is_right ? "right" : "wrong");
}

int main(int argc, char **argv) {
    interrupted();
    bad_addresses();
    everywhere(argc - 1, argv + 1);
    return 0;
}
