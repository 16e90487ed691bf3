/* What poll, select and epoll refuse: a case for each line of their pages.
 *
 * A part's name comes in, lines go out. Always true: nothing here waits for longer than an alarm. Left out: ENOSPC
 * and EMFILE of limits that belong to the whole system. */
#include "errors.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#define EXCLUSIVE (1u << 28)
#define PWAIT2 441

static struct timespec at_once, negative = {-1, 0}, much = {0, 1000000000}, less = {0, -1};
static sigset_t no_signals;
static int fds[2];

static void polls(void) {
    WORKS(pipe(fds));
    struct pollfd one = {.fd = fds[0], .events = POLLIN};
    FAILS(EFAULT, raw(SYS_poll, nowhere, 1, 0));
    FAILS(EFAULT, raw(SYS_poll, NULL, 1, -1));
    FAILS(EFAULT, raw(SYS_ppoll, nowhere, 2, &at_once, NULL, 8));
    INTERRUPTED(FAILS(EINTR, poll(&one, 1, -1)); FAILS(EINTR, poll(NULL, 0, 100000)); FAILS(EINTR, raw(SYS_ppoll, &one, 1, NULL, &no_signals, 8)));
    INTERRUPTED(FAILS(EINTR, raw(SYS_ppoll, NULL, 0, &(struct timespec){100, 0}, NULL, 0)));
    struct rlimit limit, few = {10, 4096};
    getrlimit(RLIMIT_NOFILE, &limit);
    FAILS(EINVAL, raw(SYS_poll, &one, limit.rlim_cur + 1, 0));
    FAILS(EINVAL, raw(SYS_poll, nowhere, -1, 0));
    FAILS(EINVAL, raw(SYS_ppoll, &one, limit.rlim_cur + 1, &at_once, NULL, 8));
    IN_CHILD(
        WORKS(setrlimit(RLIMIT_NOFILE, &few));
        FAILS(EINVAL, raw(SYS_poll, nowhere, 11, 0));
        FAILS(EFAULT, raw(SYS_poll, nowhere, 10, 0)));
    FAILS(EINVAL, raw(SYS_ppoll, &one, 1, &negative, NULL, 8));
    FAILS(EINVAL, raw(SYS_ppoll, &one, 1, &much, NULL, 8));
    FAILS(EINVAL, raw(SYS_ppoll, &one, 1, &less, NULL, 8));
    FAILS(EINVAL, raw(SYS_ppoll, nowhere, 1, &less, NULL, 8));
    FAILS(EINVAL, raw(SYS_ppoll, &one, 1, &at_once, &no_signals, 16));
    FAILS(EINVAL, raw(SYS_ppoll, &one, 1, &at_once, &no_signals, 0));
    FAILS(EFAULT, raw(SYS_ppoll, &one, 1, &at_once, nowhere, 8));
    FAILS(EFAULT, raw(SYS_ppoll, &one, 1, nowhere, NULL, 8));
}

static void selects(void) {
    WORKS(pipe(fds));
    fd_set open_one, closed_one;
    FD_ZERO(&open_one);
    FD_ZERO(&closed_one);
    FD_SET(fds[0], &open_one);
    FD_SET(CLOSED, &closed_one);
    struct timeval none = {0, 0}, wrong = {-1, 0}, lacking = {0, -1};
    FAILS(EBADF, raw(SYS_select, 100, &closed_one, NULL, NULL, &none));
    FAILS(EBADF, raw(SYS_select, 100, NULL, &closed_one, NULL, &none));
    FAILS(EBADF, raw(SYS_select, 100, &open_one, NULL, &closed_one, NULL));
    FAILS(EBADF, raw(SYS_pselect6, 100, &closed_one, NULL, NULL, &at_once, NULL));
    FAILS(EINVAL, raw(SYS_select, -1, NULL, NULL, NULL, &none));
    FAILS(EINVAL, raw(SYS_select, -1, nowhere, NULL, NULL, NULL));
    FAILS(EINVAL, raw(SYS_pselect6, -1, NULL, NULL, NULL, &at_once, NULL));
    FAILS(EINVAL, raw(SYS_select, fds[0] + 1, &open_one, NULL, NULL, &wrong));
    FAILS(EINVAL, raw(SYS_select, fds[0] + 1, &open_one, NULL, NULL, &lacking));
    FAILS(EINVAL, raw(SYS_select, 100, &closed_one, NULL, NULL, &wrong));
    FAILS(EINVAL, raw(SYS_pselect6, fds[0] + 1, &open_one, NULL, NULL, &negative, NULL));
    FAILS(EINVAL, raw(SYS_pselect6, fds[0] + 1, &open_one, NULL, NULL, &much, NULL));
    FAILS(EINVAL, raw(SYS_pselect6, fds[0] + 1, &open_one, NULL, NULL, &less, NULL));
    FAILS(EFAULT, raw(SYS_select, 10, nowhere, NULL, NULL, &none));
    FAILS(EFAULT, raw(SYS_select, 10, NULL, nowhere, NULL, &none));
    FAILS(EFAULT, raw(SYS_select, 10, NULL, NULL, nowhere, &none));
    FAILS(EFAULT, raw(SYS_select, 10, NULL, NULL, NULL, nowhere));
    FAILS(EFAULT, raw(SYS_pselect6, 10, NULL, NULL, NULL, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_pselect6, 10, NULL, NULL, NULL, &at_once, nowhere));
    struct mask {
        const void *set;
        size_t size;
    } mask = {&no_signals, 16}, lost = {nowhere, 8}, good = {&no_signals, 8};
    FAILS(EINVAL, raw(SYS_pselect6, 10, NULL, NULL, NULL, &at_once, &mask));
    FAILS(EFAULT, raw(SYS_pselect6, 10, NULL, NULL, NULL, &at_once, &lost));
    INTERRUPTED(FAILS(EINTR, raw(SYS_select, fds[0] + 1, &open_one, NULL, NULL, NULL)); FAILS(EINTR, raw(SYS_select, 0, NULL, NULL, NULL, NULL)));
    INTERRUPTED(FAILS(EINTR, raw(SYS_pselect6, fds[0] + 1, &open_one, NULL, NULL, NULL, &good)));
}

