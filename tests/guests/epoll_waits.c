/* Waits on epoll: time-outs, signal masks, and other processes that end them.
 *
 * The part to show comes in; a line for each wait goes out. Always true: whoever ends a wait does it some
 * milliseconds later, or after it was told that the other waits. What is reported is in epolls.c. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/wait.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
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

static int set, counter, fds[2];
static struct epoll_event event;

static void bump(int fd) { write(fd, &(uint64_t){1}, 8); }
static void drop(int fd) { read(fd, &(uint64_t){0}, 8); }

static void watch(int in, int fd, uint32_t events) {
    struct epoll_event wanted = {.events = events, .data.fd = fd};
    if (epoll_ctl(in, EPOLL_CTL_ADD, fd, &wanted) != 0)
        abort();
}

static void times(void) {
    struct timespec some = {0, 20 * MS + 7}, none = {0, 0};
    watch(set, counter, EPOLLIN);
    begin(), end("epoll_wait", raw(SYS_epoll_wait, set, &event, 1, 20), 20 * MS);
    begin(), end("at once", raw(SYS_epoll_wait, set, &event, 1, 0), 0);
    begin(), end("epoll_pwait", raw(SYS_epoll_pwait, set, &event, 1, 20, NULL, 8), 20 * MS);
    begin(), end("epoll_pwait2", raw(SYS_epoll_pwait2, set, &event, 1, &some, NULL, 8), 20 * MS);
    say("time untouched %ld %ld", (long)some.tv_sec, some.tv_nsec - 20 * MS);
    begin(), end("at once", raw(SYS_epoll_pwait2, set, &event, 1, &none, NULL, 8), 0);
    const struct timespec odd[] = {{-1, 0}, {0, 1000000000}, {0, -1}};
    for (int i = 0; i < 3; i++)
        say("odd time = %ld", raw(SYS_epoll_pwait2, set, &event, 1, &odd[i], NULL, 8));
    TRY("bad time", raw(SYS_epoll_pwait2, set, &event, 1, (void *)8, NULL, 8));
    TRY("short mask", raw(SYS_epoll_pwait, set, &event, 1, 0, &odd, 4));
    TRY("bad mask", raw(SYS_epoll_pwait, set, &event, 1, 0, (void *)8, 8));
    bump(counter);
    begin(), end("ready", raw(SYS_epoll_wait, set, &event, 1, -1), 0);
    begin(), end("ready, a negative time", raw(SYS_epoll_wait, set, &event, 1, -1000), 0);
    begin(), end("ready, no limit", raw(SYS_epoll_pwait2, set, &event, 1, NULL, NULL, 8), 0);
}

static int handled;
static void on_signal(int signal) { handled += signal == SIGUSR1; }

static void masks(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigset_t open_mask, blocked, now;
    struct timespec some = {1000, 0};
    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&open_mask), sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    watch(set, counter, EPOLLIN);
    raise(SIGUSR1);
    TRY("blocked", raw(SYS_epoll_wait, set, &event, 1, 1));
    TRY("unblocked", raw(SYS_epoll_pwait, set, &event, 1, -1, &open_mask, 8));
    say("handled %d", handled);
    sigprocmask(SIG_BLOCK, NULL, &now);
    say("blocked again %d", sigismember(&now, SIGUSR1));
    raise(SIGUSR1);
    TRY("unblocked", raw(SYS_epoll_pwait2, set, &event, 1, &some, &open_mask, 8));
    say("handled %d", handled);
    raise(SIGUSR1);
    bump(counter);
    TRY("ready", raw(SYS_epoll_pwait, set, &event, 1, -1, &open_mask, 8));
    say("handled %d", handled);
    drop(counter);
    TRY("unblocked for no time", raw(SYS_epoll_pwait, set, &event, 1, 0, &open_mask, 8));
    say("handled %d", handled);
    TRY("none pending", raw(SYS_epoll_pwait, set, &event, 1, 10, &open_mask, 8));
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    say("handled %d", handled);
}

static pid_t start_child(void (*body)(void)) {
    pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    return child;
}

static void end_child(pid_t child) {
    int status = -1;
    say("child ended: %d", waitpid(child, &status, 0) == child);
    say("status %x", status);
}

static void bump_late(void) {
    pass_time(30 * MS);
    bump(counter);
}
static void write_late(void) {
    pass_time(30 * MS);
    write(fds[1], "x", 1);
}
static void leave_late(void) { pass_time(30 * MS); }

static void show_wait(const char *name) {
    long count = raw(SYS_epoll_wait, set, &event, 1, 10000);
    say("%s = %ld: %x of %s", name, count, event.events, event.data.fd == counter ? "counter" : "pipe");
}

static void by_others(void) {
    watch(set, counter, EPOLLIN), watch(set, fds[0], EPOLLIN | EPOLLET);
    pid_t child = start_child(bump_late);
    show_wait("a count");
    end_child(child);
    drop(counter);
    child = start_child(write_late);
    show_wait("a byte");
    end_child(child);
    TRY("not again", raw(SYS_epoll_wait, set, &event, 1, 0));
    child = start_child(write_late);
    show_wait("another byte");
    end_child(child);
    child = start_child(leave_late);
    close(fds[1]);
    show_wait("the end");
    end_child(child);
}

/* The set itself is waited for: by poll, by select, by another set. */
static void from_outside(void) {
    watch(set, counter, EPOLLIN);
    struct pollfd one = {set, POLLIN | POLLOUT, 0};
    TRY("poll of nothing", raw(SYS_poll, &one, 1, 0));
    pid_t child = start_child(bump_late);
    TRY("poll", raw(SYS_poll, &one, 1, 10000));
    say("%x", one.revents);
    end_child(child);
    drop(counter);
    TRY("poll of nothing", raw(SYS_poll, &one, 1, 0));
    child = start_child(bump_late);
    fd_set in;
    FD_ZERO(&in);
    FD_SET(set, &in);
    TRY("select", raw(SYS_select, set + 1, &in, NULL, NULL, NULL));
    end_child(child);
    drop(counter);
    int outer = epoll_create1(0);
    watch(outer, set, EPOLLIN);
    child = start_child(bump_late);
    TRY("a set around it", raw(SYS_epoll_wait, outer, &event, 1, 10000));
    say("%x of the inner: %d", event.events, event.data.fd == set);
    end_child(child);
}

