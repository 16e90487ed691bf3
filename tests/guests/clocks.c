/* Every way to ask for the time or the processor, and whether the answers agree.
 *
 * Nothing or "poll SECONDS" comes in; lines go out. Always true: an answer that was taken between two
 * others must lie between them. The vDSO's functions are called through the loader's own list of
 * libraries, as programs that look for them do. */
#include "check.h"
#include <dlfcn.h>
#include <sched.h>
#include <sys/time.h>
#include <x86intrin.h>

static void *vdso(const char *name) {
    void *library = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *function = library ? dlvsym(library, name, "LINUX_2.6") : NULL;
    if (!function) {
        say("%s: %s", name, dlerror());
        exit(1);
    }
    return function;
}

static int64_t raw_ns(int clock) {
    struct timespec t;
    if (raw(SYS_clock_gettime, clock, &t) != 0)
        abort();
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void between(const char *name, int64_t before, int64_t now, int64_t after, int64_t unit) {
    say("%s: %s", name, now >= before / unit && now <= after / unit ? "agrees" : "differs");
}

static void same_time(void) {
    int (*gettime)(clockid_t, struct timespec *) = vdso("__vdso_clock_gettime");
    int (*getday)(struct timeval *, void *) = vdso("__vdso_gettimeofday");
    time_t (*gettime1)(time_t *) = vdso("__vdso_time");
    const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME, CLOCK_TAI,
                          CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        struct timespec t, r;
        char name[64];
        snprintf(name, sizeof name, "clock %d", clocks[i]);
        int64_t before = raw_ns(clocks[i]);
        int64_t libc = clock_ns(clocks[i]);
        int64_t middle = raw_ns(clocks[i]);
        if (gettime(clocks[i], &t) != 0)
            abort();
        int64_t after = raw_ns(clocks[i]);
        between(name, before, libc, middle, 1);
        between(name, middle, t.tv_sec * INT64_C(1000000000) + t.tv_nsec, after, 1);
        long result = raw(SYS_clock_getres, clocks[i], &r);
        say("resolution %ld: %ld %ld", result, (long)r.tv_sec, r.tv_nsec);
    }
    struct timeval tv;
    time_t seconds;
    int64_t a, b;
    a = raw_ns(CLOCK_REALTIME), gettimeofday(&tv, NULL), b = raw_ns(CLOCK_REALTIME);
    between("gettimeofday", a, tv.tv_sec * INT64_C(1000000) + tv.tv_usec, b, 1000);
    a = raw_ns(CLOCK_REALTIME), getday(&tv, NULL), b = raw_ns(CLOCK_REALTIME);
    between("gettimeofday of the vDSO", a, tv.tv_sec * INT64_C(1000000) + tv.tv_usec, b, 1000);
    a = raw_ns(CLOCK_REALTIME), raw(SYS_gettimeofday, &tv, NULL), b = raw_ns(CLOCK_REALTIME);
    between("gettimeofday, raw", a, tv.tv_sec * INT64_C(1000000) + tv.tv_usec, b, 1000);
    /* time() natively shows the last tick, so that it may be a few milliseconds behind. */
    a = raw_ns(CLOCK_REALTIME) - 20000000, seconds = time(NULL), b = raw_ns(CLOCK_REALTIME);
    between("time", a, seconds, b, 1000000000);
    a = raw_ns(CLOCK_REALTIME) - 20000000, seconds = gettime1(NULL), b = raw_ns(CLOCK_REALTIME);
    between("time of the vDSO", a, seconds, b, 1000000000);
    a = raw_ns(CLOCK_REALTIME) - 20000000, seconds = raw(SYS_time, NULL), b = raw_ns(CLOCK_REALTIME);
    between("time, raw", a, seconds, b, 1000000000);
    const int coarse[] = {CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE};
    for (int i = 0; i < 2; i++) {
        int fine = i == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
        a = raw_ns(fine) - 20000000, b = clock_ns(coarse[i]);
        between("coarse clock", a, b, raw_ns(fine), 1);
    }
    struct timespec t;
    say("unknown clocks = %ld %ld %ld", raw(SYS_clock_gettime, 10, &t), raw(SYS_clock_gettime, 99, &t),
        raw(SYS_clock_getres, 99, &t));
    say("of the vDSO = %d", gettime(99, &t));
}

static void same_processor(void) {
    long (*getcpu1)(unsigned *, unsigned *, void *) = vdso("__vdso_getcpu");
    cpu_set_t one;
    unsigned a = 77, b = 77, c = 77, node;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    say("affinity = %ld", got(sched_setaffinity(0, sizeof one, &one)));
    raw(SYS_getcpu, &a, &node, NULL), getcpu1(&b, NULL, NULL), getcpu(&c, &node);
    int d = sched_getcpu();
    say("getcpu: %s", a == b && b == c && (int)c == d ? "agrees" : "differs");
}

static void never_backwards(void) {
    const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE,
                          CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        int64_t last = 0;
        int backwards = 0;
        for (int n = 0; n < 1000; n++) {
            int64_t now = n % 3 == 0 ? raw_ns(clocks[i]) : clock_ns(clocks[i]);
            backwards += now < last;
            last = now;
            if (n % 250 == 0)
                pass_time(100000);
        }
        say("clock %d went backwards %d times", clocks[i], backwards);
    }
}

/* The counter at an instant that is known to some microseconds. */
static void instant(uint64_t *ticks, int64_t *ns) {
    for (;;) {
        int64_t before = raw_ns(CLOCK_MONOTONIC_RAW);
        *ticks = __rdtsc();
        *ns = raw_ns(CLOCK_MONOTONIC_RAW);
        if (*ns - before < 20000)
            return;
    }
}

static void counter(void) {
    uint64_t ticks[3];
    int64_t ns[3];
    unsigned aux;
    for (int i = 0; i < 3; i++) {
        if (i)
            pass_time(30000000);
        instant(&ticks[i], &ns[i]);
    }
    double first = (double)(ticks[1] - ticks[0]) / (ns[1] - ns[0]);
    double second = (double)(ticks[2] - ticks[1]) / (ns[2] - ns[1]);
    say("rdtsc: %s", first > 0 && first / second > 0.99 && first / second < 1.01 ? "agrees" : "differs");
    uint64_t a = __rdtsc(), b = __rdtscp(&aux), c = __rdtsc();
    say("rdtscp: %s", a <= b && b <= c ? "agrees" : "differs");
}

int main(int count, char **words) {
    if (count == 3 && strcmp(words[1], "poll") == 0) {
        int64_t end = clock_ns(CLOCK_REALTIME) + atoll(words[2]) * 1000000000;
        long looks = 1;
        while (clock_ns(CLOCK_REALTIME) < end)
            looks++;
        say("looked more than once: %d", looks > 1);
        return 0;
    }
    same_time();
    same_processor();
    never_backwards();
    counter();
    return 0;
}
