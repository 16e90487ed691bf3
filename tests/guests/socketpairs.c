/* Pairs of sockets within one process: ends, bytes, messages, room, ends that close, options, addresses.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: what was inherited is
 * closed first. What waits, and two processes with one pair, are in socket_waits.c; what travels beside the bytes
 * is in socket_messages.c. */
#include "socketpair.h"

static void ends(void) {
    int a[2] = {-1, -1}, b[2], c[2] = {7, 8};
    TRY("socketpair", raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, a));
    say("numbers %d %d", a[0], a[1]);
    TRY("with flags", raw(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, b));
    say("numbers %d %d", b[0], b[1]);
    say("descriptor flags %d %d %d %d", fcntl(a[0], F_GETFD), fcntl(a[1], F_GETFD), fcntl(b[0], F_GETFD),
        fcntl(b[1], F_GETFD));
    say("status flags %o %o %o %o", fcntl(a[0], F_GETFL), fcntl(a[1], F_GETFL), fcntl(b[0], F_GETFL),
        fcntl(b[1], F_GETFL));
    struct stat s, other;
    TRY("fstat", got(fstat(a[0], &s)));
    fstat(a[1], &other);
    say("mode %o, links %d, size %d, block %d, mine %d, time %ld, same inode %d", s.st_mode, (int)s.st_nlink,
        (int)s.st_size, (int)s.st_blksize, s.st_uid == getuid() && s.st_gid == getgid(), (long)s.st_mtime,
        s.st_ino == other.st_ino);
    char name[64], expected[64], path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", a[0]);
    snprintf(expected, sizeof expected, "socket:[%ld]", (long)s.st_ino);
    long length = readlink(path, name, sizeof name - 1);
    name[length > 0 ? length : 0] = 0;
    say("its name %s", strcmp(name, expected) == 0 ? "has its inode" : name);
    TRY("opened by name", got(open(path, O_RDWR)));
    TRY("lseek", raw(SYS_lseek, a[0], 0, SEEK_CUR));
    TRY("pread", raw(SYS_pread64, a[0], big, 1, 0));
    TRY("mmap", (long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, a[0], 0) == -1 ? -errno : 0);
    TRY("ftruncate", raw(SYS_ftruncate, a[0], 0));
    TRY("fsync", raw(SYS_fsync, a[0]));
    TRY("terminal", asked(a[0], 0x5401));
    TRY("nothing yet", asked(a[0], FIONREAD));
    int on = 1;
    TRY("FIONBIO", got(ioctl(a[0], FIONBIO, &on)));
    say("status flags %o", fcntl(a[0], F_GETFL));
    TRY("F_SETFL", got(fcntl(a[0], F_SETFL, 0)));
    say("status flags %o", fcntl(a[0], F_GETFL));
    close_both(a);
    close_both(b);
    EACH("bad families", raw(SYS_socketpair, AF_INET, SOCK_STREAM, 0, c),
         raw(SYS_socketpair, AF_INET6, SOCK_DGRAM, 0, c), raw(SYS_socketpair, AF_UNSPEC, SOCK_STREAM, 0, c),
         raw(SYS_socketpair, 99, SOCK_STREAM, 0, c), raw(SYS_socketpair, -1, SOCK_STREAM, 0, c));
    EACH("bad types", raw(SYS_socketpair, AF_UNIX, SOCK_RDM, 0, c), raw(SYS_socketpair, AF_UNIX, 11, 0, c),
         raw(SYS_socketpair, AF_UNIX, SOCK_STREAM | 1 << 6, 0, c),
         raw(SYS_socketpair, AF_INET, SOCK_SEQPACKET, 0, c));
    EACH("protocols", raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 2, c),
         raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, PF_UNIX, c), raw(SYS_socketpair, AF_UNIX, SOCK_RAW, 0, a));
    say("raw is %ld", option(a[0], SO_TYPE));
    close_both(c);
    close_both(a);
    TRY("no memory", raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8));
    TRY("the next number", got(dup(1)));
    struct rlimit limit = {5, 5};
    setrlimit(RLIMIT_NOFILE, &limit);
    TRY("at the limit", raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, c));
}

