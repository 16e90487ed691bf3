/* UDP on the loopback interface: addresses, messages, errors, readiness, what fits, options.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: no line shows a port that
 * natively is anybody's. */
#include "inet.h"

#define UDP made(AF_INET, SOCK_DGRAM)

static void names(void) {
    int a = UDP, b = UDP;
    show_name("fresh", a, 0), show_peer("fresh", a, 0);
    say("type %ld, domain %ld, protocol %ld", option(a, SO_TYPE), option(a, SO_DOMAIN), option(a, SO_PROTOCOL));
    TRY("bind", BIND(a, "127.0.0.1", 0));
    show_name("bound", a, own_port(a));
    TRY("bind again", BIND(a, "127.0.0.1", 0));
    TRY("bind to the same", BIND(b, "127.0.0.1", own_port(a)));
    TRY("bind to all at the same", BIND(b, "0.0.0.0", own_port(a)));
    TRY("bind beside it", BIND(b, "127.0.0.2", own_port(a)));
    show_name("beside", b, own_port(a));
    int c = UDP;
    TRY("connect", CONNECT(c, "127.0.0.1", own_port(a)));
    show_name("connected", c, own_port(c)), show_peer("connected", c, own_port(a));
    TRY("connect to the other", CONNECT(c, "127.0.0.2", own_port(a)));
    show_name("connected", c, own_port(c)), show_peer("connected", c, own_port(b));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    TRY("disconnect", got(connect(c, &none, sizeof none)));
    show_name("disconnected", c, own_port(c)), show_peer("disconnected", c, 0);
    TRY("connect to nobody", CONNECT(c, "0.0.0.0", 9));
    show_peer("to this machine", c, 9);
    int d = UDP;
    TRY("foreign address", BIND(d, "203.0.113.7", 0));
    struct place p = at("127.0.0.1", 0);
    EACH("short addresses", got(bind(d, (void *)&p.address, 15)), got(bind(d, (void *)&p.address, 1)),
         got(connect(d, (void *)&p.address, 15)), got(connect(d, (void *)&p.address, 1)));
    p.address.ss_family = AF_INET6;
    EACH("other families", got(bind(d, (void *)&p.address, 16)), got(connect(d, (void *)&p.address, 16)));
    p = at("0.0.0.0", 0), p.address.ss_family = AF_UNSPEC;
    TRY("bind without a family", got(bind(d, (void *)&p.address, 16)));
    EACH("no listening", got(listen(d, 1)), got(accept(d, NULL, NULL)));
}

