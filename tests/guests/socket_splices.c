/* Moving data between sockets and pipes, and whom sockets signal.
 *
 * The part to show comes in; a line for each call goes out. Always true: where one process waits for another, the second
 * comes some milliseconds later. Pipes and files alone are in pipe_moves.c. */
#include "inet.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))
#define SPLICE(from, to, bytes, flags) raw(SYS_splice, from, NULL, to, NULL, bytes, flags)

static char text[200000];
static int s[2], p[2];

static void tcp(void) {
    struct place place = at("127.0.0.1", 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (void *)&place.address, place.size);
    listen(listener, 1);
    getsockname(listener, (void *)&place.address, &place.size);
    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    connect(s[0], (void *)&place.address, place.size);
    s[1] = accept(listener, NULL, NULL);
    close(listener);
}

static void move(void) {
    off_t at = 0;
    if (pipe(p) != 0)
        abort();
    memset(text, 'x', sizeof text);
    TRY("send", raw(SYS_sendto, s[0], text, 3000, 0, NULL, 0));
    TRY("socket to pipe", SPLICE(s[1], p[1], 2000, SPLICE_F_NONBLOCK));
    TRY("in the pipe", raw(SYS_read, p[0], text, sizeof text));
    TRY("left", raw(SYS_recvfrom, s[1], text, sizeof text, MSG_DONTWAIT, NULL, NULL));
    fcntl(s[1], F_SETFL, O_NONBLOCK);
    TRY("nothing there", SPLICE(s[1], p[1], 100, 0));
    TRY("nothing in the pipe", SPLICE(p[0], s[0], 100, SPLICE_F_NONBLOCK));
    TRY("write", raw(SYS_write, p[1], "hello", 5));
    TRY("pipe to socket", SPLICE(p[0], s[0], 100, 0));
    TRY("receive", raw(SYS_recvfrom, s[1], text, sizeof text, MSG_DONTWAIT, NULL, NULL));
    say("%.5s", text);
    TRY("socket to socket", SPLICE(s[1], s[0], 100, 0));
    TRY("offset of a socket", raw(SYS_splice, s[1], &at, p[1], NULL, 10, SPLICE_F_NONBLOCK));
    TRY("offset of a pipe", raw(SYS_splice, s[1], NULL, p[1], &at, 10, SPLICE_F_NONBLOCK));
    TRY("wrong end", SPLICE(s[1], p[0], 10, SPLICE_F_NONBLOCK));
    TRY("other wrong end", SPLICE(p[1], s[0], 10, SPLICE_F_NONBLOCK));
    TRY("unknown flag", SPLICE(s[1], p[1], 10, 16));
    TRY("tee", raw(SYS_tee, s[1], p[1], 10, 0));
    int file = open("file", O_CREAT | O_RDWR, 0600);
    TRY("to a file", SPLICE(s[1], file, 10, 0));
    TRY("from a file", SPLICE(file, s[0], 10, 0));
    TRY("copy", raw(SYS_copy_file_range, s[1], NULL, file, NULL, 10, 0));
    TRY("sendfile from it", raw(SYS_sendfile, file, s[1], NULL, 10));
}

/* Waits for what a child sends, and sends what it is slow to take. */
static void wait_for_others(void) {
    long moved = 0, step;
    int status;
    fcntl(s[1], F_SETFL, 0);
    if (fork() == 0) {
        pass_time(20 * MS);
        if (send(s[0], "later", 5, 0) != 5)
            abort();
        pass_time(20 * MS);
        if (write(p[1], "a pipe's", 8) != 8)
            abort();
        _exit(0);
    }
    TRY("waited", SPLICE(s[1], p[1], 100, 0));
    TRY("read", raw(SYS_read, p[0], text, 100));
    TRY("waited", SPLICE(p[0], s[1], 100, 0));
    TRY("receive", raw(SYS_recvfrom, s[0], text, 100, 0, NULL, NULL));
    wait(&status);
    if (fork() == 0) {
        close(p[0]);
        for (int i = 0; i < 60; i++)
            if (write(p[1], text, 10000) != 10000)
                abort();
        _exit(0);
    }
    if (fork() == 0) {
        close(p[0]), close(p[1]), close(s[1]);
        long got = 0, all = 0;
        for (pass_time(50 * MS); all < 600000; all += got)
            if ((got = recv(s[0], text, sizeof text, 0)) <= 0)
                abort();
        _exit(all != 600000);
    }
    close(p[1]), close(s[0]);
    while ((step = SPLICE(p[0], s[1], 65536, 0)) > 0)
        moved += step;
    TRY("the end", step);
    say("moved %ld", moved);
    close(s[1]);
    while (wait(&status) > 0)
        say("a child's end: %x", status);
}

static void unix_stream(void) {
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    move(), wait_for_others();
}

static void unix_messages(void) {
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    move();
}

static void inet_stream(void) {
    tcp();
    move(), wait_for_others();
}

static int signals;

static void count(int number) {
    (void)number;
    signals++;
}

static void owners(void) {
    signal(SIGIO, count);
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 2)
            tcp();
        else
            socketpair(AF_UNIX, kind ? SOCK_DGRAM : SOCK_STREAM, 0, s);
        int owner = getpid(), on = 1, seen = 0, mark = 7;
        TRY("set", got(ioctl(s[1], FIOSETOWN, &owner)));
        TRY("get", got(ioctl(s[1], SIOCGPGRP, &seen)));
        say("own %d %d", seen == getpid(), fcntl(s[1], F_GETOWN) == getpid());
        TRY("async", got(ioctl(s[1], FIOASYNC, &on)));
        signals = 0;
        TRY("send", raw(SYS_sendto, s[0], "x", 1, 0, NULL, 0));
        say("signals %d", signals);
        owner = -getpgrp();
        TRY("group", got(ioctl(s[1], SIOCSPGRP, &owner)));
        TRY("get", got(ioctl(s[1], FIOGETOWN, &seen)));
        say("group's %d", seen == -getpgrp());
        owner = 123456789;
        TRY("nobody", got(ioctl(s[1], SIOCSPGRP, &owner)));
        TRY("bad", got(ioctl(s[1], FIOSETOWN, 1)));
        TRY("bad", got(ioctl(s[1], FIOGETOWN, 1)));
        TRY("mark", got(ioctl(s[1], SIOCATMARK, &mark)));
        say("mark %d", mark);
        TRY("window size", got(ioctl(s[1], TIOCGWINSZ, text)));
        struct iovec piece = {text, 1};
        TRY("append", raw(SYS_pwritev2, s[0], &piece, 1, -1L, -1L, 16));
        TRY("unknown", raw(SYS_pwritev2, s[0], &piece, 1, -1L, -1L, 1 << 20));
    }
}

static const struct part parts[] = {
    {"unix stream", unix_stream}, {"unix messages", unix_messages}, {"tcp", inet_stream}, {"owners", owners}, {NULL, NULL},
};

int main(int argc, char **words) { return run_part(parts, argc, words); }