static void creations(void) {
    FAILS(EINVAL, raw(SYS_epoll_create, 0));
    FAILS(EINVAL, raw(SYS_epoll_create, -1));
    FAILS(EINVAL, epoll_create1(1));
    FAILS(EINVAL, epoll_create1(O_CLOEXEC | O_NONBLOCK));
    FAILS(EINVAL, epoll_create1(-1));
    WITHOUT_ROOM(FAILS(EMFILE, raw(SYS_epoll_create, 1)));
    WITHOUT_ROOM(FAILS(EMFILE, epoll_create1(0)));
    WITHOUT_ROOM(FAILS(EINVAL, epoll_create1(2)));
}

static void changes(void) {
    WORKS(pipe(fds));
    int epoll = epoll_create1(0), other = epoll_create1(0), file = new_file("file", O_RDWR, 0600), folder = open(".", O_RDONLY);
    struct epoll_event in = {.events = EPOLLIN}, alone = {.events = EPOLLIN | EXCLUSIVE}, odd = {.events = EPOLLIN | EXCLUSIVE | EPOLLPRI},
                       once = {.events = EPOLLIN | EXCLUSIVE | EPOLLONESHOT};
    FAILS(EBADF, epoll_ctl(CLOSED, EPOLL_CTL_ADD, fds[0], &in));
    FAILS(EBADF, epoll_ctl(-1, EPOLL_CTL_ADD, fds[0], &in));
    FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_ADD, CLOSED, &in));
    FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_ADD, -1, &in));
    FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_DEL, CLOSED, NULL));
    FAILS(EBADF, epoll_ctl(epoll, 77, CLOSED, &in));
    int path = open(".", O_PATH);
    FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_ADD, path, &in));
    FAILS(EBADF, epoll_ctl(path, EPOLL_CTL_ADD, fds[0], &in));
    FAILS(EFAULT, epoll_ctl(path, EPOLL_CTL_ADD, fds[0], nowhere));
    FAILS(EPERM, epoll_ctl(epoll, EPOLL_CTL_ADD, file, &in));
    FAILS(EPERM, epoll_ctl(epoll, EPOLL_CTL_ADD, folder, &in));
    FAILS(EPERM, epoll_ctl(epoll, EPOLL_CTL_DEL, file, &in));
    FAILS(EPERM, epoll_ctl(fds[0], EPOLL_CTL_ADD, file, &in));
    FAILS(EINVAL, epoll_ctl(fds[0], EPOLL_CTL_ADD, fds[1], &in));
    FAILS(EINVAL, epoll_ctl(file, EPOLL_CTL_ADD, fds[1], &in));
    FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &in));
    FAILS(EINVAL, epoll_ctl(epoll, 0, fds[0], &in));
    FAILS(EINVAL, epoll_ctl(epoll, 4, fds[0], &in));
    FAILS(EFAULT, epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], nowhere));
    FAILS(EFAULT, raw(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fds[0], NULL));
    FAILS(EFAULT, raw(SYS_epoll_ctl, CLOSED, EPOLL_CTL_MOD, CLOSED, nowhere));
    FAILS(ENOENT, epoll_ctl(epoll, EPOLL_CTL_MOD, fds[0], &in));
    FAILS(ENOENT, epoll_ctl(epoll, EPOLL_CTL_DEL, fds[0], NULL));
    WORKS(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &in));
    FAILS(EEXIST, epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &in));
    FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_MOD, fds[0], &alone));
    FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &odd));
    FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &once));
    FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, other, &alone));
    WORKS(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &alone));
    FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_MOD, fds[1], &in));
    FAILS(EEXIST, epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &alone));
    /* A circle of two, one of three, and a chain that is too long. */
    WORKS(epoll_ctl(epoll, EPOLL_CTL_ADD, other, &in));
    FAILS(ELOOP, epoll_ctl(other, EPOLL_CTL_ADD, epoll, &in));
    int third = epoll_create1(0), last = third;
    WORKS(epoll_ctl(other, EPOLL_CTL_ADD, third, &in));
    FAILS(ELOOP, epoll_ctl(third, EPOLL_CTL_ADD, epoll, &in));
    for (int i = 0; i < 3; i++) {
        int next = epoll_create1(0);
        FAILS(i < 2 ? 0 : ELOOP, epoll_ctl(last, EPOLL_CTL_ADD, next, &in));
        last = next;
    }
}

