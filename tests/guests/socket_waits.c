/* Pairs of sockets that are waited for: between two processes, with time-outs, by poll and epoll, by signals, and
 * filled from files.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: where two processes use
 * one pair, each waits for what the other does, so that the order is the same in every run. What one process does
 * with a pair is in socketpairs.c. */
#include "socketpair.h"

static void waiting(void) {
    char text[64];
    int s[2];
    struct gate gate = new_gate();
    pair(s, SOCK_STREAM);
    pid_t child = CHILD(close(s[0]); child_writes(s, gate, 4, 4));
    close(s[1]);
    open_gate(gate);
    TRY("a part", got(read(s[0], text, 20)));
    open_gate(gate);
    TRY("another", got(read(s[0], text, 20)));
    TRY("the end", got(read(s[0], text, 20)));
    show_end("child", child);
    close(s[0]);

    pair(s, SOCK_STREAM);
    child = CHILD(close(s[0]); child_writes(s, gate, 4, 3));
    close(s[1]);
    open_gate(gate), open_gate(gate);
    TRY("all there will be", got(recv(s[0], text, 20, MSG_WAITALL)));
    show_end("child", child);
    close(s[0]);

    /* Much more than fits goes through. */
    FOR_TYPES(type) {
        pair(s, type);
        child = CHILD(close(s[0]); say("%s: the child got %ld", type_name(type), read_all(s[1])));
        close(s[1]);
        long total = 0;
        for (int i = 0; i < 30; i++) {
            long moved = raw(SYS_write, s[0], big, type == SOCK_STREAM ? 1000000 : 100000);
            total += moved > 0 ? moved : 0;
        }
        /* Closing it is no end of datagrams, but an empty one is. */
        if (type == SOCK_DGRAM)
            raw(SYS_write, s[0], "", 0);
        close(s[0]);
        show_end("child", child);
        say("sent %ld", total);
    }
    /* The other side ends while this one waits for room: unread bytes are an error, and there is no signal. */
    handle(SIGPIPE, count_broken, 0);
    pair(s, SOCK_STREAM);
    child = CHILD(close(s[0]); pass_gate(gate); usleep(20000));
    close(s[1]);
    while (raw(SYS_sendto, s[0], big, 1000, MSG_DONTWAIT, 0, 0) > 0)
        ;
    open_gate(gate);
    WITH_SIGNAL("a writer that waits", got(write(s[0], big, 1000)));
    WITH_SIGNAL("the next", got(write(s[0], big, 1000)));
    show_end("child", child);
    close(s[0]);
}