static void no_sockets(void) {
    int fds[2], value = 0;
    socklen_t length = sizeof value;
    if (pipe(fds) != 0)
        abort();
    for (int fd = -1; fd < 5; fd += fd == -1 ? 4 : fd == 3 ? 1 : 5) {
        say("of %d:", fd);
        EACH("moves", raw(SYS_sendto, fd, big, 1, 0, 0, 0), raw(SYS_recvfrom, fd, big, 1, 0, 0, 0),
             raw(SYS_sendmsg, fd, 0, 0), raw(SYS_recvmsg, fd, 0, 0), raw(SYS_sendmmsg, fd, 0, 1, 0),
             raw(SYS_recvmmsg, fd, 0, 1, 0, 0));
        EACH("others", raw(SYS_shutdown, fd, 9), raw(SYS_listen, fd, 1), raw(SYS_accept, fd, 0, 0),
             raw(SYS_accept4, fd, 0, 0, 0), raw(SYS_bind, fd, 0, 0), raw(SYS_connect, fd, 0, 0));
        EACH("names", got(getsockname(fd, NULL, &length)), got(getpeername(fd, NULL, &length)));
        EACH("options", got(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length)), set(fd, SO_SNDBUF, 1));
    }
    close_both(fds);
    int null = open("/dev/null", O_RDWR);
    EACH("of a device", raw(SYS_sendto, null, big, 1, 0, 0, 0), raw(SYS_recvmsg, null, 0, 0),
         raw(SYS_listen, null, 1), raw(SYS_accept4, null, 0, 0, 0));
}

static void stream(void) {
    int s[2];
    pair(s, SOCK_STREAM);
    TRY("write", got(write(s[0], "one two three", 13)));
    TRY("send", got(send(s[0], " four", 5, 0)));
    TRY("send nothing", got(send(s[0], "", 0, 0)));
    TRY("to read", asked(s[1], FIONREAD));
    TRY("on its way", asked(s[0], TIOCOUTQ));
    char text[64] = "";
    TRY("peek", got(recv(s[1], text, 10, MSG_PEEK)));
    TRY("peek over the border", got(recv(s[1], text, 63, MSG_PEEK)));
    TRY("peek for more", got(recv(s[1], text, 63, MSG_PEEK | MSG_WAITALL)));
    say("peeked '%s'", text);
    memset(text, 0, sizeof text);
    TRY("read", got(read(s[1], text, 7)));
    say("'%s', %ld left", text, asked(s[1], FIONREAD));
    struct iovec pieces[3] = {{text, 3}, {NULL, 0}, {text + 10, 40}};
    TRY("readv", got(readv(s[1], pieces, 3)));
    say("'%.3s' '%.20s'", text, text + 10);
    TRY("none of it is on its way", asked(s[0], TIOCOUTQ));
    TRY("nothing", got(recv(s[1], text, 7, MSG_DONTWAIT)));
    TRY("read of nothing", got(read(s[1], text, 0)));
    TRY("receive nothing", got(recv(s[1], text, 0, MSG_DONTWAIT)));
    struct iovec out[2] = {{"a", 1}, {"bc", 2}};
    TRY("writev", got(writev(s[0], out, 2)));
    TRY("write of nothing", got(write(s[0], "", 0)));
    TRY("all of five", got(recv(s[1], text, 5, MSG_DONTWAIT | MSG_WAITALL)));
    TRY("the other way", got(write(s[1], "back", 4)));
    TRY("receive with MSG_TRUNC", got(recv(s[0], text, 2, MSG_TRUNC)));
    TRY("the rest", got(recv(s[0], text, 20, 0)));
    TRY("bad memory", raw(SYS_write, s[0], 8, 3));
    TRY("far memory", raw(SYS_sendto, s[0], -1L, 3, 0, 0, 0));
    if (write(s[0], "kept", 4) != 4)
        abort();
    TRY("bad room", raw(SYS_read, s[1], 8, 3));
    TRY("is kept", got(recv(s[1], text, 20, 0)));
    char name[200] = "";
    socklen_t length = sizeof name;
    if (write(s[0], "x", 1) != 1)
        abort();
    TRY("recvfrom", got(recvfrom(s[1], text, 9, 0, (struct sockaddr *)name, &length)));
    say("from %d bytes", (int)length);
    struct sockaddr_un to = {AF_UNIX, "x"};
    TRY("to somebody", got(sendto(s[0], "x", 1, 0, (struct sockaddr *)&to, sizeof to)));
    TRY("to nobody", got(sendto(s[0], "x", 1, 0, (struct sockaddr *)&to, 0)));
}