static void messages(void) {
    int a = UDP, b = UDP;
    BIND(a, "127.0.0.1", 0);
    TRY("to nobody", got(send(b, "x", 1, 0)));
    TRY("to no port", SENDTO(b, "x", 1, 0, "127.0.0.1", 0));
    TRY("sendto", SENDTO(b, "hello", 5, 0, "127.0.0.1", own_port(a)));
    show_name("bound by sending", b, own_port(b));
    TRY("unread", asked(a, FIONREAD));
    TRY("not sent", asked(b, TIOCOUTQ));
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    char text[64] = "";
    TRY("peek", got(recv(a, text, 3, MSG_PEEK)));
    TRY("peek for the length", got(recv(a, text, 3, MSG_PEEK | MSG_TRUNC)));
    TRY("recvfrom", got(recvfrom(a, text, sizeof text, 0, (void *)&from, &size)));
    say("'%s' from %s", text, in_text(&from, size, own_port(b)));
    TRY("nothing more", got(recv(a, text, sizeof text, MSG_DONTWAIT)));
    TRY("empty", SENDTO(b, "", 0, 0, "127.0.0.1", own_port(a)));
    say("ready %04x, unread %ld", bits(a), asked(a, FIONREAD));
    TRY("its length", got(recv(a, text, sizeof text, 0)));
    SENDTO(b, "long message", 12, 0, "127.0.0.1", own_port(a));
    struct iovec piece = {text, 4};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &piece, .msg_iovlen = 1};
    TRY("recvmsg", got(recvmsg(a, &message, 0)));
    say("flags %x, name %d bytes, '%.4s'", message.msg_flags, (int)message.msg_namelen, text);
    SENDTO(b, "long message", 12, 0, "127.0.0.1", own_port(a));
    TRY("cut, and told", got(recv(a, text, 4, MSG_TRUNC)));
    TRY("too long", SENDTO(b, big, 65508, 0, "127.0.0.1", own_port(a)));
    TRY("the longest", SENDTO(b, big, 65507, 0, "127.0.0.1", own_port(a)));
    TRY("arrives", got(recv(a, big, sizeof big, 0)));
    TRY("far too long", SENDTO(b, big, 70000, 0, "127.0.0.1", own_port(a)));
    TRY("out of band", SENDTO(b, "x", 1, MSG_OOB, "127.0.0.1", own_port(a)));
    TRY("to all", SENDTO(b, "x", 1, 0, "0.0.0.0", own_port(a)));
    TRY("arrives", got(recv(a, text, sizeof text, MSG_DONTWAIT)));
    TRY("connect", CONNECT(b, "127.0.0.1", own_port(a)));
    TRY("send", got(send(b, "x", 1, 0)));
    TRY("write", got(write(b, "xy", 2)));
    TRY("sendto, too", SENDTO(b, "xyz", 3, 0, "127.0.0.1", own_port(a)));
    EACH("arrive", got(read(a, text, 9)), got(read(a, text, 9)), got(read(a, text, 9)));
    int c = UDP;
    TRY("from another", SENDTO(c, "x", 1, 0, "127.0.0.1", own_port(b)));
    TRY("is not for the connected", got(recv(b, text, 9, MSG_DONTWAIT)));
    BIND(c, "127.0.0.1", 0);
    TRY("from its peer", SENDTO(a, "x", 1, 0, "127.0.0.1", own_port(b)));
    TRY("is", got(recv(b, text, 9, MSG_DONTWAIT)));
    struct mmsghdr many[3] = {{.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}},
                              {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}},
                              {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}}};
    TRY("sendmmsg", got(sendmmsg(b, many, 3, 0)));
    TRY("recvmmsg", got(recvmmsg(a, many, 3, MSG_DONTWAIT, NULL)));
    say("lengths %d %d %d", many[0].msg_len, many[1].msg_len, many[2].msg_len);
}

static void errors(void) {
    int a = UDP, b = UDP;
    BIND(a, "127.0.0.1", 0);
    int port = own_port(a);
    close(a);
    TRY("to a port without anybody", SENDTO(b, "x", 1, 0, "127.0.0.1", port));
    say("no error for who is not connected: %ld", option(b, SO_ERROR));
    CONNECT(b, "127.0.0.1", port);
    TRY("send", got(send(b, "x", 1, 0)));
    say("ready %04x", bits(b));
    TRY("the next send", got(send(b, "x", 1, 0)));
    TRY("and the next", got(send(b, "x", 1, 0)));
    TRY("recv", got(recv(b, big, 9, 0)));
    TRY("send", got(send(b, "x", 1, 0)));
    TRY("SO_ERROR", option(b, SO_ERROR));
    TRY("and then", option(b, SO_ERROR));
    TRY("no way", SENDTO(b, "x", 1, 0, "255.255.255.255", 9));
    TRY("shutdown of one that is not connected", got(shutdown(made(AF_INET, SOCK_DGRAM), SHUT_RDWR)));
    signal(SIGPIPE, count_broken);
    TRY("shutdown for writing", got(shutdown(b, SHUT_WR)));
    WITH_SIGNAL("send", got(send(b, "x", 1, 0)));
    say("ready %04x", bits(b));
    TRY("shutdown for reading", got(shutdown(b, SHUT_RD)));
    say("ready %04x", bits(b));
    TRY("recv", got(recv(b, big, 9, 0)));
    TRY("without waiting", got(recv(b, big, 9, MSG_DONTWAIT)));
    TRY("of a direction", got(shutdown(b, 3)));
}

