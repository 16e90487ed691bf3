/* Waits of every kind: how long they take, what they return, what they refuse.
 *
 * The longest time, in nanoseconds, that a wait may take beyond what was asked for comes in; a line
 * for each wait goes out. Always true: no wait ends early, and none is long, because natively it is real. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/time.h>

static int64_t tolerance;
static int64_t began;

static void begin(void) { began = clock_ns(CLOCK_MONOTONIC); }

static void end(const char *name, long result, int64_t expected) {
    int64_t took = clock_ns(CLOCK_MONOTONIC) - began;
    const char *verdict = took < expected               ? "early"
                          : took > expected + tolerance ? "late"
                                                        : "in time";
    say("%s = %ld, %s", name, result, verdict);
}

#define MS INT64_C(1000000)
#define TRY(name, call, expected) (begin(), end(name, call, expected))

static void sleeps(void) {
    struct timespec t = {0, 20 * MS}, left = {7, 7};
    TRY("nanosleep", raw(SYS_nanosleep, &t, &left), 20 * MS);
    say("left untouched: %ld %ld", (long)left.tv_sec, left.tv_nsec);
    const struct timespec odd[] = {{0, 0}, {0, 1}, {-1, 0}, {0, 1000000000}, {0, -1}, {-1, 1000000000}};
    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++)
        TRY("nanosleep odd", raw(SYS_nanosleep, &odd[i], NULL), 0);
    TRY("nanosleep null", raw(SYS_nanosleep, NULL, NULL), 0);

    /* Not the clocks that need a privilege (the two ALARM ones). A thread cannot wait for its own CPU time. */
    const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        int clock = clocks[i];
        struct timespec relative = {0, 5 * MS}, at;
        say("clock %d", clock);
        TRY("relative", raw(SYS_clock_nanosleep, clock, 0, &relative, NULL), 5 * MS);
        begin();
        clock_gettime(clock, &at);
        at.tv_nsec += 5 * MS;
        if (at.tv_nsec >= 1000000000)
            at.tv_nsec -= 1000000000, at.tv_sec++;
        end("absolute", raw(SYS_clock_nanosleep, clock, TIMER_ABSTIME, &at, NULL), 5 * MS);
        int64_t late = clock_ns(clock) - (at.tv_sec * INT64_C(1000000000) + at.tv_nsec);
        say("after its instant: %s", late >= 0 && late <= tolerance ? "yes" : "no");
        at.tv_sec -= 10;
        TRY("in the past", raw(SYS_clock_nanosleep, clock, TIMER_ABSTIME, &at, NULL), 0);
        for (unsigned j = 0; j < sizeof odd / sizeof *odd; j++)
            TRY("odd", raw(SYS_clock_nanosleep, clock, TIMER_ABSTIME, &odd[j], NULL), 0);
        TRY("null", raw(SYS_clock_nanosleep, clock, 0, NULL, NULL), 0);
    }
    const int others[] = {CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
                          CLOCK_MONOTONIC_COARSE,  10, 12, 16, 99, 1 << 30};
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        struct timespec zero = {0, 0};
        say("clock %d = %ld", others[i], raw(SYS_clock_nanosleep, others[i], 0, &zero, NULL));
    }
}

static void polls(void) {
    int file = open("/dev/null", O_RDWR);
    struct pollfd none = {-1, POLLIN, 0}, closed = {77, POLLIN, 0}, ready = {file, POLLIN | POLLOUT, 0};
    struct timespec t = {0, 10 * MS};
    const struct timespec odd[] = {{-1, 0}, {0, 1000000000}, {0, -1}};
    sigset_t empty;
    sigemptyset(&empty);
    TRY("poll nothing", raw(SYS_poll, NULL, 0, 10), 10 * MS);
    TRY("poll at once", raw(SYS_poll, NULL, 0, 0), 0);
    TRY("poll ignored", raw(SYS_poll, &none, 1, 10), 10 * MS);
    TRY("poll closed", raw(SYS_poll, &closed, 1, 10000), 0);
    TRY("poll ready", raw(SYS_poll, &ready, 1, -1), 0);
    say("revents %d %d %d", none.revents, closed.revents, ready.revents);
    TRY("poll null", raw(SYS_poll, NULL, 1, 10), 0);
    TRY("ppoll", raw(SYS_ppoll, NULL, 0, &t, NULL, 0), 10 * MS);
    say("ppoll left %ld %ld", (long)t.tv_sec, t.tv_nsec);
    t = (struct timespec){0, 10 * MS};
    TRY("ppoll with mask", raw(SYS_ppoll, &none, 1, &t, &empty, 8), 10 * MS);
    TRY("ppoll short mask", raw(SYS_ppoll, NULL, 0, &t, &empty, 4), 0);
    for (unsigned i = 0; i < 3; i++)
        TRY("ppoll odd", raw(SYS_ppoll, NULL, 0, &odd[i], NULL, 0), 0);
    close(file);
}