static void messages(void) {
    for (int i = 1; i < 3; i++) {
        int s[2];
        char text[64] = "";
        pair(s, types[i]);
        say("%s:", type_name(types[i]));
        EACH("sent", got(send(s[0], "first", 5, 0)), got(write(s[0], "", 0)), got(write(s[0], "second", 6)),
             got(send(s[0], "third", 5, MSG_EOR)));
        say("to read %ld, on its way %ld", asked(s[1], FIONREAD), asked(s[0], TIOCOUTQ));
        EACH("peeked", got(recv(s[1], text, 63, MSG_PEEK)), got(recv(s[1], text, 2, MSG_PEEK)),
             got(recv(s[1], text, 2, MSG_PEEK | MSG_TRUNC)));
        EACH("taken", got(read(s[1], text, 63)), got(recv(s[1], text, 63, 0)), got(recv(s[1], text, 3, 0)),
             got(recv(s[1], text, 3, MSG_TRUNC)), got(recv(s[1], text, 3, MSG_DONTWAIT)));
        struct iovec out[2] = {{"to", 2}, {"gether", 6}}, none[1] = {{text, 0}};
        EACH("vectors", got(writev(s[0], out, 2)), got(writev(s[0], none, 1)), got(read(s[1], text, 63)));
        say("'%.8s'", text);
        EACH("read of nothing", got(write(s[0], "12", 2)), got(read(s[1], text, 0)),
             got(recv(s[1], text, 0, 0)), asked(s[1], FIONREAD));
        EACH("bad memory", raw(SYS_write, s[0], 8, 3), got(write(s[0], "lost", 4)), raw(SYS_read, s[1], 8, 3),
             got(recv(s[1], text, 9, MSG_DONTWAIT)));
        struct sockaddr_un to = {AF_UNIX, "x"};
        EACH("addresses", got(sendto(s[0], "x", 1, 0, (struct sockaddr *)&to, 2)),
             got(sendto(s[0], "x", 1, 0, (struct sockaddr *)&to, 200)));
        EACH("too long", raw(SYS_write, s[0], big, 212992 - 31), raw(SYS_write, s[0], big, 212992 - 32));
        EACH("cut", got(recv(s[1], big, 212992, MSG_PEEK)), got(recv(s[1], big, 1, MSG_TRUNC)));
        close_both(s);
    }
}

/* How much fits in steps, and how much must be read until there is room. */
static void room(void) {
    static const size_t steps[] = {1, 100, 193, 1000, 3000, 4096, 8192, 20000, 65536, 100000};
    FOR_TYPES(type) {
        for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
            int s[2];
            pair(s, type | SOCK_NONBLOCK);
            long total = 0, moved, taken = 0;
            while ((moved = raw(SYS_write, s[0], big, steps[i])) > 0)
                total += moved;
            long charged = asked(s[0], TIOCOUTQ);
            while (!(bits(s[0]) & POLLOUT) && (moved = raw(SYS_read, s[1], big, steps[i])) > 0)
                taken += moved;
            say("%s by %zu: %ld fit (%ld), then %ld; room after %ld (%ld)", type_name(type), steps[i], total,
                charged, moved, taken, asked(s[0], TIOCOUTQ));
            close_both(s);
        }
        static const int sizes[] = {1, 4000, 50000, 212992};
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            int s[2];
            pair(s, type | SOCK_NONBLOCK);
            TRY("limit", set(s[0], SO_SNDBUF, sizes[i]));
            long limit = option(s[0], SO_SNDBUF), total = 0, moved;
            while ((moved = raw(SYS_write, s[0], big, 3000)) > 0)
                total += moved;
            say("%s with %ld: %ld fit, then %ld; whole %ld", type_name(type), limit, total, moved,
                raw(SYS_write, s[1], big, sizeof big));
            close_both(s);
        }
    }
}

