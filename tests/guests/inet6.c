/* IPv6 on the loopback interface, and sockets of both families: names, who excludes whom, mapped addresses, options,
 * and what travels beside datagrams.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: no line shows a port that
 * natively is anybody's. */
#include "inet.h"

static long sent(int fd, size_t count) { return got(send(fd, big, count, 0)); }
static long taken(int fd) { return got(recv(fd, big, 100, MSG_DONTWAIT)); }

static void names(void) {
    int a = made(AF_INET6, SOCK_STREAM), u = made(AF_INET6, SOCK_DGRAM);
    show_name("fresh", a, 0), show_peer("fresh", a, 0);
    say("domain %ld, protocol %ld, %ld", option(a, SO_DOMAIN), option(a, SO_PROTOCOL), option(u, SO_PROTOCOL));
    int l = listener("::1", 5), port = own_port(l);
    TRY("connect", CONNECT(a, "::1", port));
    show_name("connected", a, own_port(a)), show_peer("connected", a, port);
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    int b = accept(l, (void *)&from, &size);
    say("from %s", in_text(&from, size, own_port(a)));
    show_name("accepted", b, port), show_peer("accepted", b, own_port(a));
    EACH("bytes", sent(a, 5), taken(b), sent(b, 7), taken(a));
    TRY("not by IPv4", CONNECT(made(AF_INET, SOCK_STREAM), "127.0.0.1", port));
    int c = made(AF_INET6, SOCK_STREAM);
    TRY("to none", CONNECT(c, "::", port));
    show_peer("is this machine", c, port);
    int d = made(AF_INET6, SOCK_STREAM);
    struct place p = at("::1", port);
    EACH("short", got(bind(d, (void *)&p.address, 23)), got(connect(d, (void *)&p.address, 23)));
    p.address.ss_family = AF_INET;
    EACH("other family", got(bind(d, (void *)&p.address, 28)), got(connect(d, (void *)&p.address, 28)));
    TRY("foreign address", BIND(d, "2001:db8::1", 0));
    TRY("old length", ({ p = at("::1", 0); got(bind(d, (void *)&p.address, 24)); }));
    EACH("datagrams", BIND(u, "::1", 0), SENDTO(made(AF_INET6, SOCK_DGRAM), "x", 1, 0, "::1", own_port(u)), taken(u));
    TRY("to IPv4 from there", SENDTO(u, "x", 1, 0, "127.0.0.1", 9));
    TRY("nobody there", ({ int e = made(AF_INET6, SOCK_DGRAM); CONNECT(e, "::1", 9); sent(e, 1); }));
}

