/* Time: the clocks of a guest, and what waits by them.
 *
 * Waits of an hour come in, what the clocks show afterwards goes out. Always true: a wait is so long that a run in which it
 * took real time does not end within the runner's patience; how long calls take in simulated time is the simulator's
 * business up to SLACK. Waits of threads and processes for each other are in threads.c and processes.c. */
#include "check.h"
#include <dlfcn.h>
#include <poll.h>
#include <sys/time.h>
#include <sys/timerfd.h>

static void realtime_start(void) {
    const ShimShmemManager *manager = SHIM(shim_managerSharedMem)();
    int64_t start = SHIM(shim_manager_start_realtime_ns)(manager);
    int64_t expected = start + (int64_t)SHIM(shim_simtime_ns)(), got = clock_ns(CLOCK_REALTIME);
    if (got < expected - SLACK || got > expected + SLACK)
        fails("CLOCK_REALTIME is shim_manager_start_realtime_ns plus shim_simtime_ns", "it is %.6f s off",
              (double)(got - expected) / 1e9);
}

static void simulated_start(void) {
    uint64_t now = SHIM(shim_simtime_ns)();
    expect_true(now < 60 * (uint64_t)SECOND, "the program begins within a minute of the simulation's start",
                "shim_simtime_ns is more than that");
}

static void monotonic(void) {
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW};
    int64_t last[4] = {0};
    for (int round = 0; round < 2000; round++)
        for (int i = 0; i < 4; i++) {
            int64_t now = clock_ns(clocks[i]);
            if (now < last[i])
                fails("no clock goes back", "clock %d went back by %lld ns", clocks[i], (long long)(last[i] - now));
            last[i] = now;
        }
}

typedef int (*vdso_clock_gettime)(clockid_t, struct timespec *);

static void ways_agree(void) {
    void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
    vdso_clock_gettime by_vdso = vdso ? (vdso_clock_gettime)dlsym(vdso, "__vdso_clock_gettime") : NULL;
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
    for (int i = 0; i < 2; i++) {
        struct timespec raw, fast = {0, 0};
        int64_t first = clock_ns(clocks[i]);
        expect("clock_gettime by its number", R(syscall(SYS_clock_gettime, clocks[i], &raw)), 0);
        if (by_vdso)
            expect("clock_gettime of the vDSO", by_vdso(clocks[i], &fast), 0);
        int64_t last = clock_ns(clocks[i]), second = raw.tv_sec * SECOND + raw.tv_nsec;
        int64_t third = by_vdso ? fast.tv_sec * SECOND + fast.tv_nsec : second;
        if (!(first <= second && second <= third && third <= last && last - first <= SLACK))
            fails("readings by the C library, by system call, by the vDSO follow each other within a millisecond",
                  "after the first: %lld, %lld, %lld ns", (long long)(second - first), (long long)(third - first),
                  (long long)(last - first));
    }
    struct timeval tv = {0, 0};
    int64_t first = clock_ns(CLOCK_REALTIME);
    expect("gettimeofday", R(gettimeofday(&tv, NULL)), 0);
    int64_t got = tv.tv_sec * SECOND + tv.tv_usec * 1000;
    expect_true(got > first - 1000 && got <= first + SLACK, "gettimeofday agrees with CLOCK_REALTIME", "it does not");
    int64_t seconds = time(NULL);
    expect_true(seconds >= first / SECOND && seconds <= (first + SECOND) / SECOND, "time agrees with CLOCK_REALTIME",
                "it does not");
}

static void clock_loop(void) {
    int64_t start = clock_ns(CLOCK_MONOTONIC), now = start;
    for (long reads = 0; now - start < 10 * MILLISECOND; reads++) {
        if (reads == 20000000)
            fails("a loop that waits for a clock to show 10 ms more ends", "it does not in %ld readings", reads);
        now = clock_ns(CLOCK_MONOTONIC);
    }
}

static void nap(void) {
    struct timespec wait = span(HOUR);
    int64_t monotonic = clock_ns(CLOCK_MONOTONIC), calendar = clock_ns(CLOCK_REALTIME);
    expect("nanosleep", R(nanosleep(&wait, NULL)), 0);
    expect_span("nanosleep of an hour, by CLOCK_MONOTONIC,", clock_ns(CLOCK_MONOTONIC) - monotonic, HOUR);
    expect_span("nanosleep of an hour, by CLOCK_REALTIME,", clock_ns(CLOCK_REALTIME) - calendar, HOUR);
    wait = span(1);
    monotonic = clock_ns(CLOCK_MONOTONIC);
    expect("nanosleep", R(nanosleep(&wait, NULL)), 0);
    expect_span("nanosleep of a nanosecond", clock_ns(CLOCK_MONOTONIC) - monotonic, 1);
}

static void nap_until(void) {
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
    for (int i = 0; i < 2; i++) {
        int64_t start = clock_ns(clocks[i]);
        struct timespec instant = span(start + HOUR);
        expect("clock_nanosleep until an instant", -clock_nanosleep(clocks[i], TIMER_ABSTIME, &instant, NULL), 0);
        expect_span("clock_nanosleep until an hour later", clock_ns(clocks[i]) - start, HOUR);
        expect("clock_nanosleep until an instant that is past",
               -clock_nanosleep(clocks[i], TIMER_ABSTIME, &instant, NULL), 0);
    }
}