static void closing(void) {
    char text[64];
    handle(SIGPIPE, count_broken, 0);
    FOR_TYPES(type) {
        int s[2];
        say("%s:", type_name(type));
        pair(s, type);
        show_bits("open", s);
        TRY("sent", got(write(s[0], "rest", 4)));
        show_bits("sent", s);
        close(s[0]);
        say("closed: %04x", bits(s[1]));
        EACH("then", got(recv(s[1], text, 9, MSG_DONTWAIT)), got(recv(s[1], text, 9, MSG_DONTWAIT)),
             option(s[1], SO_ERROR));
        WITH_SIGNAL("write", got(write(s[1], "x", 1)));
        WITH_SIGNAL("write nothing", got(write(s[1], "", 0)));
        WITH_SIGNAL("send without a signal", got(send(s[1], "x", 1, MSG_NOSIGNAL)));
        WITH_SIGNAL("send", got(send(s[1], "x", 1, 0)));
        say("now: %04x", bits(s[1]));
        struct sockaddr_un name;
        socklen_t length = sizeof name;
        EACH("names", got(getsockname(s[1], (struct sockaddr *)&name, &length)), length,
             got(getpeername(s[1], (struct sockaddr *)&name, &length)));
        close(s[1]);
        pair(s, type);
        EACH("both ways", got(write(s[0], "1", 1)), got(write(s[1], "2", 1)));
        close(s[0]);
        say("closed with something in it: %04x", bits(s[1]));
        EACH("then", got(recv(s[1], text, 9, MSG_DONTWAIT)), got(recv(s[1], text, 9, MSG_DONTWAIT)),
             got(recv(s[1], text, 9, MSG_DONTWAIT)));
        close(s[1]);
        pair(s, type);
        EACH("again", got(write(s[0], "1", 1)), got(write(s[1], "2", 1)));
        close(s[0]);
        WITH_SIGNAL("write first", got(write(s[1], "x", 1)));
        EACH("the error", option(s[1], SO_ERROR), option(s[1], SO_ERROR),
             got(recv(s[1], text, 9, MSG_DONTWAIT)));
        close(s[1]);
    }
}

static void shutting(void) {
    char text[64];
    handle(SIGPIPE, count_broken, 0);
    FOR_TYPES(type) {
        static const char *const names[] = {"for reading", "for writing", "for both"};
        for (int how = 0; how < 3; how++) {
            int s[2];
            pair(s, type | SOCK_NONBLOCK);
            EACH(type_name(type), got(write(s[0], "before", 6)), got(write(s[1], "before", 6)),
                 got(shutdown(s[0], how)));
            show_bits(names[how], s);
            WITH_SIGNAL("this side writes", got(write(s[0], "x", 1)));
            WITH_SIGNAL("the other writes", got(write(s[1], "x", 1)));
            EACH("this side reads", got(read(s[0], text, 9)), got(read(s[0], text, 9)),
                 got(read(s[0], text, 9)));
            EACH("the other reads", got(read(s[1], text, 9)), got(read(s[1], text, 9)),
                 got(read(s[1], text, 9)));
            close_both(s);
        }
        int s[2];
        pair(s, type);
        EACH("bad", got(shutdown(s[0], 3)), got(shutdown(s[0], -1)));
        EACH("a reader that would wait", got(shutdown(s[0], SHUT_RD)), got(read(s[0], text, 9)));
        EACH("again", got(shutdown(s[0], SHUT_RD)), got(shutdown(s[0], SHUT_WR)),
             got(shutdown(s[1], SHUT_RDWR)));
        close_both(s);
    }
}

