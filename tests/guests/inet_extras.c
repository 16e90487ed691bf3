/* What goes beyond streams and datagrams: failures in detail, groups, echoes, sockets that nobody gets.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: no line shows a port that
 * natively is anybody's. */
#include "inet.h"
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

/* As <linux/errqueue.h> has it, which not every C library's compiler finds. */
struct failure {
    uint32_t error;
    uint8_t origin, type, code, pad;
    uint32_t info, data;
    struct sockaddr_storage offender;
};

static void show_failure(const char *what, int fd, int port) {
    char control[256], text[16] = "";
    struct sockaddr_storage from = {0};
    struct iovec piece = {text, 8};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &piece, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    long result = got(recvmsg(fd, &message, MSG_ERRQUEUE));
    say("%s: %ld", what, result);
    if (result < 0)
        return;
    say("  '%s' to %s, flags %x, control %d", text, in_text(&from, message.msg_namelen, port), message.msg_flags,
        (int)message.msg_controllen);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        struct failure failure = {0};
        memcpy(&failure, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        say("  level %d, type %d: errno %d, origin %d, %d.%d, info %d, data %d", c->cmsg_level, c->cmsg_type, failure.error,
            failure.origin, failure.type, failure.code, failure.info, failure.data);
        say("  from %s", in_text(&failure.offender, 1, 0));
    }
}

static void failures(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM);
    BIND(a, "127.0.0.1", 0);
    int port = own_port(a);
    close(a);
    EACH("asked for", number(b, IPPROTO_IP, IP_RECVERR), choose(b, IPPROTO_IP, IP_RECVERR, 1), number(b, IPPROTO_IP, IP_RECVERR));
    show_failure("nothing", b, port);
    TRY("to nobody", SENDTO(b, "one", 3, 0, "127.0.0.1", port));
    say("ready %04x", bits(b));
    TRY("to nobody", SENDTO(b, "two", 3, 0, "127.0.0.1", port));
    TRY("to nobody", SENDTO(b, "three", 5, 0, "127.0.0.1", port));
    show_failure("first", b, port);
    say("ready %04x", bits(b));
    show_failure("second", b, port);
    say("ready %04x", bits(b));
    show_failure("nothing more", b, port);
    TRY("error", option(b, SO_ERROR));
    int c = made(AF_INET6, SOCK_DGRAM), d = made(AF_INET6, SOCK_DGRAM);
    BIND(c, "::1", 0);
    port = own_port(c);
    close(c);
    TRY("asked for", choose(d, IPPROTO_IPV6, IPV6_RECVERR, 1));
    TRY("to nobody", SENDTO(d, "six", 3, 0, "::1", port));
    TRY("recv", got(recv(d, big, 9, 0)));
    show_failure("IPv6", d, port);
    TRY("mapped, to nobody", SENDTO(d, "map", 3, 0, "::ffff:127.0.0.1", port));
    show_failure("not asked for", d, port);
    TRY("asked for", choose(d, IPPROTO_IP, IP_RECVERR, 1));
    TRY("mapped, to nobody", SENDTO(d, "map", 3, 0, "::ffff:127.0.0.1", port));
    show_failure("mapped", d, port);
    TRY("large, to nobody", SENDTO(d, big, 2000, 0, "::1", port));
    TRY("so much is told", got(recv(d, big, sizeof big, MSG_ERRQUEUE)));
    TRY("large, to nobody", SENDTO(b, big, 2000, 0, "127.0.0.1", port));
    TRY("so much is told", got(recv(b, big, sizeof big, MSG_ERRQUEUE)));
    TRY("how it came", choose(b, IPPROTO_IP, IP_RECVTTL, 1));
    TRY("to nobody", SENDTO(b, "ttl", 3, 0, "127.0.0.1", port));
    show_failure("with its hops", b, port);
    int s[2];
    joined(s);
    show_failure("of a stream", s[0], 0);
}

