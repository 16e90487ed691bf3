/* What the clocks of a machine show, and how long it lets its programs wait.
 *
 * Steps come in as arguments, in this order: "show", "sleep SECONDS", "until SECONDS" (since 1970), "alarm
 * SECONDS", "watch SECONDS"; a line goes out for each "show" and "watch". Always true: what several ways of
 * asking show is compared here; the numbers are for the test to judge. */
#include "check.h"
#include <signal.h>
#include <sys/time.h>
#include <x86intrin.h>

static int64_t raw_ns(int clock) {
    struct timespec t;
    if (raw(SYS_clock_gettime, clock, &t) != 0)
        abort();
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* A clock, asked through the vDSO and by a system call. */
static long long both_ns(int clock) {
    int64_t before = raw_ns(clock), between = clock_ns(clock), after = raw_ns(clock);
    if (before > between || between > after) {
        say("clock %d differs: %lld %lld %lld", clock, (long long)before, (long long)between, (long long)after);
        exit(1);
    }
    return between;
}

static long long day_us(void) {
    struct timeval a, b;
    if (gettimeofday(&a, NULL) != 0 || raw(SYS_gettimeofday, &b, NULL) != 0 || time(NULL) != b.tv_sec)
        abort();
    return b.tv_sec * INT64_C(1000000) + b.tv_usec;
}

static void show(void) {
    say("realtime %lld coarse %lld tai %lld day %lld000 monotonic %lld raw %lld boottime %lld tsc %llu cpu %lld",
        both_ns(CLOCK_REALTIME), both_ns(CLOCK_REALTIME_COARSE), both_ns(CLOCK_TAI), day_us(),
        both_ns(CLOCK_MONOTONIC), both_ns(CLOCK_MONOTONIC_RAW), both_ns(CLOCK_BOOTTIME),
        (unsigned long long)__rdtsc(), both_ns(CLOCK_PROCESS_CPUTIME_ID));
}

static void on_alarm(int signal) { (void)signal; }

static void wait_alarm(int64_t secs) {
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {.it_value = {secs, 0}}, left;
    sigaction(SIGALRM, &action, NULL);
    if (setitimer(ITIMER_REAL, &timer, NULL) != 0 || getitimer(ITIMER_REAL, &left) != 0)
        abort();
    if (left.it_value.tv_sec > secs || left.it_value.tv_sec < secs - 1)
        abort();
    pause();
}

/* Look at two clocks until so much time has passed; tell when the calendar was set, and by how much. */
static void watch(int64_t secs) {
    int64_t end = clock_ns(CLOCK_MONOTONIC) + secs * INT64_C(1000000000);
    int64_t last = clock_ns(CLOCK_REALTIME), now;
    do {
        int64_t realtime = clock_ns(CLOCK_REALTIME);
        now = clock_ns(CLOCK_MONOTONIC);
        if (realtime < last || realtime > last + 1000000)
            say("set monotonic %lld by %lld", (long long)now, (long long)(realtime - last));
        last = realtime;
    } while (now < end);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "show") == 0) {
            show();
            continue;
        }
        const char *step = argv[i];
        int64_t secs = i + 1 < argc ? atoll(argv[++i]) : 0;
        struct timespec until = {secs, 0};
        if (strcmp(step, "sleep") == 0)
            pass_time(secs * 1000000000);
        else if (strcmp(step, "until") == 0)
            say("until: %d", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL));
        else if (strcmp(step, "alarm") == 0)
            wait_alarm(secs);
        else if (strcmp(step, "watch") == 0)
            watch(secs);
        else
            abort();
    }
    return 0;
}