static void options(void) {
    int s[2];
    pair(s, SOCK_STREAM);
    EACH("says", option(s[0], SO_TYPE), option(s[0], SO_DOMAIN), option(s[0], SO_PROTOCOL),
         option(s[0], SO_ERROR), option(s[0], SO_ACCEPTCONN), option(s[0], SO_SNDBUF), option(s[0], SO_RCVBUF),
         option(s[0], SO_RCVLOWAT), option(s[0], SO_SNDLOWAT), option(s[0], SO_PASSCRED));
    static const int plain[] = {SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_OOBINLINE, SO_DONTROUTE,
                                SO_PASSCRED,  SO_PRIORITY,  SO_RCVLOWAT,  SO_DEBUG};
    for (unsigned i = 0; i < sizeof plain / sizeof *plain; i++)
        if (plain[i] != SO_DEBUG)
            EACH("set", plain[i], set(s[0], plain[i], 5), option(s[0], plain[i]), set(s[0], plain[i], 0),
                 option(s[0], plain[i]));
    EACH("cannot be set", set(s[0], SO_TYPE, 1), set(s[0], SO_ERROR, 1), set(s[0], SO_DOMAIN, 1),
         set(s[0], SO_PROTOCOL, 1), set(s[0], SO_ACCEPTCONN, 1), set(s[0], SO_SNDLOWAT, 1),
         set(s[0], SO_PEERCRED, 1), set(s[0], SO_REUSEPORT, 1), set(s[0], 999, 1), option(s[0], 999));
    static const int sizes[] = {0, 1, 2303, 3000, 106496, 212992};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        EACH("sizes", set(s[0], SO_SNDBUF, sizes[i]), option(s[0], SO_SNDBUF), set(s[0], SO_RCVBUF, sizes[i]),
             option(s[0], SO_RCVBUF));
    char small[3] = "", large[40] = "";
    socklen_t length = sizeof small;
    EACH("short", got(getsockopt(s[0], SOL_SOCKET, SO_TYPE, small, &length)), length, small[0]);
    length = sizeof large;
    EACH("long", got(getsockopt(s[0], SOL_SOCKET, SO_TYPE, large, &length)), length, large[0]);
    length = -1;
    EACH("negative", got(getsockopt(s[0], SOL_SOCKET, SO_TYPE, large, &length)),
         got(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, large, -1)));
    EACH("too short", got(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, large, 3)),
         got(setsockopt(s[0], SOL_SOCKET, SO_LINGER, large, 4)),
         got(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, large, 8)));
    EACH("bad memory", raw(SYS_getsockopt, s[0], SOL_SOCKET, SO_TYPE, large, 8),
         raw(SYS_getsockopt, s[0], SOL_SOCKET, SO_TYPE, 8, &length),
         raw(SYS_setsockopt, s[0], SOL_SOCKET, SO_SNDBUF, 8, 4));
    length = sizeof large;
    EACH("other levels", got(getsockopt(s[0], 6, 1, large, &length)), got(setsockopt(s[0], 6, 1, large, 4)),
         got(getsockopt(s[0], 0, 1, large, &length)));
    struct linger linger = {7, 9};
    TRY("linger", got(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger)));
    length = sizeof linger;
    EACH("it is", got(getsockopt(s[0], SOL_SOCKET, SO_LINGER, &linger, &length)), linger.l_onoff,
         linger.l_linger);
    static const struct timeval times[] = {{0, 0},       {0, 4000}, {2, 500000},  {-1, 0},
                                           {0, 1000000}, {0, -1},   {1L << 62, 0}};
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++) {
        struct timeval time = {77, 77};
        length = sizeof time;
        EACH("time", got(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &times[i], sizeof *times)),
             got(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, &length)), length, time.tv_sec, time.tv_usec);
    }
}

static void addresses(void) {
    FOR_TYPES(type) {
        int s[2];
        pair(s, type);
        struct sockaddr_un name = {AF_UNIX, ""}, other = {0};
        memset(&other, 0x55, sizeof other);
        socklen_t length = sizeof other;
        EACH(type_name(type), got(getsockname(s[0], (struct sockaddr *)&other, &length)), length,
             other.sun_family, other.sun_path[0]);
        length = 1;
        memset(&other, 0x55, sizeof other);
        EACH("little room", got(getpeername(s[0], (struct sockaddr *)&other, &length)), length,
             other.sun_family);
        length = -1;
        EACH("bad room", got(getpeername(s[0], (struct sockaddr *)&other, &length)),
             raw(SYS_getsockname, s[0], &other, 8), raw(SYS_getsockname, s[0], 8, (length = 9, &length)));
        EACH("nobody comes", got(listen(s[0], 1)), got(accept(s[0], NULL, NULL)),
             raw(SYS_accept4, s[0], 0, 0, 1));
        EACH("no addresses", got(bind(s[0], (struct sockaddr *)&name, 1)),
             got(bind(s[0], (struct sockaddr *)&name, 120)), got(connect(s[0], (struct sockaddr *)&name, 2)),
             got(connect(s[0], (struct sockaddr *)&name, 200)), raw(SYS_connect, s[0], 8, 20));
        name.sun_family = AF_UNSPEC;
        EACH("disconnect", got(connect(s[0], (struct sockaddr *)&name, 2)),
             got(getpeername(s[0], (struct sockaddr *)&other, &length)), option(s[1], SO_ERROR),
             got(send(s[0], "x", 1, MSG_NOSIGNAL)), got(send(s[1], "y", 1, MSG_NOSIGNAL | MSG_DONTWAIT)));
        close_both(s);
    }
}

int main(int count, char **words) {
    static const struct part parts[] = {{"ends", ends},
                                        {"no sockets", no_sockets},
                                        {"stream", stream},
                                        {"messages", messages},
                                        {"room", room},
                                        {"closing", closing},
                                        {"shutting", shutting},
                                        {"options", options},
                                        {"addresses", addresses},
                                        {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    return run_parts(parts, count, words);
}