static void groups(void) {
    int a = made(AF_INET, SOCK_DGRAM), b = made(AF_INET, SOCK_DGRAM), s = made(AF_INET, SOCK_DGRAM), on = 1;
    choose(a, SOL_SOCKET, SO_REUSEADDR, on), choose(b, SOL_SOCKET, SO_REUSEADDR, on);
    BIND(a, "0.0.0.0", 0);
    int port = own_port(a);
    TRY("a second one", BIND(b, "0.0.0.0", port));
    struct in_addr lo = {htonl(INADDR_LOOPBACK)}, shown = {0};
    socklen_t size = sizeof shown;
    TRY("by loopback", got(setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo)));
    TRY("is", got(getsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &shown, &size)));
    say("%08x in %d", ntohl(shown.s_addr), (int)size);
    EACH("options", number(s, IPPROTO_IP, IP_MULTICAST_TTL), number(s, IPPROTO_IP, IP_MULTICAST_LOOP),
         choose(s, IPPROTO_IP, IP_MULTICAST_TTL, 3), number(s, IPPROTO_IP, IP_MULTICAST_TTL),
         choose(s, IPPROTO_IP, IP_MULTICAST_TTL, 256));
    TRY("nobody has joined", SENDTO(s, "x", 1, 0, "239.1.2.3", port));
    TRY("nothing", got(recv(a, big, 9, MSG_DONTWAIT)));
    struct ip_mreq request = {.imr_interface = lo};
    inet_pton(AF_INET, "239.1.2.3", &request.imr_multiaddr);
    EACH("join", got(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request)),
         got(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request)),
         got(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, 4)));
    choose(b, IPPROTO_IP, IP_MULTICAST_ALL, 0);
    TRY("to the group", SENDTO(s, "xy", 2, 0, "239.1.2.3", port));
    EACH("one hears", got(recv(a, big, 9, MSG_DONTWAIT)), got(recv(b, big, 9, MSG_DONTWAIT)));
    TRY("both", got(setsockopt(b, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request)));
    TRY("to the group", SENDTO(s, "xyz", 3, 0, "239.1.2.3", port));
    EACH("both hear", got(recv(a, big, 9, MSG_DONTWAIT)), got(recv(b, big, 9, MSG_DONTWAIT)));
    TRY("without an echo", choose(s, IPPROTO_IP, IP_MULTICAST_LOOP, 0));
    TRY("to the group", SENDTO(s, "xyz", 3, 0, "239.1.2.3", port));
    EACH("nobody hears", got(recv(a, big, 9, MSG_DONTWAIT)), got(recv(b, big, 9, MSG_DONTWAIT)));
    EACH("leave", got(setsockopt(a, IPPROTO_IP, IP_DROP_MEMBERSHIP, &request, sizeof request)),
         got(setsockopt(a, IPPROTO_IP, IP_DROP_MEMBERSHIP, &request, sizeof request)));
    inet_pton(AF_INET, "10.1.2.3", &request.imr_multiaddr);
    TRY("no group", got(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request)));
    TRY("bind to a group", ({ int g = made(AF_INET, SOCK_DGRAM); BIND(g, "239.1.2.3", 0); }));
}

/* What programs ask for as a precaution: nothing of it is worth a line in the run's summary. */
static void precautions(void) {
    int a = made(AF_INET, SOCK_STREAM), b = made(AF_INET6, SOCK_STREAM), one = 1;
    char options[40];
    socklen_t size = sizeof options;
    EACH("of another family", got(setsockopt(a, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one)), choose(b, IPPROTO_IPV6, IPV6_V6ONLY, 1),
         got(getsockopt(a, IPPROTO_IPV6, IPV6_V6ONLY, &one, &(socklen_t){4})));
    EACH("of another protocol", got(getsockopt(a, IPPROTO_UDP, 1, &one, &(socklen_t){4})),
         got(getsockopt(b, IPPROTO_UDP, 1, &one, &(socklen_t){4})));
    EACH("options of packets", got(getsockopt(a, IPPROTO_IP, IP_OPTIONS, options, &size)), size,
         got(setsockopt(a, IPPROTO_IP, IP_OPTIONS, NULL, 0)));
    EACH("a device's queue", number(a, SOL_SOCKET, 56), number(b, SOL_SOCKET, 56));
}