static void sharing(void) {
    int a = UDP, b = UDP, on = 1;
    BIND(a, "127.0.0.1", 0);
    int port = own_port(a);
    choose(b, SOL_SOCKET, SO_REUSEADDR, on);
    TRY("only one may share", BIND(b, "127.0.0.1", port));
    TRY("now both", choose(a, SOL_SOCKET, SO_REUSEADDR, on));
    TRY("bind", BIND(b, "127.0.0.1", port));
    int c = UDP;
    SENDTO(c, "x", 1, 0, "127.0.0.1", port);
    EACH("the newest gets it", got(recv(a, big, 9, MSG_DONTWAIT)), got(recv(b, big, 9, MSG_DONTWAIT)));
    CONNECT(a, "127.0.0.1", own_port(c));
    SENDTO(c, "x", 1, 0, "127.0.0.1", port);
    EACH("the connected gets it", got(recv(a, big, 9, MSG_DONTWAIT)), got(recv(b, big, 9, MSG_DONTWAIT)));
    close(a), close(b);
    int group[4], total = 0, empty = 0;
    for (int i = 0; i < 4; i++) {
        group[i] = UDP;
        choose(group[i], SOL_SOCKET, SO_REUSEPORT, on);
        if (BIND(group[i], "127.0.0.1", port) != 0)
            say("bind %d", errno);
    }
    for (int i = 0; i < 200; i++) {
        int d = UDP;
        SENDTO(d, "x", 1, 0, "127.0.0.1", port);
        close(d);
    }
    for (int i = 0; i < 4; i++) {
        int count = 0;
        while (recv(group[i], big, 9, MSG_DONTWAIT) == 1)
            count++;
        total += count, empty += count == 0;
    }
    say("a group gets %d, %d get none", total, empty);
    int e = UDP;
    TRY("another cannot", BIND(e, "127.0.0.1", port));
    close(group[0]), close(group[1]), close(group[2]), close(group[3]);
    TRY("now it can", BIND(e, "0.0.0.0", port));
    int f = UDP;
    TRY("all excludes each", BIND(f, "127.0.0.3", port));
}

static void room(void) {
    int a = UDP, b = UDP, sizes[] = {0, 1, 100, 196, 197, 400, 1000, 5000, 30000};
    BIND(a, "127.0.0.1", 0);
    CONNECT(b, "127.0.0.1", own_port(a));
    say("buffers %ld %ld", option(a, SO_SNDBUF), option(a, SO_RCVBUF));
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int count = 0;
        for (int j = 0; j < 400; j++)
            if (send(b, big, sizes[i], MSG_DONTWAIT) != sizes[i])
                say("send: %d", errno), j = 400;
        while (recv(a, big, sizeof big, MSG_DONTWAIT) >= 0)
            count++;
        say("of 400 by %d: %d arrive", sizes[i], count);
    }
    TRY("a smaller buffer", set(a, SO_RCVBUF, 3000));
    say("is %ld", option(a, SO_RCVBUF));
    for (int j = 0; j < 50; j++)
        send(b, big, 10, 0);
    int count = 0;
    while (recv(a, big, sizeof big, MSG_DONTWAIT) >= 0)
        count++;
    say("holds %d", count);
}

static void waiting(void) {
    int a = UDP;
    BIND(a, "127.0.0.1", 0);
    int port = own_port(a);
    struct gate gate = new_gate();
    pid_t child = CHILD({
        int b = UDP;
        pass_gate(gate);
        SENDTO(b, "one", 3, 0, "127.0.0.1", port);
        pass_gate(gate);
        SENDTO(b, "three", 5, 0, "127.0.0.1", port);
        pass_gate(gate);
        SENDTO(b, "seven77", 7, 0, "127.0.0.1", port);
    });
    say("ready %04x", bits(a));
    open_gate(gate);
    TRY("recv", got(recv(a, big, 99, 0)));
    struct pollfd entry = {a, POLLIN, 0};
    open_gate(gate);
    TRY("poll", got(poll(&entry, 1, -1)));
    say("events %x, ready %04x", entry.revents, bits(a));
    TRY("recv", got(recv(a, big, 99, 0)));
    int epoll = epoll_create1(0);
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = 7}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, a, &event);
    TRY("epoll, nothing", got(epoll_wait(epoll, &event, 1, 0)));
    open_gate(gate);
    TRY("epoll", got(epoll_wait(epoll, &event, 1, -1)));
    TRY("the edge is past", got(epoll_wait(epoll, &event, 1, 0)));
    TRY("recv", got(recv(a, big, 99, 0)));
    waitpid(child, NULL, 0);
    struct timeval time = {0, 50000};
    setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    TRY("in time", got(recv(a, big, 99, 0)));
    TRY("MSG_WAITALL takes a message", ({ SENDTO(a, "x", 1, 0, "127.0.0.1", port); got(recv(a, big, 99, MSG_WAITALL)); }));
}

static const struct part parts[] = {
    {"names", names}, {"messages", messages}, {"errors", errors},   {"sharing", sharing},
    {"room", room},   {"waiting", waiting},   {NULL, NULL},
};

int main(int count, char **words) { return run_parts(parts, count, words); }