/* The set belongs to the process that made it and to its children. */
static void watch_in_child(void) { watch(set, counter, EPOLLIN); }

static void shared(void) {
    pid_t child = start_child(watch_in_child);
    end_child(child);
    bump(counter);
    show_wait("watched by the child");
    child = start_child(bump_late);
    end_child(child);
    show_wait("still");
}

/* How many of several waiters one event wakes: each waits on a set of its own. */
static int told;

static void wait_once(uint32_t flags) {
    int own = epoll_create1(0);
    watch(own, counter, EPOLLIN | flags);
    bump(told);
    int count = epoll_wait(own, &event, 1, 1000);
    _exit(count);
}

static void waiters(void) {
    told = eventfd(0, EFD_SEMAPHORE);
    const uint32_t flags[] = {0, EPOLLEXCLUSIVE, EPOLLEXCLUSIVE | EPOLLET};
    const char *names[] = {"all wake", "one wakes", "one wakes with the edge"};
    for (int i = 0; i < 3; i++) {
        int status, woken = 0;
        for (int j = 0; j < 3; j++)
            if (fork() == 0)
                wait_once(flags[i]);
        for (int j = 0; j < 3; j++)
            drop(told);
        pass_time(100 * MS);
        bump(counter);
        while (wait(&status) > 0)
            woken += WEXITSTATUS(status);
        say("%s: %d", names[i], woken);
        drop(counter);
    }
}

int main(int count, char **words) {
    const struct part parts[] = {{"times", times},   {"masks", masks},   {"by others", by_others}, {"from outside", from_outside},
                 {"shared", shared}, {"waiters", waiters}, {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    set = epoll_create1(0);
    counter = eventfd(0, EFD_NONBLOCK);
    pipe2(fds, O_NONBLOCK);
    return run_part(parts, count, words);
}