static volatile int alarms;
static void count_alarm(int signal) { alarms += signal == SIGALRM; }
static void alarm_after(int64_t ms) {
    struct itimerval timer = {{0, 0}, {ms / 1000, ms % 1000 * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void limits_of_time(void) {
    char text[64];
    int s[2];
    pair(s, SOCK_STREAM);
    struct timeval time = {0, 40000};
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
    int64_t begin = clock_ns(CLOCK_MONOTONIC);
    TRY("nothing comes", got(read(s[0], text, 9)));
    say("in time: %d", clock_ns(CLOCK_MONOTONIC) - begin >= 40 * MS);
    TRY("a part", got(write(s[1], "abc", 3)));
    TRY("and not all", got(recv(s[0], text, 9, MSG_WAITALL)));
    TRY("no room: a part", raw(SYS_write, s[0], big, 400000) < 400000);
    TRY("no room at all", raw(SYS_write, s[0], big, 1));
    handle(SIGALRM, count_alarm, SA_RESTART);
    time.tv_usec = 0, time.tv_sec = 100;
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    alarm_after(20);
    TRY("a signal, with a limit", got(read(s[0], text, 9)));
    handle(SIGALRM, count_alarm, 0);
    time.tv_sec = 0;
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    alarm_after(20);
    TRY("a signal", got(read(s[0], text, 9)));
    if (write(s[1], "ab", 2) != 2)
        abort();
    alarm_after(20);
    TRY("a part, then a signal", got(recv(s[0], text, 9, MSG_WAITALL)));
    say("alarms %d", alarms);
    time.tv_sec = -1;
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    TRY("no time at all", got(read(s[0], text, 9)));
    int low = 5;
    time.tv_sec = 0, time.tv_usec = 20000;
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    setsockopt(s[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
    if (write(s[1], "abc", 3) != 3)
        abort();
    begin = clock_ns(CLOCK_MONOTONIC);
    EACH("fewer than wanted", bits(s[0]) & POLLIN, got(read(s[0], text, 9)),
         clock_ns(CLOCK_MONOTONIC) - begin >= 20 * MS);
}

static void readiness(void) {
    char text[64];
    int s[2], epoll = epoll_create1(0);
    pair(s, SOCK_STREAM | SOCK_NONBLOCK);
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u32 = 7}}, events[4];
    TRY("watch", got(epoll_ctl(epoll, EPOLL_CTL_ADD, s[0], &event)));
#define SHOW_EVENTS(what) \
    do { \
        int count_ = epoll_wait(epoll, events, 4, 0); \
        say(what ": %d, %x", count_, count_ > 0 ? events[0].events : 0); \
    } while (0)
    SHOW_EVENTS("at first");
    SHOW_EVENTS("no edge");
    if (write(s[1], "ab", 2) != 2)
        abort();
    SHOW_EVENTS("input");
    if (read(s[0], text, 1) != 1)
        abort();
    SHOW_EVENTS("read a part");
    if (write(s[1], "c", 1) != 1)
        abort();
    SHOW_EVENTS("more input");
    while (raw(SYS_write, s[0], big, 4096) > 0)
        ;
    SHOW_EVENTS("full");
    while (raw(SYS_read, s[1], big, 4096) > 0)
        ;
    SHOW_EVENTS("empty");
    shutdown(s[1], SHUT_WR);
    SHOW_EVENTS("half closed");
    close(s[1]);
    SHOW_EVENTS("closed");
    close(s[0]);
    SHOW_EVENTS("gone");
    pair(s, SOCK_DGRAM);
    fd_set in, out, odd;
    FD_ZERO(&in);
    FD_SET(s[0], &in);
    out = odd = in;
    struct timeval none = {0, 0};
    EACH("select", got(select(s[0] + 1, &in, &out, &odd, &none)), FD_ISSET(s[0], &in), FD_ISSET(s[0], &out),
         FD_ISSET(s[0], &odd));
    pid_t child = CHILD(if (write(s[1], "x", 1) != 1) abort());
    struct pollfd entry = {s[0], POLLIN, 0};
    EACH("poll waits", got(poll(&entry, 1, 10000)), entry.revents);
    show_end("child", child);
    child = CHILD(usleep(1000); shutdown(s[1], SHUT_RD); shutdown(s[0], SHUT_RDWR));
    entry.events = POLLRDHUP;
    EACH("poll waits", got(poll(&entry, 1, 10000)), entry.revents);
    show_end("child", child);
}

static volatile int io_signals;
static void count_io(int signal, siginfo_t *info, void *context) {
    (void)context;
    io_signals++;
    if (signal != SIGIO)
        say("signal for %d: code %d, band %lx", info->si_fd, info->si_code, (long)info->si_band);
}

static void signals(void) {
    char text[64];
    int s[2];
    pair(s, SOCK_STREAM | SOCK_NONBLOCK);
    handle_info(SIGIO, count_io, 0);
    EACH("asked for", got(fcntl(s[0], F_SETOWN, getpid())), got(fcntl(s[0], F_SETFL, O_ASYNC | O_NONBLOCK)),
         fcntl(s[0], F_GETFL) & O_ASYNC);
    EACH("input", got(write(s[1], "a", 1)), io_signals);
    EACH("more", got(write(s[1], "b", 1)), io_signals);
    EACH("read", got(read(s[0], text, 9)), io_signals);
    handle_info(SIGRTMIN + 3, count_io, 0);
    TRY("another signal", got(fcntl(s[0], F_SETSIG, SIGRTMIN + 3)));
    EACH("input", got(write(s[1], "a", 1)), io_signals);
    while (raw(SYS_write, s[0], big, 4096) > 0)
        ;
    say("full: %d", io_signals);
    while (raw(SYS_read, s[1], big, 4096) > 0)
        ;
    say("empty: %d", io_signals);
    TRY("half closed", got(shutdown(s[1], SHUT_WR)));
    say("signals %d", io_signals);
    TRY("closed", got(close(s[1])));
    say("signals %d", io_signals);
}

static void files(void) {
    int s[2], file = open("socketpairs.data", O_CREAT | O_RDWR | O_TRUNC, 0600);
    memset(big, 'f', 100000);
    if (write(file, big, 100000) != 100000)
        abort();
    pair(s, SOCK_STREAM | SOCK_NONBLOCK);
    off_t offset = 10;
    EACH("sendfile", got(sendfile(s[0], file, &offset, 50)), offset, lseek(file, 0, SEEK_CUR),
         asked(s[1], FIONREAD));
    EACH("at its end", got(sendfile(s[0], file, NULL, 50)), lseek(file, 5, SEEK_SET),
         got(sendfile(s[0], file, NULL, 50)), lseek(file, 0, SEEK_CUR));
    EACH("read", got(read(s[1], big, 1000)), big[99]);
    EACH("from a socket", got(sendfile(file, s[0], NULL, 50)), got(sendfile(s[0], s[1], NULL, 50)));
    fcntl(s[0], F_SETFL, 0);
    fcntl(s[1], F_SETFL, 0);
    pid_t child = CHILD(close(s[0]); say("arrived %ld", read_all(s[1])));
    close(s[1]);
    for (int i = 0; i < 5; i++) {
        offset = 0;
        TRY("all of it", got(sendfile(s[0], file, &offset, 200000)));
    }
    close(s[0]);
    show_end("child", child);
    handle(SIGPIPE, count_broken, 0);
    pair(s, SOCK_STREAM);
    close(s[1]);
    offset = 0;
    WITH_SIGNAL("to nobody", got(sendfile(s[0], file, &offset, 50)));
    unlink("socketpairs.data");
}

int main(int count, char **words) {
    static const struct part parts[] = {{"waiting", waiting},
                                        {"limits", limits_of_time},
                                        {"readiness", readiness},
                                        {"signals", signals},
                                        {"files", files},
                                        {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    return run_parts(parts, count, words);
}
