/* Calls that a kernel answers at once, many times.
 *
 * A part's name comes in, lines go out. Always true: what a part prints does not depend on how fast anything is. */
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TIMES = 1000, FUTEX_WAKE_PRIVATE = 129 };

static void pass_a_byte(int fds[2]) {
    char byte = 'a';
    if (write(fds[1], &byte, 1) != 1 || read(fds[0], &byte, 1) != 1 || byte != 'a')
        abort();
}

static void by_pipe(void) {
    int fds[2];
    if (pipe(fds))
        abort();
    for (int i = 0; i < TIMES; i++)
        pass_a_byte(fds);
}

static void by_event(void) {
    int fd = eventfd(0, 0);
    for (int i = 0; i < TIMES; i++) {
        uint64_t count = 3;
        if (write(fd, &count, 8) != 8 || read(fd, &count, 8) != 8 || count != 3)
            abort();
    }
}

static void by_poll(void) {
    int fds[2];
    if (pipe(fds) || write(fds[1], "a", 1) != 1)
        abort();
    struct pollfd ends[] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLOUT}};
    for (int i = 0; i < TIMES; i++)
        if (poll(ends, 2, -1) != 2)
            abort();
}

static void by_futex(void) {
    uint32_t word = 0;
    for (int i = 0; i < TIMES; i++)
        if (syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != 0)
            abort();
}

static void by_options(void) {
    int fds[2], type;
    socklen_t bytes = sizeof type;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
        abort();
    for (int i = 0; i < TIMES; i++)
        if (getsockopt(fds[0], SOL_SOCKET, SO_TYPE, &type, &bytes) || type != SOCK_STREAM)
            abort();
}

static int there[2], back[2];

static void *answer(void *unused) {
    char byte;
    for (int i = 0; i < TIMES; i++)
        if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
            abort();
    return unused;
}

static void between(void) {
    pthread_t thread;
    if (pipe(there) || pipe(back) || pthread_create(&thread, NULL, answer, NULL))
        abort();
    char byte = 'b';
    for (int i = 0; i < TIMES; i++)
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            abort();
    pthread_join(thread, NULL);
}

/* Two processes that pass a byte to and fro until one of them is killed. */
static void pass_for_ever(void) {
    if (pipe(there) || pipe(back))
        abort();
    if (!fork()) {
        prctl(PR_SET_NAME, "child");
        close(there[1]);
        close(back[0]);
        for (char byte; read(there[0], &byte, 1) == 1;)
            write(back[1], &byte, 1);
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    signal(SIGPIPE, SIG_IGN);
    char byte = 'c';
    for (int i = 0; write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1; i++)
        if (i == 100) {
            puts("begins");
            fflush(stdout);
        }
}

static void by_sleep(void) {
    for (int i = 0; i < TIMES; i++)
        if (nanosleep(&(struct timespec){0, 1000}, NULL))
            abort();
}

/* Sleep, again and again, until the other end of a pipe is closed: by the death of a process that waits. */
static void sleep_until_hangup(void) {
    if (pipe(there) || pipe(back))
        abort();
    if (!fork()) {
        prctl(PR_SET_NAME, "child");
        close(back[0]);
        char byte = 'd';
        _exit(write(back[1], &byte, 1) != 1 || read(there[0], &byte, 1) != 1);
    }
    close(back[1]);
    char byte;
    if (read(back[0], &byte, 1) != 1)
        abort();
    puts("begins");
    fflush(stdout);
    struct pollfd end = {.fd = back[0], .events = POLLIN};
    while (poll(&end, 1, 0) == 0)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static volatile int is_awake;

static void *sleeper(void *unused) {
    nanosleep(&(struct timespec){0, 5000000}, NULL);
    is_awake = 1;
    return unused;
}

/* Until another thread has slept, do what never waits. */
static void until_awake(int is_epoll) {
    pthread_t thread;
    struct epoll_event event;
    int epoll = epoll_create1(0);
    if (pthread_create(&thread, NULL, sleeper, NULL))
        abort();
    while (!is_awake)
        if (is_epoll)
            epoll_wait(epoll, &event, 1, 0);
        else
            getpriority(PRIO_PROCESS, 0);
    pthread_join(thread, NULL);
}

static void *waiter(void *unused) {
    char byte;
    if (read(there[0], &byte, 1) != 1)
        abort();
    is_awake = 1;
    return unused;
}

/* Wake another thread, and compute until it has run. */
static void wake_and_spin(void) {
    pthread_t thread;
    if (pipe(there) || pthread_create(&thread, NULL, waiter, NULL))
        abort();
    nanosleep(&(struct timespec){0, 1000000}, NULL);
    if (write(there[1], "w", 1) != 1)
        abort();
    while (!is_awake)
        ;
    pthread_join(thread, NULL);
}

static void for_ever(void) {
    int fds[2];
    if (pipe(fds))
        abort();
    say("begins");
    for (;;)
        pass_a_byte(fds);
}

int main(int count, char **arguments) {
    const char *part = count > 1 ? arguments[1] : "";
    if (!strcmp(part, "pipe-for-ever"))
        for_ever();
    else if (!strcmp(part, "pipe"))
        by_pipe();
    else if (!strcmp(part, "event"))
        by_event();
    else if (!strcmp(part, "poll"))
        by_poll();
    else if (!strcmp(part, "futex"))
        by_futex();
    else if (!strcmp(part, "options"))
        by_options();
    else if (!strcmp(part, "between"))
        between();
    else if (!strcmp(part, "sleep"))
        by_sleep();
    else if (!strcmp(part, "sleep-until-hangup"))
        sleep_until_hangup();
    else if (!strcmp(part, "pass-for-ever"))
        pass_for_ever();
    else if (!strcmp(part, "wake-and-spin"))
        wake_and_spin();
    else if (!strcmp(part, "sleeper-and-epoll") || !strcmp(part, "sleeper-and-priority"))
        until_awake(part[12] == 'e');
    else
        return 2;
    printf("%s done\n", part);
    return 0;
}
