/* timerfd: clocks, instants, intervals, what is read and what is refused.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: counts that depend
 * on how late the reader is are shown as bounds; no wait is early. Other timers are in waits.c. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#ifndef TFD_TIMER_CANCEL_ON_SET
#define TFD_TIMER_CANCEL_ON_SET (1 << 1)
#endif

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static int64_t began;
static void begin(void) { began = clock_ns(CLOCK_MONOTONIC); }

static void end(const char *name, long result, int64_t expected) {
    int64_t took = clock_ns(CLOCK_MONOTONIC) - began;
    const char *verdict = took < expected ? "early" : took > expected + 5000 * MS ? "late" : "in time";
    say("%s = %ld, %s", name, result, verdict);
}

static struct itimerspec after(int64_t first_ns, int64_t interval_ns) {
    return (struct itimerspec){{interval_ns / 1000000000, interval_ns % 1000000000},
                               {first_ns / 1000000000, first_ns % 1000000000}};
}

static long set(int fd, int flags, int64_t first_ns, int64_t interval_ns) {
    struct itimerspec wanted = after(first_ns, interval_ns);
    return raw(SYS_timerfd_settime, fd, flags, &wanted, NULL);
}

static uint64_t expired;
static long take(int fd) {
    expired = 77;
    return raw(SYS_read, fd, &expired, 8);
}

static void clocks(void) {
    const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        int fd = timerfd_create(clocks[i], 0);
        say("clock %d", clocks[i]);
        TRY("never set", got(fcntl(fd, F_SETFL, O_NONBLOCK)));
        TRY("read", take(fd));
        fcntl(fd, F_SETFL, 0);
        begin();
        TRY("settime", set(fd, 0, 20 * MS, 0));
        end("read", take(fd), 20 * MS);
        say("expired %d", (int)expired);
        begin();
        TRY("absolute", set(fd, TFD_TIMER_ABSTIME, clock_ns(clocks[i]) + 20 * MS, 0));
        end("read", take(fd), 20 * MS);
        say("expired %d", (int)expired);
        TRY("in the past", set(fd, TFD_TIMER_ABSTIME, clock_ns(clocks[i]) - 20 * MS, 0));
        TRY("read", take(fd));
        say("expired %d", (int)expired);
        TRY("a past with intervals", set(fd, TFD_TIMER_ABSTIME, clock_ns(clocks[i]) - 95 * MS, 10 * MS));
        TRY("read", take(fd));
        say("expired %d", expired >= 10 && expired < 1000);
        close(fd);
    }
}

static void intervals(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec now, old;
    say("flags %o %d", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
    TRY("gettime", got(timerfd_gettime(fd, &now)));
    say("not set: %ld %ld %ld %ld", (long)now.it_value.tv_sec, now.it_value.tv_nsec, (long)now.it_interval.tv_sec,
        now.it_interval.tv_nsec);
    TRY("far", set(fd, 0, 1000000 * MS, 7000 * MS));
    TRY("too early", take(fd));
    TRY("gettime", got(timerfd_gettime(fd, &now)));
    say("left %d, interval %ld", now.it_value.tv_sec <= 1000 && now.it_value.tv_sec > 900,
        (long)now.it_interval.tv_sec);
    struct itimerspec wanted = after(10 * MS, 20 * MS);
    TRY("settime", raw(SYS_timerfd_settime, fd, 0, &wanted, &old));
    say("old %d, interval %ld", old.it_value.tv_sec <= 1000 && old.it_value.tv_sec > 900,
        (long)old.it_interval.tv_sec);
    pass_time(95 * MS);
    TRY("read", take(fd));
    say("expired %d", expired >= 5 && expired < 1000);
    TRY("gettime", got(timerfd_gettime(fd, &now)));
    say("next within %d, interval %ld", now.it_value.tv_sec == 0 && now.it_value.tv_nsec <= 20 * MS,
        now.it_interval.tv_nsec / (long)MS);
    pass_time(30 * MS);
    TRY("set anew forgets", set(fd, 0, 1000000 * MS, 0));
    TRY("read", take(fd));
    TRY("soon", set(fd, 0, 1, 0));
    pass_time(5 * MS);
    TRY("disarm forgets", set(fd, 0, 0, 10 * MS));
    TRY("read", take(fd));
    TRY("gettime", got(timerfd_gettime(fd, &now)));
    say("not set: %ld %ld, interval %ld", (long)now.it_value.tv_sec, now.it_value.tv_nsec, now.it_interval.tv_nsec);
    TRY("soon", set(fd, 0, 1, 0));
    pass_time(5 * MS);
    int copy = dup(fd);
    TRY("read a copy", take(copy));
    TRY("read", take(fd));
    TRY("gettime", got(timerfd_gettime(fd, &now)));
    say("over: %ld %ld", (long)now.it_value.tv_sec, now.it_value.tv_nsec);
}

static void errors(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), real = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    const int clocks[] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                          CLOCK_REALTIME_COARSE, -1, 99};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++)
        say("clock %d = %ld", clocks[i], raw(SYS_timerfd_create, clocks[i], 0));
    TRY("odd flags", raw(SYS_timerfd_create, CLOCK_MONOTONIC, O_APPEND));
    const struct itimerspec odd[] = {{{0, 0}, {0, 1000000000}}, {{0, 0}, {0, -1}}, {{0, 0}, {-1, 0}},
                                     {{0, 1000000000}, {1, 0}}, {{-1, 0}, {1, 0}}, {{0, -1}, {0, 0}}};
    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++)
        say("odd time = %ld", raw(SYS_timerfd_settime, fd, 0, &odd[i], NULL));
    struct itimerspec wanted = after(1000000 * MS, 0), old;
    TRY("odd flags", raw(SYS_timerfd_settime, fd, 4, &wanted, NULL));
    TRY("bad time", raw(SYS_timerfd_settime, fd, 0, (void *)8, NULL));
    TRY("no time", raw(SYS_timerfd_settime, fd, 0, NULL, NULL));
    TRY("bad place for the old", raw(SYS_timerfd_settime, fd, 0, &wanted, (void *)8));
    TRY("gettime to a bad place", raw(SYS_timerfd_gettime, fd, (void *)8));
    TRY("settime of none", raw(SYS_timerfd_settime, 99, 0, &wanted, &old));
    TRY("settime of no timer", raw(SYS_timerfd_settime, 0, 0, &wanted, &old));
    TRY("gettime of none", raw(SYS_timerfd_gettime, 99, &old));
    TRY("gettime of no timer", raw(SYS_timerfd_gettime, 0, &old));
    TRY("cancelled when the clock is set", set(real, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
                                               clock_ns(CLOCK_REALTIME) + 1000000 * MS, 0));
    TRY("nothing came", take(real));
    TRY("for a relative time", set(real, TFD_TIMER_CANCEL_ON_SET, 1000000 * MS, 0));
    TRY("for another clock", set(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, 1, 0));
    TRY("short read", raw(SYS_read, fd, &expired, 7));
    TRY("read", take(fd));
    TRY("soon", set(fd, 0, 1, 0));
    pass_time(5 * MS);
    char buffer[32];
    TRY("bad read", raw(SYS_read, fd, (void *)8, 8));
    TRY("after the bad read", take(fd));
    TRY("long read", raw(SYS_read, fd, buffer, 32));
    TRY("write", raw(SYS_write, fd, buffer, 8));
    TRY("pread", got(pread(fd, buffer, 8, 0)));
    struct stat s;
    fstat(fd, &s);
    say("mode %o", s.st_mode);
    char path[40], target[40] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    TRY("readlink", got(readlink(path, target, sizeof target - 1)));
    say("%s", target);
}

static volatile int alarms;
static void on_alarm(int signal) { alarms += signal == SIGALRM; }

static void waits(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, 0), other = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK);
    struct pollfd both[2] = {{fd, POLLIN | POLLOUT, 0}, {other, POLLIN | POLLOUT, 0}};
    TRY("poll", raw(SYS_poll, both, 2, 0));
    begin();
    set(fd, 0, 40 * MS, 0), set(other, 0, 1000000 * MS, 0);
    end("poll", raw(SYS_poll, both, 2, 10000), 40 * MS);
    say("%x %x", both[0].revents, both[1].revents);
    TRY("poll again", raw(SYS_poll, both, 2, 0));
    take(fd);
    TRY("after the read", raw(SYS_poll, both, 2, 0));
    int watched = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 5};
    epoll_ctl(watched, EPOLL_CTL_ADD, fd, &event);
    set(fd, 0, 10 * MS, 10 * MS);
    TRY("epoll", raw(SYS_epoll_wait, watched, &event, 1, -1));
    TRY("no edge without a read", raw(SYS_epoll_wait, watched, &event, 1, 30));
    take(fd);
    TRY("an edge after it", raw(SYS_epoll_wait, watched, &event, 1, -1));
    set(fd, 0, 0, 0);
    epoll_wait(watched, &event, 1, 0);
    TRY("disarmed", raw(SYS_epoll_wait, watched, &event, 1, 30));
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 20000}, {0, 20000}}, NULL);
    TRY("interrupted", take(fd));
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    /* A wait that begins while the timer is not armed, and ends when another process arms it. */
    int status;
    begin();
    pid_t child = fork();
    if (child == 0) {
        pass_time(30 * MS);
        set(fd, 0, 20 * MS, 0);
        _exit(0);
    }
    end("armed by another", take(fd), 50 * MS);
    waitpid(child, &status, 0);
    say("status %x", status);
    /* Many timers at once: in the order of their instants. */
    int order[5] = {3, 1, 4, 0, 2}, fds[5];
    for (int i = 0; i < 5; i++) {
        fds[i] = timerfd_create(CLOCK_MONOTONIC, 0);
        event = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = i};
        epoll_ctl(watched, EPOLL_CTL_ADD, fds[i], &event);
    }
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < 5; i++)
        set(fds[i], TFD_TIMER_ABSTIME, start + 30 * MS + order[i] * 20 * MS, 0);
    for (int i = 0; i < 5; i++) {
        epoll_wait(watched, &event, 1, -1);
        say("timer %d", order[event.data.u64]);
    }
}

int main(int count, char **words) {
    const struct part parts[] = {{"clocks", clocks}, {"intervals", intervals}, {"errors", errors}, {"waits", waits},
                                 {NULL, NULL}};
    return run_part(parts, count, words);
}