static void waits(void) {
    WORKS(pipe(fds));
    int epoll = epoll_create1(0), file = new_file("file", O_RDWR, 0600);
    struct epoll_event event = {.events = EPOLLOUT}, events[2];
    FAILS(EBADF, epoll_wait(CLOSED, events, 2, 0));
    FAILS(EBADF, epoll_wait(-1, events, 2, 0));
    FAILS(EBADF, raw(SYS_epoll_pwait, CLOSED, events, 2, 0, NULL, 8));
    FAILS(EBADF, raw(PWAIT2, CLOSED, events, 2, &at_once, NULL, 8));
    FAILS(EBADF, epoll_wait(open(".", O_PATH), events, 0, 0));
    FAILS(EINVAL, epoll_wait(fds[0], events, 2, 0));
    FAILS(EINVAL, epoll_wait(file, events, 2, 0));
    FAILS(EINVAL, raw(SYS_epoll_pwait, fds[0], events, 2, 0, NULL, 8));
    FAILS(EINVAL, raw(PWAIT2, file, events, 2, &at_once, NULL, 8));
    FAILS(EINVAL, epoll_wait(epoll, events, 0, 0));
    FAILS(EINVAL, raw(SYS_epoll_wait, epoll, events, -1, 0));
    FAILS(EINVAL, raw(SYS_epoll_wait, epoll, events, INT32_MAX, 0));
    FAILS(EBADF, epoll_wait(CLOSED, events, 0, 0));
    FAILS(EINVAL, raw(SYS_epoll_pwait, epoll, events, 0, 0, NULL, 8));
    FAILS(EINVAL, raw(SYS_epoll_pwait, epoll, events, 2, 0, &no_signals, 4));
    FAILS(EFAULT, raw(SYS_epoll_pwait, epoll, events, 2, 0, nowhere, 8));
    FAILS(EINVAL, raw(PWAIT2, epoll, events, 0, &at_once, NULL, 8));
    FAILS(EINVAL, raw(PWAIT2, epoll, events, 2, &at_once, &no_signals, 4));
    FAILS(EFAULT, raw(PWAIT2, epoll, events, 2, &at_once, nowhere, 8));
    FAILS(EINVAL, raw(PWAIT2, epoll, events, 2, &negative, NULL, 8));
    FAILS(EINVAL, raw(PWAIT2, epoll, events, 2, &much, NULL, 8));
    FAILS(EFAULT, raw(PWAIT2, epoll, events, 2, nowhere, NULL, 8));
    INTERRUPTED(FAILS(EINTR, epoll_wait(epoll, events, 2, -1)); FAILS(EINTR, raw(SYS_epoll_pwait, epoll, events, 2, 100000, &no_signals, 8)));
    INTERRUPTED(FAILS(EINTR, raw(PWAIT2, epoll, events, 2, NULL, NULL, 8)));
    WORKS(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &event));
    FAILS(EFAULT, epoll_wait(epoll, nowhere, 2, 0));
    FAILS(EFAULT, raw(SYS_epoll_wait, epoll, NULL, 2, -1));
    FAILS(EFAULT, raw(PWAIT2, epoll, nowhere, 2, &at_once, NULL, 8));
    FAILS(EINVAL, read(epoll, events, 8));
    FAILS(EINVAL, write(epoll, events, 8));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"poll", polls}, {"select", selects}, {"epoll_create", creations}, {"epoll_ctl", changes}, {"epoll_wait", waits}, {NULL, NULL},
    };
    return run_parts_of_errors(parts, count, words);
}