static void both(void) {
    int l = listener("::", 5), port = own_port(l);
    show_name("all of both", l, port);
    int a = made(AF_INET, SOCK_STREAM), b = made(AF_INET6, SOCK_STREAM), c = made(AF_INET6, SOCK_STREAM);
    EACH("connect", CONNECT(a, "127.0.0.1", port), CONNECT(b, "::1", port), CONNECT(c, "::ffff:127.0.0.1", port));
    show_name("mapped", c, own_port(c)), show_peer("mapped", c, port);
    for (int i = 0; i < 3; i++) {
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof from;
        int fd = accept(l, (void *)&from, &size);
        say("from %s", in_text(&from, size, own_port(i == 0 ? a : i == 1 ? b : c)));
        show_name("at", fd, port);
    }
    EACH("nobody beside it", BIND(made(AF_INET, SOCK_STREAM), "0.0.0.0", port),
         BIND(made(AF_INET, SOCK_STREAM), "127.0.0.1", port), BIND(made(AF_INET6, SOCK_STREAM), "::1", port));
    int only = made(AF_INET6, SOCK_STREAM);
    EACH("only IPv6", number(only, IPPROTO_IPV6, IPV6_V6ONLY), choose(only, IPPROTO_IPV6, IPV6_V6ONLY, 1),
         number(only, IPPROTO_IPV6, IPV6_V6ONLY), BIND(only, "::", 0), got(listen(only, 5)));
    port = own_port(only);
    TRY("too late", choose(only, IPPROTO_IPV6, IPV6_V6ONLY, 0));
    TRY("IPv4 beside it", BIND(made(AF_INET, SOCK_STREAM), "0.0.0.0", port));
    EACH("refuses", CONNECT(made(AF_INET, SOCK_STREAM), "127.0.0.1", port), CONNECT(made(AF_INET6, SOCK_STREAM), "::1", port));
    int v = made(AF_INET6, SOCK_STREAM);
    choose(v, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    EACH("mapped", BIND(v, "::ffff:127.0.0.1", 0), CONNECT(v, "::ffff:127.0.0.1", port));
    int m = made(AF_INET6, SOCK_STREAM);
    TRY("bind to a mapped one", BIND(m, "::ffff:127.0.0.1", 0));
    show_name("mapped", m, own_port(m));
    EACH("is IPv4", got(listen(m, 5)), CONNECT(made(AF_INET, SOCK_STREAM), "127.0.0.1", own_port(m)),
         CONNECT(made(AF_INET6, SOCK_STREAM), "::1", own_port(m)));
    int u = made(AF_INET6, SOCK_DGRAM), w = made(AF_INET, SOCK_DGRAM);
    BIND(u, "::", 0);
    TRY("from IPv4", SENDTO(w, "x", 1, 0, "127.0.0.1", own_port(u)));
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    TRY("arrives", got(recvfrom(u, big, 9, 0, (void *)&from, &size)));
    say("from %s", in_text(&from, size, own_port(w)));
    TRY("answer", got(sendto(u, "yz", 2, 0, (void *)&from, size)));
    TRY("arrives", taken(w));
    TRY("to IPv4 as it is", SENDTO(u, "xyz", 3, 0, "127.0.0.1", own_port(w)));
    TRY("arrives", taken(w));
}

static void show_notes(const char *what, int fd) {
    char control[256];
    struct iovec piece = {big, 9};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    long result = got(recvmsg(fd, &message, MSG_DONTWAIT));
    say("%s: %ld, flags %x, control %d", what, result, message.msg_flags, (int)message.msg_controllen);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c && result >= 0; c = CMSG_NXTHDR(&message, c)) {
        char text[128] = "";
        for (size_t i = 0; i < c->cmsg_len - CMSG_LEN(0); i++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%02x", CMSG_DATA(c)[i]);
        say("  level %d, type %d: %s", c->cmsg_level, c->cmsg_type, text);
    }
}

static void notes(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM);
    BIND(a, "0.0.0.0", 0);
    EACH("asked for", choose(a, IPPROTO_IP, IP_PKTINFO, 1), choose(a, IPPROTO_IP, IP_RECVTTL, 1),
         choose(a, IPPROTO_IP, IP_RECVTOS, 1));
    SENDTO(b, "x", 1, 0, "127.0.0.1", own_port(a));
    show_notes("plain", a);
    EACH("changed", choose(b, IPPROTO_IP, IP_TTL, 7), choose(b, IPPROTO_IP, IP_TOS, 0x10));
    SENDTO(b, "xy", 2, 0, "127.0.0.5", own_port(a));
    show_notes("changed", a);
    int c = made(AF_INET6, SOCK_DGRAM), d = made(AF_INET6, SOCK_DGRAM);
    BIND(c, "::", 0);
    EACH("asked for", choose(c, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1), choose(c, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1),
         choose(c, IPPROTO_IPV6, IPV6_RECVTCLASS, 1));
    SENDTO(d, "x", 1, 0, "::1", own_port(c));
    show_notes("plain", c);
    EACH("changed", choose(d, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9), choose(d, IPPROTO_IPV6, IPV6_TCLASS, 0x20));
    SENDTO(d, "xy", 2, 0, "::1", own_port(c));
    show_notes("changed", c);
    SENDTO(b, "xyz", 3, 0, "127.0.0.1", own_port(c));
    show_notes("from IPv4", c);
}