static void devices(void) {
    int a = made(AF_INET, SOCK_DGRAM);
    char name[16] = "";
    socklen_t size = sizeof name;
    TRY("none", got(getsockopt(a, SOL_SOCKET, SO_BINDTODEVICE, name, &size)));
    say("'%s' in %d", name, (int)size);
    TRY("loopback", got(setsockopt(a, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2)));
    size = sizeof name;
    TRY("is", got(getsockopt(a, SOL_SOCKET, SO_BINDTODEVICE, name, &size)));
    say("'%s' in %d", name, (int)size);
    TRY("none such", got(setsockopt(made(AF_INET, SOCK_DGRAM), SOL_SOCKET, SO_BINDTODEVICE, "nonsense", 8)));
    BIND(a, "127.0.0.1", 0);
    EACH("works", SENDTO(made(AF_INET, SOCK_DGRAM), "x", 1, 0, "127.0.0.1", own_port(a)), got(recv(a, big, 9, MSG_DONTWAIT)));
}

static void interfaces(void) {
    int fd = made(AF_INET, SOCK_DGRAM);
    struct ifreq request = {.ifr_name = "lo"};
    TRY("number", got(ioctl(fd, SIOCGIFINDEX, &request)));
    say("%d, by libc %d, none %d", request.ifr_ifindex, (int)if_nametoindex("lo"), (int)if_nametoindex("nonsense"));
    request = (struct ifreq){.ifr_ifindex = 1};
    TRY("name", got(ioctl(fd, SIOCGIFNAME, &request)));
    say("'%s'", request.ifr_name);
    TRY("flags", got(ioctl(fd, SIOCGIFFLAGS, &request)));
    say("%x", request.ifr_flags & 0xffff);
    TRY("size", got(ioctl(fd, SIOCGIFMTU, &request)));
    say("%d", request.ifr_mtu);
    TRY("address", got(ioctl(fd, SIOCGIFADDR, &request)));
    say("%s", in_text((void *)&request.ifr_addr, 16, 0));
    request = (struct ifreq){.ifr_name = "nonsense", .ifr_ifindex = 99};
    EACH("none such", got(ioctl(fd, SIOCGIFINDEX, &request)), got(ioctl(fd, SIOCGIFNAME, &request)), got(ioctl(fd, SIOCGIFINDEX, 8)));
}

/* Seven processes hold 1,500 connections each, while one talks. */
static void many(void) {
    enum { PROCESSES = 7, EACH_ONE = 1500, ROUNDS = 2000 };
    int report[2], wait[2], count = 0, one;
    if (pipe(report) != 0 || pipe(wait) != 0)
        abort();
    for (int i = 0; i < PROCESSES; i++)
        CHILD({
            setrlimit(RLIMIT_NOFILE, &(struct rlimit){4000, 4000});
            int l = listener("127.0.0.1", 5), port = own_port(l);
            one = 0;
            for (int j = 0; j < EACH_ONE; j++)
                one += CONNECT(made(AF_INET, SOCK_STREAM), "127.0.0.1", port) == 0 && accept(l, NULL, NULL) >= 0;
            close(wait[1]);
            if (write(report[1], &one, sizeof one) != sizeof one || read(wait[0], big, 1) != 0)
                abort();
        });
    for (int i = 0; i < PROCESSES; i++, count += one)
        if (read(report[0], &one, sizeof one) != sizeof one)
            abort();
    say("%d connections", count);
    int s[2];
    joined(s);
    long total = 0;
    for (int i = 0; i < ROUNDS; i++) {
        send(s[0], "question", 8, 0), total += recv(s[1], big, 99, 0);
        send(s[1], "answer", 6, 0), total += recv(s[0], big, 99, 0);
    }
    say("%ld bytes", total);
    close(wait[1]);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static const struct part parts[] = {
    {"failures", failures},
    {"groups", groups},
                                        {"precautions", precautions},
    {"devices", devices},
    {"interfaces", interfaces},
    {"many", many},
    {NULL, NULL},
};

int main(int count, char **words) { return run_parts(parts, count, words); }
