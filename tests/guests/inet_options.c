/* Options of sockets with IP addresses that change what calls do: ends that are waited for, offsets of looks, stamps, losses
 * that are counted, datagrams that are put together and cut.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: no line shows a port that
 * natively is anybody's, or a time; what lasts is told in tenths of a second. */
#include "inet.h"
#include <netinet/udp.h>

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF 42
#endif
#ifndef SO_RXQ_OVFL
#define SO_RXQ_OVFL 40
#endif
#ifndef SO_TIMESTAMPING
#define SO_TIMESTAMPING 37
#endif
#ifndef UDP_CORK
#define UDP_CORK 1
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef IP_RECVORIGDSTADDR
#define IP_RECVORIGDSTADDR 20
#endif
#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_RECVORIGDSTADDR 74
#endif

/* In tenths of a second. */
static long since(struct timespec start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 + 30) / 100;
}

#define TIMED(name, call) \
    do { \
        struct timespec start_; \
        clock_gettime(CLOCK_MONOTONIC, &start_); \
        EACH(name, got(call), since(start_)); \
    } while (0)

static void linger_for(int fd, int seconds) {
    struct linger how = {1, seconds};
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &how, sizeof how) != 0)
        abort();
}

/* A connection whose first end has sent more than the second one takes without reading. */
static void filled(int s[2], int seconds) {
    joined(s);
    linger_for(s[0], seconds);
    while (send(s[0], big, sizeof big, MSG_DONTWAIT) > 0)
        ;
}

static void *read_later(void *end) {
    pass_time(300 * MS);
    while (recv(*(int *)end, big, sizeof big, 0) > 0)
        ;
    return NULL;
}

static void lingers(void) {
    int s[2];
    struct timespec start;
    pthread_t reader;
    joined(s), linger_for(s[0], 2);
    send(s[0], big, 100, 0);
    TIMED("all has come", close(s[0]));
    filled(s, 1);
    TIMED("nobody reads", close(s[0]));
    filled(s, 5);
    pthread_create(&reader, NULL, read_later, &s[1]);
    TIMED("somebody reads later", close(s[0]));
    pthread_join(reader, NULL);
    filled(s, 1);
    fcntl(s[0], F_SETFL, O_NONBLOCK);
    TIMED("without waiting", close(s[0]));
    filled(s, 1);
    int copy = dup(s[0]);
    TIMED("there is a copy", close(s[0]));
    TIMED("it was the last", close(copy));
    filled(s, 1);
    TIMED("by another", dup2(s[1], s[0]) - s[0]);
    filled(s, 5);
    TRY("nothing more is sent", got(shutdown(s[0], SHUT_WR)));
    pthread_create(&reader, NULL, read_later, &s[1]);
    TIMED("and closed", close(s[0]));
    pthread_join(reader, NULL);
    filled(s, 5);
    clock_gettime(CLOCK_MONOTONIC, &start);
    int gate[2];
    if (pipe(gate) != 0)
        abort();
    pid_t child = CHILD({ close(gate[1]), _exit(read(gate[0], big, 1)); });
    close(s[0]), close(gate[1]);
    status_of(child);
    EACH("by the end of a process", since(start));
    int l = listener("127.0.0.1", 5);
    linger_for(l, 2);
    TIMED("one that listens", close(l));
}

static void looks(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM), s[2];
    BIND(a, "127.0.0.1", 0);
    EACH("of datagrams", option(a, SO_PEEK_OFF), set(a, SO_PEEK_OFF, 2), option(a, SO_PEEK_OFF));
    SENDTO(b, "abcdef", 6, 0, "127.0.0.1", own_port(a)), SENDTO(b, "ghi", 3, 0, "127.0.0.1", own_port(a));
