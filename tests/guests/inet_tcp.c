/* TCP on the loopback interface: how connections begin and end, what flows, what is refused, readiness, options.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: no line shows a port that
 * natively is anybody's, nor how much a buffer takes, which is the kernel's own affair. */
#include "inet.h"

#define TCP made(AF_INET, SOCK_STREAM)

static long sent(int fd, size_t count, int flags) { return got(send(fd, big, count, flags)); }
static long taken(int fd, size_t count, int flags) { return got(recv(fd, big, count, flags)); }
static void nonblocking(int fd) { fcntl(fd, F_SETFL, O_NONBLOCK); }
static long wait_for(int fd, int events, int ms) {
    struct pollfd entry = {fd, events, 0};
    long result = got(poll(&entry, 1, ms));
    return result < 0 ? result : result ? entry.revents : 0;
}

static void begin(void) {
    int l = TCP, a = TCP;
    show_name("fresh", l, 0), show_peer("fresh", l, 0);
    say("type %ld, domain %ld, protocol %ld, ready %04x", option(l, SO_TYPE), option(l, SO_DOMAIN),
        option(l, SO_PROTOCOL), bits(l));
    TRY("bind", BIND(l, "127.0.0.1", 0));
    TRY("accept too early", got(accept(l, NULL, NULL)));
    TRY("listen", got(listen(l, 5)));
    say("ready %04x, listens %ld", bits(l), option(l, SO_ACCEPTCONN));
    show_name("listening", l, own_port(l));
    TRY("listen again", got(listen(l, 2)));
    TRY("connect a listener", CONNECT(l, "127.0.0.1", 9));
    EACH("bytes of a listener", sent(l, 1, MSG_NOSIGNAL), taken(l, 1, 0), asked(l, FIONREAD), asked(l, TIOCOUTQ));
    TRY("connect", CONNECT(a, "127.0.0.1", own_port(l)));
    show_name("connected", a, own_port(a)), show_peer("connected", a, own_port(l));
    say("ready %04x %04x", bits(a), bits(l));
    TRY("again", CONNECT(a, "127.0.0.1", own_port(l)));
    EACH("bind and listen", BIND(a, "127.0.0.1", 0), got(listen(a, 1)));
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    int b = accept4(l, (void *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    say("accepted %d from %s", b, in_text(&from, size, own_port(a)));
    say("flags %o %d", fcntl(b, F_GETFL), fcntl(b, F_GETFD));
    show_name("accepted", b, own_port(l)), show_peer("accepted", b, own_port(a));
    say("ready %04x %04x", bits(b), bits(l));
    nonblocking(l);
    EACH("nobody else", got(accept(l, NULL, NULL)), got(accept4(l, NULL, NULL, 1)), got(accept(1000, NULL, NULL)),
         got(accept(1, NULL, NULL)));
    TRY("to all", ({ int c = TCP; CONNECT(c, "0.0.0.0", own_port(l)); }));
    size = 4;
    memset(&from, 0, sizeof from);
    int d = accept(l, (void *)&from, &size);
    say("accepted %d, a part of %d bytes, family %d", d > 0, (int)size, from.ss_family);
    TRY("no room for the address", ({ int c = TCP; CONNECT(c, "127.0.0.1", own_port(l)); got(accept(l, (void *)&from, NULL)); }));
    TRY("it is lost", got(accept(l, NULL, NULL)));
    close(l);
    TRY("after the listener", sent(a, 3, 0));
    TRY("arrives", taken(b, 9, 0));
}

static void refused(void) {
    int l = listener("127.0.0.1", 1), port = own_port(l), a = TCP, b = TCP;
    close(l);
    TRY("connect", CONNECT(a, "127.0.0.1", port));
    say("ready %04x, error %ld", bits(a), option(a, SO_ERROR));
    show_name("refused", a, 0), show_peer("refused", a, 0);
    nonblocking(b);
    TRY("without waiting", CONNECT(b, "127.0.0.1", port));
    say("ready %04x", bits(b));
    TRY("error", option(b, SO_ERROR));
    say("ready %04x", bits(b));
    TRY("connect again", CONNECT(b, "127.0.0.1", port));
    TRY("and again", CONNECT(b, "127.0.0.1", port));
    TRY("and again", CONNECT(b, "127.0.0.1", port));
    signal(SIGPIPE, count_broken);
    int c = TCP;
    WITH_SIGNAL("send without a connection", sent(c, 1, 0));
    EACH("others", sent(c, 1, MSG_NOSIGNAL), taken(c, 1, 0), got(shutdown(c, SHUT_WR)), got(getpeername(c, NULL, NULL)));
    struct place p = at("127.0.0.1", port);
    EACH("short", got(connect(c, (void *)&p.address, 15)), got(connect(c, (void *)&p.address, 1)));
    p.address.ss_family = AF_INET6;
    TRY("other family", got(connect(c, (void *)&p.address, 16)));
    TRY("multicast", CONNECT(c, "224.0.0.1", 5));
    TRY("all", CONNECT(c, "255.255.255.255", 5));
}

static void unhurried(void) {
    int l = listener("127.0.0.1", 5), a = TCP;
    nonblocking(a);
    TRY("connect", CONNECT(a, "127.0.0.1", own_port(l)));
    TRY("poll", wait_for(a, POLLOUT, 1000));
    TRY("error", option(a, SO_ERROR));
    TRY("connect", CONNECT(a, "127.0.0.1", own_port(l)));
    TRY("connect", CONNECT(a, "127.0.0.1", own_port(l)));
    show_peer("connected", a, own_port(l));
    int b = accept(l, NULL, NULL);
    say("flags of who was accepted %o", fcntl(b, F_GETFL));
    int c = TCP;
    TRY("connect", CONNECT(c, "127.0.0.1", own_port(l)));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    TRY("disconnect", got(connect(c, &none, sizeof none)));
    show_name("disconnected", c, 0), show_peer("disconnected", c, 0);
    int d = accept(l, NULL, NULL);
    TRY("the other side", taken(d, 1, 0));
    TRY("elsewhere", CONNECT(c, "127.0.0.1", own_port(l)));
    int full = listener("127.0.0.1", 1), waiting[4];
    for (int i = 0; i < 4; i++) {
        waiting[i] = TCP;
        nonblocking(waiting[i]);
        CONNECT(waiting[i], "127.0.0.1", own_port(full));
    }
    for (int i = 0; i < 4; i++)
        say("of a queue for two: %ld", wait_for(waiting[i], POLLOUT, 0));
    TRY("connect", CONNECT(waiting[3], "127.0.0.1", own_port(full)));
    int first = accept(full, NULL, NULL);
    TRY("there is room", wait_for(waiting[2], POLLOUT, 5000));
    EACH("both", sent(waiting[0], 5, 0), taken(first, 9, 0));
}

static void flow(void) {
    int s[2];
    joined(s);
    EACH("bytes", sent(s[0], 5, 0), sent(s[0], 7, 0));
    say("unread %ld, not acknowledged %ld, ready %04x", asked(s[1], FIONREAD), asked(s[0], TIOCOUTQ), bits(s[1]));
    EACH("together", taken(s[1], 4, MSG_PEEK), taken(s[1], 100, MSG_PEEK), taken(s[1], 4, 0), taken(s[1], 100, 0));
    EACH("nothing", taken(s[1], 4, MSG_DONTWAIT), taken(s[1], 0, MSG_DONTWAIT), got(read(s[1], big, 0)), sent(s[0], 0, 0));
    EACH("thrown away", sent(s[0], 9, 0), got(recv(s[1], NULL, 5, MSG_TRUNC)), taken(s[1], 100, 0));
    struct sockaddr_storage from;
    memset(&from, 7, sizeof from);
    socklen_t size = sizeof from;
    sent(s[1], 3, 0);
    TRY("with an address", got(recvfrom(s[0], big, 9, 0, (void *)&from, &size)));
    say("its length %d", (int)size);
    struct place p = at("127.0.0.1", 9);
    TRY("to an address", got(sendto(s[0], big, 3, 0, (void *)&p.address, p.size)));
    TRY("arrives", taken(s[1], 9, 0));
    struct iovec pieces[2] = {{big, 3}, {big + 100, 4}};
    EACH("vectors", got(writev(s[0], pieces, 2)), got(readv(s[1], pieces, 2)));
    TRY("out of the way", got(sendfile(s[0], open("/proc/self/exe", O_RDONLY), NULL, 100)));
    TRY("arrives", taken(s[1], 200, 0));
    struct gate gate = new_gate();
    pid_t child = CHILD({
        pass_gate(gate);
        for (int i = 0; i < 40; i++)
            if (write(s[0], big, 100000) != 100000)
                abort();
        pass_gate(gate);
        sent(s[0], 3, 0);
        pass_gate(gate);
        sent(s[0], 4, 0);
    });
    open_gate(gate);
    long total = 0;
    while (total < 4000000)
        total += taken(s[1], sizeof big, 0);
    say("all %ld", total);
    open_gate(gate), open_gate(gate);
    TRY("as much as is wanted", taken(s[1], 7, MSG_WAITALL));
    close(s[0]);
    waitpid(child, NULL, 0);
    TRY("less at the end", taken(s[1], 7, MSG_WAITALL));
}

static void ends(void) {
    int s[2];
    joined(s);
    signal(SIGPIPE, count_broken);
    sent(s[0], 5, 0);
    TRY("shutdown", got(shutdown(s[0], SHUT_WR)));
    show_bits("one is mute", s);
    WITH_SIGNAL("send", sent(s[0], 1, 0));
    EACH("the rest", taken(s[1], 9, 0), taken(s[1], 9, 0), taken(s[1], 9, 0));
    EACH("the other way", sent(s[1], 6, 0), taken(s[0], 9, 0));
    close(s[1]);
    show_peer("closed by the other", s[0], 0);
    TRY("its end", taken(s[0], 9, 0));
    say("ready %04x", bits(s[0]));
    TRY("shutdown", got(shutdown(s[0], SHUT_RDWR)));
    close(s[0]);
    joined(s);
    close(s[1]);
    say("closed: %04x", bits(s[0]));
    EACH("an end, then bytes for nobody", taken(s[0], 9, 0), sent(s[0], 3, 0));
    say("ready %04x", bits(s[0]));
    TRY("read before the error", taken(s[0], 9, 0));
    WITH_SIGNAL("send", sent(s[0], 1, 0));
    WITH_SIGNAL("send", sent(s[0], 1, 0));
    TRY("recv", taken(s[0], 9, 0));
    close(s[0]);
    joined(s);
    sent(s[0], 5, 0), sent(s[1], 4, 0);
    close(s[1]);
    say("closed with something unread: %04x", bits(s[0]));
    EACH("what came before", taken(s[0], 9, 0), taken(s[0], 9, 0), taken(s[0], 9, 0));
    WITH_SIGNAL("send", sent(s[0], 1, 0));
    close(s[0]);
    joined(s);
    TRY("deaf", got(shutdown(s[1], SHUT_RD)));
    show_bits("one is deaf", s);
    TRY("end at once", taken(s[1], 9, 0));
    TRY("bytes for the deaf", sent(s[0], 5, 0));
    EACH("are heard", taken(s[1], 9, 0), taken(s[1], 9, 0));
    close(s[0]), close(s[1]);
    joined(s);
    struct linger linger = {1, 0};
    setsockopt(s[1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    sent(s[1], 3, 0);
    close(s[1]);
    say("closed without lingering: %04x", bits(s[0]));
    TRY("error", option(s[0], SO_ERROR));
    EACH("before", taken(s[0], 9, 0), taken(s[0], 9, 0));
    close(s[0]);
    joined(s);
    nonblocking(s[0]);
    while (sent(s[0], 100000, 0) > 0)
        ;
    say("full: %04x", bits(s[0]) & POLLOUT);
    TRY("both", got(shutdown(s[0], SHUT_RDWR)));
    say("ready %04x", bits(s[0]));
    long total = 0, moved;
    while ((moved = taken(s[1], sizeof big, 0)) > 0)
        total += moved;
    say("then its end %ld, much %d", moved, total > 100000);
}

static void urgent(void) {
    int s[2];
    joined(s);
    sent(s[0], 2, 0);
    memcpy(big, "ab!", 3);
    TRY("nothing urgent", taken(s[1], 1, MSG_OOB));
    TRY("urgent", sent(s[0], 3, MSG_OOB));
    memcpy(big, "cd", 2);
    sent(s[0], 2, 0);
    say("ready %04x", bits(s[1]));
    TRY("before", taken(s[1], 99, 0));
    TRY("mark", asked(s[1], SIOCATMARK));
    TRY("taken", taken(s[1], 1, MSG_OOB));
    say("is '%c'", big[0]);
    TRY("once", taken(s[1], 1, MSG_OOB));
    TRY("behind", taken(s[1], 99, 0));
    TRY("mark", asked(s[1], SIOCATMARK));
    TRY("among others", set(s[1], SO_OOBINLINE, 1));
    memcpy(big, "xy", 2);
    sent(s[0], 2, MSG_OOB);
    TRY("not apart", taken(s[1], 1, MSG_OOB));
    EACH("in order", taken(s[1], 99, 0), taken(s[1], 99, MSG_DONTWAIT));
}

static void again(void) {
    int l = TCP, on = 1;
    BIND(l, "127.0.0.1", 0), listen(l, 5);
    int port = own_port(l), a = TCP, m = TCP;
    CONNECT(a, "127.0.0.1", port);
    int b = accept(l, NULL, NULL);
    TRY("a second listener", BIND(m, "127.0.0.1", port));
    set(m, SO_REUSEADDR, on);
    TRY("that shares", BIND(m, "127.0.0.1", port));
    close(l);
    TRY("while a connection is there", BIND(m, "127.0.0.1", port));
    close(b), close(a);
    TRY("while one is remembered", BIND(m, "127.0.0.1", port));
    l = TCP, set(l, SO_REUSEADDR, on);
    BIND(l, "127.0.0.1", 0), listen(l, 5);
    port = own_port(l), a = TCP, CONNECT(a, "127.0.0.1", port), b = accept(l, NULL, NULL);
    close(l), close(b), close(a);
    int n = TCP;
    TRY("one that does not share", BIND(n, "127.0.0.1", port));
    set(n, SO_REUSEADDR, on);
    TRY("one that does", BIND(n, "127.0.0.1", port));
    TRY("listen", got(listen(n, 1)));
    int x = TCP, y = TCP;
    set(x, SO_REUSEADDR, on), set(y, SO_REUSEADDR, on);
    BIND(x, "127.0.0.1", 0), port = own_port(x);
    TRY("two that do not listen", BIND(y, "127.0.0.1", port));
    EACH("only one can", got(listen(x, 1)), got(listen(y, 1)));
    int group[3], total[3] = {0};
    for (int i = 0; i < 3; i++) {
        group[i] = TCP, choose(group[i], SOL_SOCKET, SO_REUSEPORT, 1);
        EACH("of a group", BIND(group[i], "127.0.0.1", i ? own_port(group[0]) : 0), got(listen(group[i], 100)));
        nonblocking(group[i]);
    }
    for (int i = 0; i < 90; i++) {
        int c = TCP;
        CONNECT(c, "127.0.0.1", own_port(group[0]));
    }
    for (int i = 0; i < 3; i++)
        while (accept(group[i], NULL, NULL) >= 0)
            total[i]++;
    say("they share %d, none is idle %d", total[0] + total[1] + total[2], total[0] && total[1] && total[2]);
    int all = TCP;
    TRY("all addresses", BIND(all, "0.0.0.0", 0));
    listen(all, 1);
    int one = TCP;
    TRY("one of them", BIND(one, "127.0.0.9", own_port(all)));
    a = TCP;
    TRY("connect from", BIND(a, "127.0.0.7", 0));
    TRY("to", CONNECT(a, "127.0.0.8", own_port(all)));
    show_name("from", a, own_port(a));
    b = accept(all, NULL, NULL);
    show_name("accepted", b, own_port(all)), show_peer("accepted", b, own_port(a));
    show_name("listener", all, own_port(all));
}

static void options(void) {
    static const struct {
        const char *name;
        int level, option, values[4];
    } rows[] = {
        {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, {1, 7, 0, -1}},
        {"TCP_CORK", IPPROTO_TCP, TCP_CORK, {1, 0, 2, 0}},
        {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, {10, 0, 32767, 32768}},
        {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, {10, 0, 32767, 32768}},
        {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, {5, 0, 127, 128}},
        {"TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, {5, 0, 127, 128}},
        {"TCP_LINGER2", IPPROTO_TCP, TCP_LINGER2, {5, -4, 0, 60}},
        {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, {5000, -1, 0, 1}},
        {"TCP_MAXSEG", IPPROTO_TCP, TCP_MAXSEG, {1000, 0, 87, 32768}},
        {"IP_TTL", IPPROTO_IP, IP_TTL, {5, 0, 256, -1}},
        {"IP_TOS", IPPROTO_IP, IP_TOS, {16, 0, 8, 4}},
        {"IP_MTU_DISCOVER", IPPROTO_IP, IP_MTU_DISCOVER, {0, 3, 6, 2}},
        {"IP_FREEBIND", IPPROTO_IP, IP_FREEBIND, {1, 0, 5, 0}},
        {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, {1, 0, 2, 0}},
        {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, {1, 0, 2, 0}},
        {"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT, {1, 0, 2, 0}},
        {"SO_BROADCAST", SOL_SOCKET, SO_BROADCAST, {1, 0, 2, 0}},
        {"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, {10, 0, 1, 1}},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = TCP;
        say("%s is %ld", rows[i].name, number(fd, rows[i].level, rows[i].option));
        for (int j = 0; j < 4; j++)
            EACH("  set", rows[i].values[j], choose(fd, rows[i].level, rows[i].option, rows[i].values[j]),
                 number(fd, rows[i].level, rows[i].option));
        close(fd);
    }
    int fd = TCP;
    char byte = 9, name[16] = "";
    EACH("short", got(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &byte, 1)), got(setsockopt(fd, IPPROTO_IP, IP_TTL, &byte, 1)));
    TRY("a byte", number(fd, IPPROTO_IP, IP_TTL));
    socklen_t size = 1;
    TRY("shown in one", got(getsockopt(fd, IPPROTO_IP, IP_TTL, &byte, &size)));
    say("%d in %d", byte, (int)size);
    TRY("unknown", choose(fd, IPPROTO_TCP, 99, 1));
    TRY("unknown", number(fd, IPPROTO_IP, 9999));
    TRY("unknown level", choose(fd, 77, 1, 1));
    TRY("of UDP", choose(fd, IPPROTO_UDP, 1, 1));
    TRY("of IPv6", choose(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    EACH("congestion", got(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nonsense", 8)),
         got(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4)));
    size = sizeof name;
    TRY("is", got(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size)));
    say("'%s' in %d", name, (int)size);
    say("buffers %ld %ld", option(fd, SO_SNDBUF), option(fd, SO_RCVBUF));
    EACH("sizes", set(fd, SO_SNDBUF, 10000), option(fd, SO_SNDBUF), set(fd, SO_RCVBUF, 20000), option(fd, SO_RCVBUF),
         set(fd, SO_SNDBUF, 1), option(fd, SO_SNDBUF));
    int s[2];
    joined(s);
    struct tcp_info info = {0};
    size = sizeof info;
    sent(s[0], 1000, 0), taken(s[1], 400, 0);
    TRY("TCP_INFO", got(getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &info, &size)));
    say("state %d, unacked %d, retransmits %d", info.tcpi_state, info.tcpi_unacked, info.tcpi_retransmits);
    size = sizeof info;
    TRY("of a fresh one", got(getsockopt(TCP, IPPROTO_TCP, TCP_INFO, &info, &size)));
    say("state %d", info.tcpi_state);
    size = sizeof info;
    shutdown(s[0], SHUT_WR);
    getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &info, &size);
    say("half closed: state %d", info.tcpi_state);
    size = sizeof info;
    getsockopt(s[1], IPPROTO_TCP, TCP_INFO, &info, &size);
    say("the other: state %d", info.tcpi_state);
    TRY("in time", ({
            struct timeval time = {0, 30000};
            setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
            taken(s[0], 1, 0);
        }));
}

static void events(void) {
    int l = listener("127.0.0.1", 5), epoll = epoll_create1(0), a = TCP;
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = 1}}, all[4];
    epoll_ctl(epoll, EPOLL_CTL_ADD, l, &event);
    event = (struct epoll_event){EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u32 = 2}};
    nonblocking(a);
    epoll_ctl(epoll, EPOLL_CTL_ADD, a, &event);
#define SHOW(what) \
    do { \
        int count_ = epoll_wait(epoll, all, 4, 0); \
        say(what ": %d", count_); \
        for (int i_ = 0; i_ < count_; i_++) \
            say("  %d: %04x", all[i_].data.u32, all[i_].events); \
    } while (0)
    SHOW("fresh");
    CONNECT(a, "127.0.0.1", own_port(l));
    SHOW("connected");
    SHOW("nothing new");
    int b = accept4(l, NULL, NULL, SOCK_NONBLOCK);
    SHOW("accepted");
    event = (struct epoll_event){EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u32 = 3}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, b, &event);
    SHOW("another");
    sent(a, 5, 0);
    SHOW("bytes");
    taken(b, 2, 0);
    SHOW("some read");
    sent(a, 5, 0);
    SHOW("more bytes");
    while (sent(a, 100000, 0) > 0)
        ;
    SHOW("full");
    while (taken(b, 100000, 0) > 0)
        ;
    pass_time(50 * MS);
    int count = epoll_wait(epoll, all, 4, 1000), writable = 0;
    for (int i = 0; i < count; i++)
        writable |= all[i].data.u32 == 2 && all[i].events & EPOLLOUT;
    say("read again: writable %d", writable);
    shutdown(a, SHUT_WR);
    SHOW("half closed");
    close(b);
    SHOW("closed");
}

static void processes(void) {
    int l = listener("127.0.0.1", 5), port = own_port(l);
    struct gate gate = new_gate();
    pid_t child = CHILD({
        pass_gate(gate);
        int a = TCP;
        CONNECT(a, "127.0.0.1", port);
        char text[8] = "";
        recv(a, text, 5, MSG_WAITALL);
        send(a, text, 5, 0);
        pass_gate(gate);
    });
    open_gate(gate);
    int b = accept(l, NULL, NULL);
    say("accepted %d", b > 0);
    TRY("question", got(send(b, "hello", 5, 0)));
    char text[8] = "";
    TRY("answer", got(recv(b, text, sizeof text, 0)));
    say("'%s'", text);
    open_gate(gate);
    TRY("the end of a process", got(recv(b, text, sizeof text, 0)));
    waitpid(child, NULL, 0);
    int sides[3];
    for (int i = 0; i < 3; i++)
        sides[i] = CHILD({
            pass_gate(gate);
            int c = accept(l, NULL, NULL);
            write(c, "x", 1);
            _exit(c > 0 ? 40 : 41);
        });
    for (int i = 0; i < 3; i++)
        open_gate(gate);
    for (int i = 0; i < 3; i++) {
        int c = TCP;
        CONNECT(c, "127.0.0.1", port);
        say("served: %ld", got(read(c, text, 8)));
        close(c);
    }
    for (int i = 0; i < 3; i++) {
        int status;
        waitpid(sides[i], &status, 0);
        say("%s", in_words(status));
    }
    struct timeval time = {0, 50000};
    setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    TRY("nobody comes in time", got(accept(l, NULL, NULL)));
    int self_ = TCP;
    BIND(self_, "127.0.0.1", 0);
    TRY("with itself", CONNECT(self_, "127.0.0.1", own_port(self_)));
    EACH("talks", sent(self_, 3, 0), taken(self_, 9, 0));
    show_peer("itself", self_, own_port(self_));
}

static const struct part parts[] = {
    {"begin", begin},   {"refused", refused}, {"unhurried", unhurried}, {"flow", flow},     {"ends", ends},
    {"urgent", urgent}, {"again", again},     {"options", options},     {"events", events}, {"processes", processes},
    {NULL, NULL},
};

int main(int count, char **words) { return run_parts(parts, count, words); }