static void poll_timeout(void) {
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    expect("poll of nothing", R(poll(NULL, 0, 3600 * 1000)), 0);
    expect_span("poll of nothing for an hour", clock_ns(CLOCK_MONOTONIC) - start, HOUR);
}

static volatile sig_atomic_t alarms;
static void on_alarm(int signal) { (void)signal, alarms++; }

static void handle(int signal) {
    struct sigaction action = {.sa_handler = on_alarm};
    expect("sigaction", R(sigaction(signal, &action, NULL)), 0);
}

static void alarm_comes(void) {
    struct timespec wait = span(HOUR), rest = {0, 0};
    handle(SIGALRM);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    expect("alarm, where none was set,", R((int)alarm(5)), 0);
    expect("nanosleep that the alarm interrupts", R(nanosleep(&wait, &rest)), -EINTR);
    expect_span("an alarm after 5 s", clock_ns(CLOCK_MONOTONIC) - start, 5 * SECOND);
    expect("the number of alarms", alarms, 1);
    int64_t left = rest.tv_sec * SECOND + rest.tv_nsec;
    expect_true(left <= HOUR - 5 * SECOND + SLACK && left >= HOUR - 5 * SECOND - SLACK,
                "nanosleep tells how much was left: an hour less 5 s", "another time");
}

static void interval_timer(void) {
    struct itimerval every = {{10, 0}, {20, 0}};
    handle(SIGALRM);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    expect("setitimer", R(setitimer(ITIMER_REAL, &every, NULL)), 0);
    for (int i = 0; i < 3; i++) {
        struct timespec wait = span(HOUR);
        expect("nanosleep that the timer interrupts", R(nanosleep(&wait, NULL)), -EINTR);
        expect_span("a timer of 20 s, then of 10 s each,", clock_ns(CLOCK_MONOTONIC) - start, (20 + 10 * i) * SECOND);
    }
    expect("the number of signals", alarms, 3);
}

static void timer_descriptor(void) {
    uint64_t count = 0;
    struct itimerspec every = {{600, 0}, {1800, 0}};
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    int fd = (int)expect_success("timerfd_create", R(timerfd_create(CLOCK_MONOTONIC, 0)));
    expect("timerfd_settime", R(timerfd_settime(fd, 0, &every, NULL)), 0);
    expect("read of a timerfd", R(read(fd, &count, sizeof count)), sizeof count);
    expect_span("a timerfd of half an hour", clock_ns(CLOCK_MONOTONIC) - start, HOUR / 2);
    expect("its count", (long)count, 1);
    struct timespec wait = span(HOUR);
    expect("nanosleep", R(nanosleep(&wait, NULL)), 0);
    expect("read of a timerfd", R(read(fd, &count, sizeof count)), sizeof count);
    expect("its count an hour later", (long)count, 6);
}

static void posix_timer(void) {
    timer_t timer;
    sigset_t set;
    siginfo_t info;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec once = {{0, 0}, {3600, 0}};
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    expect("sigprocmask", R(sigprocmask(SIG_BLOCK, &set, NULL)), 0);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    expect("timer_create", R(timer_create(CLOCK_MONOTONIC, &event, &timer)), 0);
    expect("timer_settime", R(timer_settime(timer, 0, &once, NULL)), 0);
    expect("sigwaitinfo", R(sigwaitinfo(&set, &info)), SIGUSR1);
    expect_span("a timer of an hour", clock_ns(CLOCK_MONOTONIC) - start, HOUR);
    expect("si_code of its signal", info.si_code, SI_TIMER);
}

static uint64_t counter(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void time_stamps(void) {
    uint64_t frequency = SHIM(shim_manager_tsc_frequency_hz)(SHIM(shim_managerSharedMem)());
    struct timespec wait = span(1000 * SECOND);
    uint64_t first = counter();
    expect("nanosleep", R(nanosleep(&wait, NULL)), 0);
    double seconds = (double)(counter() - first) / (double)frequency;
    if (seconds < 999.999 || seconds > 1000.01)
        fails("rdtsc counts 1000 s at shim_manager_tsc_frequency_hz while the guest sleeps for them", "%.6f s", seconds);
}

const struct check time_checks[] = {
    {"time/realtime-start", realtime_start},
    {"time/simulated-start", simulated_start},
    {"time/monotonic", monotonic},
    {"time/ways-agree", ways_agree},
    {"time/clock-loop", clock_loop},
    {"time/sleep", nap},
    {"time/sleep-until", nap_until},
    {"time/poll", poll_timeout},
    {"time/alarm", alarm_comes},
    {"time/itimer", interval_timer},
    {"time/timerfd", timer_descriptor},
    {"time/timer", posix_timer},
    {"time/rdtsc", time_stamps},
    {NULL, NULL},
};