#define LOOK(fd, room, flags) \
    do { \
        memset(big, 0, 99); \
        long result_ = got(recv(fd, big, room, MSG_DONTWAIT | (flags))); \
        say("%s%s: %ld '%s', then at %ld", #flags, #room, result_, big, option(fd, SO_PEEK_OFF)); \
    } while (0)
    LOOK(a, 2, MSG_PEEK);
    LOOK(a, 9, MSG_PEEK);
    LOOK(a, 9, MSG_PEEK);
    LOOK(a, 9, MSG_PEEK);
    LOOK(a, 9, 0);
    LOOK(a, 9, MSG_PEEK);
    LOOK(a, 9, 0);
    EACH("off", set(a, SO_PEEK_OFF, -1), option(a, SO_PEEK_OFF), set(a, SO_PEEK_OFF, -7), option(a, SO_PEEK_OFF));
    joined(s);
    EACH("of a stream", option(s[0], SO_PEEK_OFF), set(s[0], SO_PEEK_OFF, 1), option(s[0], SO_PEEK_OFF));
    send(s[1], "abcdef", 6, 0), send(s[1], "ghi", 3, 0);
    LOOK(s[0], 2, MSG_PEEK);
    LOOK(s[0], 3, MSG_PEEK);
    LOOK(s[0], 9, MSG_PEEK);
    LOOK(s[0], 9, MSG_PEEK);
    LOOK(s[0], 2, 0);
    LOOK(s[0], 9, 0);
    LOOK(s[0], 9, 0);
    EACH("of one without", set(made(AF_INET6, SOCK_STREAM), SO_PEEK_OFF, 3));
}

/* The control messages of the next datagram, by what they are. */
static void told(const char *what, int fd, int flags) {
    char control[512], text[4096];
    struct iovec piece = {text, sizeof text};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    long result = got(recvmsg(fd, &message, MSG_DONTWAIT | flags));
    say("%s: %ld, flags %x", what, result, result < 0 ? 0 : message.msg_flags);
    for (struct cmsghdr *c = result < 0 ? NULL : CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        const int64_t *words = (void *)CMSG_DATA(c);
        const unsigned char *bytes = CMSG_DATA(c);
        if (c->cmsg_type == SO_TIMESTAMPING && c->cmsg_level == SOL_SOCKET)
            say("  stamps of %d bytes, set %d %d %d", (int)c->cmsg_len, words[0] != 0, words[2] != 0, words[4] != 0);
        else if (c->cmsg_type == SO_RXQ_OVFL && c->cmsg_level == SOL_SOCKET)
            say("  lost %d", *(int *)CMSG_DATA(c));
        else if (c->cmsg_type == SO_TIMESTAMP && c->cmsg_level == SOL_SOCKET)
            say("  stamp of %d bytes", (int)c->cmsg_len);
        else
            say("  level %d, type %d, %d bytes: %02x%02x, at %d.%d.%d.%d", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len,
                bytes[0], bytes[1], bytes[4], bytes[5], bytes[6], bytes[7]);
    }
}

static void losses(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM);
    BIND(a, "127.0.0.1", 0);
    int port = own_port(a);
    EACH("not asked for", option(a, SO_RXQ_OVFL));
    choose(a, SOL_SOCKET, SO_RCVBUF, 4000);
    int count = 0;
    for (int i = 0; i < 30; i++)
        SENDTO(b, big, 1000, 0, "127.0.0.1", port);
    EACH("asked for", set(a, SO_RXQ_OVFL, 7), option(a, SO_RXQ_OVFL));
    while (recv(a, big, 2000, MSG_DONTWAIT | (count == 0 ? MSG_PEEK : 0)) >= 0)
        count++;
    SENDTO(b, big, 10, 0, "127.0.0.1", port);
    say("%d have come", count - 1);
    told("the next", a, 0);
    int c = made(AF_INET, SOCK_DGRAM);
    BIND(c, "127.0.0.1", 0), set(c, SO_RXQ_OVFL, 1);
    SENDTO(b, big, 10, 0, "127.0.0.1", own_port(c));
    told("none was lost", c, 0);
}

static void stamps(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM);
    BIND(a, "127.0.0.1", 0);
    int port = own_port(a);
    enum { RX_SOFTWARE = 8, SOFTWARE = 16 };
    EACH("asked for", option(a, SO_TIMESTAMPING), set(a, SO_TIMESTAMPING, SOFTWARE), option(a, SO_TIMESTAMPING),
         set(a, SO_TIMESTAMPING, 1 << 28));
    EACH("and taken", set(a, SO_TIMESTAMPING, SOFTWARE | RX_SOFTWARE), option(a, SO_TIMESTAMPING));
    /* Linux begins to look at the clock a little later. */
    pass_time(100 * MS);
    SENDTO(b, "x", 1, 0, "127.0.0.1", port);
    told("both", a, 0);
    EACH("and the old form", set(a, SO_TIMESTAMP, 1), option(a, SO_TIMESTAMP));
    SENDTO(b, "x", 1, 0, "127.0.0.1", port);
    told("all", a, 0);
    EACH("off", set(a, SO_TIMESTAMP, 0), set(a, SO_TIMESTAMPING, 0));
    SENDTO(b, "x", 1, 0, "127.0.0.1", port);
    told("none", a, 0);
}