static void selects(void) {
    int file = open("/dev/null", O_RDWR);
    fd_set set, other;
    struct timeval tv = {0, 10000};
    TRY("select nothing", raw(SYS_select, 0, NULL, NULL, NULL, &tv), 10 * MS);
    say("select left %ld %ld", (long)tv.tv_sec, (long)tv.tv_usec);
    TRY("select at once", raw(SYS_select, 0, NULL, NULL, NULL, &tv), 0);
    FD_ZERO(&set);
    FD_SET(file, &set);
    other = set;
    TRY("select ready", raw(SYS_select, file + 1, &set, &other, NULL, NULL), 0);
    say("sets %d %d", FD_ISSET(file, &set) != 0, FD_ISSET(file, &other) != 0);
    FD_ZERO(&set);
    FD_SET(50, &set);
    TRY("select closed", raw(SYS_select, 51, &set, NULL, NULL, NULL), 0);
    TRY("select negative", raw(SYS_select, -1, NULL, NULL, NULL, NULL), 0);
    tv = (struct timeval){0, -1};
    TRY("select odd", raw(SYS_select, 0, NULL, NULL, NULL, &tv), 0);
    tv = (struct timeval){-1, 0};
    TRY("select odd", raw(SYS_select, 0, NULL, NULL, NULL, &tv), 0);
    struct timespec t = {0, 10 * MS};
    FD_ZERO(&set);
    TRY("pselect", raw(SYS_pselect6, 8, &set, NULL, NULL, &t, NULL), 10 * MS);
    say("pselect left %ld %ld", (long)t.tv_sec, t.tv_nsec);
    const struct timespec odd[] = {{-1, 0}, {0, 1000000000}, {0, -1}};
    for (unsigned i = 0; i < 3; i++)
        TRY("pselect odd", raw(SYS_pselect6, 0, NULL, NULL, NULL, &odd[i], NULL), 0);
    close(file);
}

static volatile int alarms;
static void on_alarm(int signal) { alarms += signal == SIGALRM; }

static void timers(void) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval once = {{0, 0}, {0, 20000}}, often = {{0, 10000}, {0, 10000}}, old;
    begin();
    say("setitimer = %ld", got(setitimer(ITIMER_REAL, &once, NULL)));
    say("getitimer = %ld", got(getitimer(ITIMER_REAL, &old)));
    say("running: %d", old.it_value.tv_sec == 0 && old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 20000);
    end("pause", got(pause()), 20 * MS);
    struct timespec wait = {5, 0}, left;
    begin();
    setitimer(ITIMER_REAL, &once, NULL);
    end("nanosleep interrupted", raw(SYS_nanosleep, &wait, &left), 20 * MS);
    int64_t rest = left.tv_sec * INT64_C(1000000000) + left.tv_nsec;
    say("left: %d", rest <= 4981 * MS && rest >= 4980 * MS - tolerance);
    begin();
    setitimer(ITIMER_REAL, &once, NULL);
    end("poll interrupted", raw(SYS_poll, NULL, 0, 5000), 20 * MS);
    begin();
    setitimer(ITIMER_REAL, &once, NULL);
    end("select interrupted", raw(SYS_select, 0, NULL, NULL, NULL, NULL), 20 * MS);
    alarms = 0;
    begin();
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 3; i++)
        pause();
    end("three alarms", alarms, 30 * MS);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, &old);
    say("interval was %ld", (long)old.it_interval.tv_usec);
    TRY("no more alarms", raw(SYS_poll, NULL, 0, 30), 30 * MS);
    say("alarm before: %u", alarm(100));
    say("alarm left: %u", alarm(0));
    say("alarm none: %u", alarm(0));
    struct itimerval bad = {{0, 0}, {0, 1000000}}, worse = {{0, 0}, {-1, 0}};
    say("setitimer odd = %ld %ld %ld", got(setitimer(ITIMER_REAL, &bad, NULL)),
        got(setitimer(ITIMER_REAL, &worse, NULL)), raw(SYS_setitimer, 99, &once, NULL));
    say("getitimer odd = %ld", raw(SYS_getitimer, 99, &old));
}

int main(int count, char **words) {
    if (count != 2)
        return 2;
    tolerance = atoll(words[1]);
    sleeps();
    polls();
    selects();
    timers();
    return 0;
}