/* One message with one control message beside it. */
static long sent_with(int fd, const char *ip, int port, int level, int type, const void *data, size_t count) {
    char control[128] = "";
    struct place p = at(ip, port);
    struct iovec piece = {"abc", 3};
    struct msghdr message = {.msg_name = &p.address, .msg_namelen = p.size, .msg_iov = &piece, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = CMSG_SPACE(count)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = level, c->cmsg_type = type, c->cmsg_len = CMSG_LEN(count);
    memcpy(CMSG_DATA(c), data, count);
    return got(sendmsg(fd, &message, 0));
}

static void said(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM), ttl = 77, none = 0, much = 256, tos = 8;
    BIND(a, "0.0.0.0", 0), BIND(b, "0.0.0.0", 0);
    choose(a, IPPROTO_IP, IP_RECVTTL, 1), choose(a, IPPROTO_IP, IP_RECVTOS, 1);
    TRY("a life", sent_with(b, "127.0.0.1", own_port(a), IPPROTO_IP, IP_TTL, &ttl, 4));
    show_notes("77", a);
    EACH("wrong ones", sent_with(b, "127.0.0.1", own_port(a), IPPROTO_IP, IP_TTL, &none, 4),
         sent_with(b, "127.0.0.1", own_port(a), IPPROTO_IP, IP_TTL, &much, 4),
         sent_with(b, "127.0.0.1", own_port(a), IPPROTO_IP, IP_TTL, &ttl, 1),
         sent_with(b, "127.0.0.1", own_port(a), IPPROTO_IP, 99, &ttl, 4));
    TRY("a service", sent_with(b, "127.0.0.1", own_port(a), IPPROTO_IP, IP_TOS, &tos, 4));
    show_notes("8", a);
    struct in_pktinfo info = {.ipi_spec_dst = {htonl(0x7f000009)}};
    TRY("from another address", sent_with(b, "127.0.0.1", own_port(a), IPPROTO_IP, IP_PKTINFO, &info, sizeof info));
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    TRY("arrives", got(recvfrom(a, big, 9, MSG_DONTWAIT, (void *)&from, &size)));
    say("from %s", in_text(&from, size, own_port(b)));
    int c = made(AF_INET6, SOCK_DGRAM), d = made(AF_INET6, SOCK_DGRAM), hops = 33;
    BIND(c, "::1", 0);
    choose(c, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1), choose(c, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    TRY("hops", sent_with(d, "::1", own_port(c), IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, 4));
    show_notes("33", c);
    TRY("class", sent_with(d, "::1", own_port(c), IPPROTO_IPV6, IPV6_TCLASS, &tos, 4));
    show_notes("8", c);
    EACH("wrong ones", sent_with(d, "::1", own_port(c), IPPROTO_IPV6, IPV6_HOPLIMIT, &much, 4),
         sent_with(d, "::1", own_port(c), IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, 2));
}

/* The time itself is not shown, but that it lies between two looks at the clock. */
static void stamps(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM);
    BIND(a, "127.0.0.1", 0);
    EACH("asked for", choose(a, SOL_SOCKET, SO_TIMESTAMP, 1), number(a, SOL_SOCKET, SO_TIMESTAMP), number(a, SOL_SOCKET, SO_TIMESTAMPNS));
    /* Linux begins to look at the clock a while after it was asked to. */
    pass_time(100 * MS);
    for (int nanoseconds = 0; nanoseconds < 2; nanoseconds++) {
        struct timespec before, after, shown = {0};
        char control[64];
        struct iovec piece = {big, 9};
        struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        if (nanoseconds)
            EACH("finer", choose(a, SOL_SOCKET, SO_TIMESTAMPNS, 1), number(a, SOL_SOCKET, SO_TIMESTAMP), number(a, SOL_SOCKET, SO_TIMESTAMPNS));
        clock_gettime(CLOCK_REALTIME, &before);
        SENDTO(b, "x", 1, 0, "127.0.0.1", own_port(a));
        clock_gettime(CLOCK_REALTIME, &after);
        pass_time(2 * MS);
        TRY("recvmsg", got(recvmsg(a, &message, 0)));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        memcpy(&shown, CMSG_DATA(c), sizeof shown);
        say("level %d, type %d, %d bytes", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
        int64_t ns = shown.tv_sec * INT64_C(1000000000) + shown.tv_nsec * (nanoseconds ? 1 : 1000), slack = nanoseconds ? 0 : 1000;
        say("between %d", ns + slack >= before.tv_sec * INT64_C(1000000000) + before.tv_nsec && ns <= after.tv_sec * INT64_C(1000000000) + after.tv_nsec);
    }
}

static const struct part parts[] = {
    {"names", names},
    {"both", both},
    {"notes", notes},
    {"said", said},
    {"stamps", stamps},
    {NULL, NULL},
};

int main(int count, char **words) { return run_parts(parts, count, words); }