static void corks(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM);
    BIND(a, "127.0.0.1", 0);
    int port = own_port(a);
    CONNECT(b, "127.0.0.1", port);
    EACH("cork", number(b, IPPROTO_UDP, UDP_CORK), choose(b, IPPROTO_UDP, UDP_CORK, 5), number(b, IPPROTO_UDP, UDP_CORK));
    EACH("two parts", got(send(b, "one", 3, 0)), got(send(b, "two", 3, 0)), got(recv(a, big, 99, MSG_DONTWAIT)));
    EACH("one datagram", choose(b, IPPROTO_UDP, UDP_CORK, 0), got(recv(a, big, 99, MSG_DONTWAIT)));
    EACH("more", got(send(b, "one", 3, MSG_MORE)), got(send(b, "two", 3, MSG_MORE)), got(recv(a, big, 99, MSG_DONTWAIT)),
         got(send(b, "3", 1, 0)), got(recv(a, big, 99, MSG_DONTWAIT)), got(recv(a, big, 99, MSG_DONTWAIT)));
    EACH("nothing to cork", choose(b, IPPROTO_UDP, UDP_CORK, 1), choose(b, IPPROTO_UDP, UDP_CORK, 0),
         got(recv(a, big, 99, MSG_DONTWAIT)));
    EACH("too much", got(send(b, big, 60000, MSG_MORE)), got(send(b, big, 6000, 0)), got(recv(a, big, 99, MSG_DONTWAIT)));
    EACH("afterwards", got(send(b, "four", 4, 0)), got(recv(a, big, 99, MSG_DONTWAIT)));
}

static void segments(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM);
    BIND(a, "127.0.0.1", 0);
    int port = own_port(a);
    CONNECT(b, "127.0.0.1", port);
    EACH("segments", number(b, IPPROTO_UDP, UDP_SEGMENT), choose(b, IPPROTO_UDP, UDP_SEGMENT, 1000),
         number(b, IPPROTO_UDP, UDP_SEGMENT), choose(b, IPPROTO_UDP, UDP_SEGMENT, 70000), choose(b, IPPROTO_UDP, UDP_SEGMENT, -1));
    TRY("four", got(send(b, big, 3500, 0)));
    EACH("they come", got(recv(a, big, 9999, MSG_DONTWAIT)), got(recv(a, big, 9999, MSG_DONTWAIT)),
         got(recv(a, big, 9999, MSG_DONTWAIT)), got(recv(a, big, 9999, MSG_DONTWAIT)), got(recv(a, big, 9999, MSG_DONTWAIT)));
    EACH("one", got(send(b, big, 1000, 0)), got(recv(a, big, 9999, MSG_DONTWAIT)), got(recv(a, big, 9999, MSG_DONTWAIT)));
    EACH("too many", choose(b, IPPROTO_UDP, UDP_SEGMENT, 100), got(send(b, big, 12801, 0)));
    int count = 0;
    TRY("as many as may be", got(send(b, big, 12800, 0)));
    while (recv(a, big, 999, MSG_DONTWAIT) == 100)
        count++;
    say("%d come", count);
    choose(b, IPPROTO_UDP, UDP_SEGMENT, 0);
    char control[CMSG_SPACE(2)] = {0};
    struct iovec piece = {big, 700};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(2), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT};
    uint16_t size = 300;
    memcpy(CMSG_DATA(c), &size, 2);
    EACH("by a message", got(sendmsg(b, &message, 0)), got(recv(a, big, 9999, MSG_DONTWAIT)), got(recv(a, big, 9999, MSG_DONTWAIT)),
         got(recv(a, big, 9999, MSG_DONTWAIT)), got(recv(a, big, 9999, MSG_DONTWAIT)));
    c->cmsg_len = CMSG_LEN(1);
    TRY("of another size", got(sendmsg(b, &message, 0)));
    c->cmsg_len = CMSG_LEN(2), c->cmsg_type = 99;
    TRY("of another type", got(sendmsg(b, &message, 0)));
    EACH("grouped", number(a, IPPROTO_UDP, UDP_GRO), choose(a, IPPROTO_UDP, UDP_GRO, 7), number(a, IPPROTO_UDP, UDP_GRO),
         choose(a, IPPROTO_UDP, UDP_GRO, 0));
    EACH("other options", number(a, IPPROTO_UDP, 99), choose(a, IPPROTO_UDP, 99, 1));
}

static void targets(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM), c = made(AF_INET6, SOCK_DGRAM);
    BIND(a, "0.0.0.0", 0);
    EACH("asked for", number(a, IPPROTO_IP, IP_RECVORIGDSTADDR), choose(a, IPPROTO_IP, IP_RECVORIGDSTADDR, 1),
         number(a, IPPROTO_IP, IP_RECVORIGDSTADDR));
    SENDTO(b, "x", 1, 0, "127.0.0.9", own_port(a));
    char control[512], text[9];
    struct iovec piece = {text, sizeof text};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    TRY("came", got(recvmsg(a, &message, 0)));
    struct cmsghdr *it = CMSG_FIRSTHDR(&message);
    if (it)
        say("level %d, type %d, %d bytes: %s", it->cmsg_level, it->cmsg_type, (int)it->cmsg_len,
            in_text((void *)CMSG_DATA(it), 16, own_port(a)));
    BIND(c, "::", 0);
    EACH("asked for", number(c, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR), choose(c, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1),
         number(c, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR));
    SENDTO(made(AF_INET6, SOCK_DGRAM), "x", 1, 0, "::1", own_port(c));
    message.msg_controllen = sizeof control;
    TRY("came", got(recvmsg(c, &message, 0)));
    it = CMSG_FIRSTHDR(&message);
    if (it)
        say("level %d, type %d, %d bytes: %s", it->cmsg_level, it->cmsg_type, (int)it->cmsg_len,
            in_text((void *)CMSG_DATA(it), 28, own_port(c)));
}

/* What may be cut, and how small: the sizes count headers of 40 bytes, and 8 of UDP. */
static void cuts(void) {
    int a = made(AF_INET6, SOCK_DGRAM), b = made(AF_INET6, SOCK_DGRAM), s = made(AF_INET, SOCK_DGRAM);
    BIND(a, "::1", 0);
    int port = own_port(a);
    TRY("before a peer", number(b, IPPROTO_IPV6, IPV6_MTU));
    for (int mtu = 1279; mtu < 1283; mtu++)
        TRY("as small as", choose(b, IPPROTO_IPV6, IPV6_MTU, mtu));
    EACH("odd", choose(b, IPPROTO_IPV6, IPV6_MTU, -1), choose(b, IPPROTO_IPV6, IPV6_MTU, 70000), choose(b, IPPROTO_IPV6, IPV6_MTU, 1),
         choose(s, IPPROTO_IPV6, IPV6_MTU, 1280), got(setsockopt(b, IPPROTO_IPV6, IPV6_MTU, big, 2)));
    TRY("least", choose(b, IPPROTO_IPV6, IPV6_MTU, 1280));
    TRY("cut", SENDTO(b, big, 3000, 0, "::1", port));
    TRY("comes whole", got(recv(a, big, sizeof big, MSG_DONTWAIT)));
    TRY("not to be cut", choose(b, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO));
    EACH("fits, does not", SENDTO(b, big, 1232, 0, "::1", port), SENDTO(b, big, 1233, 0, "::1", port));
    TRY("may be cut", choose(b, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT));
    TRY("not by this host", choose(b, IPPROTO_IPV6, 62 /* IPV6_DONTFRAG */, 1));
    EACH("fits, does not", SENDTO(b, big, 1232, 0, "::1", port), SENDTO(b, big, 1233, 0, "::1", port));
    TRY("as the interface has it", choose(b, IPPROTO_IPV6, IPV6_MTU, 0));
    EACH("fits, does not", SENDTO(b, big, 65480, 0, "::1", port), SENDTO(b, big, 65500, 0, "::1", port));
    CONNECT(b, "::1", port);
    TRY("to a peer", number(b, IPPROTO_IPV6, IPV6_MTU));
    EACH("of IPv4", number(s, IPPROTO_IP, IP_MTU), choose(s, IPPROTO_IP, IP_MTU, 1280));
    while (recv(a, big, sizeof big, MSG_DONTWAIT) > 0)
        ;
}

static const struct part parts[] = {
    {"lingers", lingers}, {"looks", looks},       {"losses", losses},   {"stamps", stamps},
    {"corks", corks},     {"segments", segments}, {"targets", targets}, {"cuts", cuts},
    {NULL, NULL},
};

int main(int count, char **words) { return run_parts(parts, count, words); }
