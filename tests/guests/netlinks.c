/* What the kernel tells of its network by netlink and ioctl: interfaces, addresses, routes, rules.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: natively it runs in a network
 * namespace of its own, whose loopback interface is up; other interfaces are not shown, because a simulated host has one
 * more; neither are times, counters and the numbers that the kernel gives. */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* As <linux/netlink.h> and <linux/rtnetlink.h> have it, which not every C library's compiler finds. */
struct header {
    uint32_t len;
    uint16_t type, flags;
    uint32_t seq, pid;
};
struct place {
    uint16_t family, pad;
    uint32_t pid, groups;
};
struct attribute {
    uint16_t len, type;
};
#define LEVEL 270
enum { REQUEST = 1, ACK = 4, DUMP = 0x300, GETLINK = 18, GETADDR = 22, GETROUTE = 26, GETNEIGH = 30, GETRULE = 34 };

/* Several results, in the order in which they are written. */
#define EACH(what, ...)                                                        \
    do {                                                                       \
        long all_[] = {__VA_ARGS__};                                           \
        char text_[200] = "";                                                  \
        for (unsigned i_ = 0; i_ < sizeof all_ / sizeof *all_; i_++)           \
            sprintf(text_ + strlen(text_), " %ld", all_[i_]);                  \
        say("%s:%s", what, text_);                                             \
    } while (0)

static int opened(int type) {
    int fd = socket(AF_NETLINK, type, 0);
    if (fd < 0)
        say("socket = %d", -errno), exit(3);
    return fd;
}

static long binds(int fd, uint16_t family, uint32_t pid, uint32_t groups, socklen_t size) {
    struct place at = {family, 0, pid, groups};
    return got(bind(fd, (void *)&at, size));
}

static struct place name_of(int fd, bool peer) {
    struct place at = {0};
    socklen_t size = sizeof at;
    long result = peer ? got(getpeername(fd, (void *)&at, &size)) : got(getsockname(fd, (void *)&at, &size));
    if (result != 0 || size != sizeof at || at.family != AF_NETLINK || at.pad != 0)
        say("a bad name: %ld, %d bytes", result, (int)size);
    return at;
}

/* Send a question with so many bytes behind the header. */
static long ask(int fd, int type, int flags, const void *body, size_t bytes) {
    char message[512] = {0};
    struct header header = {sizeof header + bytes, type, flags, 7, 0};
    memcpy(message, &header, sizeof header);
    memcpy(message + sizeof header, body, bytes);
    return got(send(fd, message, header.len, 0));
}

static const char *hex(const unsigned char *bytes, size_t count) {
    static char text[300];
    text[0] = 0;
    for (size_t i = 0; i < count && i < 140; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    return text;
}

/* Which attributes of a message say something that differs from machine to machine. */
static bool is_volatile(int type, int attribute) {
    switch (type) {
    case 16: /* counters, families, what has come since */
        return attribute == 7 || attribute == 23 || attribute == 26 || attribute > 66;
    case 20: /* when it was made */
        return attribute == 6;
    case 24: /* who uses it */
        return attribute == 12;
    }
    return false;
}

static size_t fixed_bytes(int type) {
    return type == 16 ? 16 : type == 20 ? 8 : 12;
}

/* Of which interface a message tells, or 0. */
static int interface_of(const struct header *header) {
    const unsigned char *body = (const void *)(header + 1);
    uint32_t index = 0;
    if (header->type == 16 || header->type == 20)
        memcpy(&index, body + 4, 4);
    if (header->type == 24)
        for (size_t at = 12; at + 4 <= header->len - sizeof *header;) {
            struct attribute it;
            memcpy(&it, body + at, sizeof it);
            if ((it.type & 0x3fff) == 4)
                memcpy(&index, body + at + 4, 4);
            at += (it.len + 3) & ~3;
        }
    return index;
}

static void show_message(const struct header *header, uint32_t own) {
    const unsigned char *body = (const void *)(header + 1);
    size_t bytes = header->len - sizeof *header, fixed = fixed_bytes(header->type);
    if (interface_of(header) > 1)
        return;
    say("type %d, flags %x, number %d, %s", header->type, header->flags, header->seq, header->pid == own ? "for us" : "for somebody");
    if (header->type == 2) {
        int32_t error;
        memcpy(&error, body, 4);
        say("  error %d, %d bytes", error, (int)bytes);
        return;
    }
    if (header->type == 3) {
        say("  end: %s", hex(body, bytes));
        return;
    }
    say("  %s", hex(body, fixed));
    for (size_t at = fixed; at + 4 <= bytes;) {
        struct attribute it;
        memcpy(&it, body + at, sizeof it);
        if (it.len < 4)
            break;
        if (header->type != 16 || it.type <= 66)
            say("  %d: %s", it.type, is_volatile(header->type, it.type) ? "..." : hex(body + at + 4, it.len - 4));
        at += (it.len + 3) & ~3;
    }
}

/* All that has come; how many datagrams it was. */
static int show_all(int fd) {
    static _Alignas(8) char buffer[32768];
    uint32_t own = name_of(fd, false).pid;
    int count = 0;
    for (;;) {
        struct place from = {0};
        socklen_t size = sizeof from;
        long bytes = got(recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, (void *)&from, &size));
        if (bytes < 0) {
            say("then %ld, %d parts", bytes, count);
            return count;
        }
        count++;
        if (from.pid != 0 || from.groups != 0 || size != sizeof from)
            say("from %u", from.pid);
        for (struct header *at = (void *)buffer; (char *)(at + 1) <= buffer + bytes && at->len >= sizeof *at;
             at = (void *)((char *)at + ((at->len + 3) & ~3)))
            show_message(at, own);
    }
}

static void names(void) {
    int a = opened(SOCK_RAW), b = opened(SOCK_DGRAM);
    say("unbound: %u %u", name_of(a, false).pid, name_of(a, true).pid);
    say("bind short %ld, other family %ld", binds(a, AF_NETLINK, 0, 0, 8), binds(a, AF_INET, 0, 0, 12));
    EACH("bind", binds(a, AF_NETLINK, 0, 0, 12), name_of(a, false).pid == (uint32_t)getpid());
    EACH("again, another port", binds(a, AF_NETLINK, getpid(), 5, 12), binds(a, AF_NETLINK, 1, 0, 12));
    say("groups %x", name_of(a, false).groups);
    say("taken %ld", binds(b, AF_NETLINK, getpid(), 0, 12));
    EACH("second, negative", binds(b, AF_NETLINK, 0, 0, 12), (int)name_of(b, false).pid < 0);
    close(a);
    int c = opened(SOCK_RAW), d = opened(SOCK_RAW);
    say("free again %ld", binds(c, AF_NETLINK, getpid(), 0, 12));
    EACH("of one's own choice", binds(d, AF_NETLINK, 4711, 0, 12), name_of(d, false).pid);
    struct place nobody = {AF_NETLINK, 0, 99999, 0}, kernel = {AF_NETLINK, 0, 0, 0}, none = {AF_UNSPEC, 0, 0, 0};
    EACH("connect", got(connect(d, (void *)&nobody, 12)), name_of(d, true).pid);
    say("send %ld", got(send(d, "0123456789abcdef", 16, 0)));
    struct place other = {AF_NETLINK, 0, 4711, 0};
    EACH("connect", got(connect(d, (void *)&kernel, 12)), name_of(d, true).pid);
    say("to one who is connected %ld", got(sendto(c, "hello", 6, 0, (void *)&other, 12)));
    say("disconnect %ld", got(connect(d, (void *)&none, 12)));
    char text[16] = "";
    say("to one another %ld", got(sendto(c, "hello", 6, 0, (void *)&other, 12)));
    socklen_t size = sizeof other;
    EACH("arrives, from its sender", got(recvfrom(d, text, sizeof text, 0, (void *)&other, &size)), strcmp(text, "hello"),
         other.pid == (uint32_t)getpid());
    say("listen %ld, accept %ld, shutdown %ld", got(listen(d, 1)), got(accept(d, NULL, NULL)), got(shutdown(d, 2)));
    say("other types: %ld %ld", got(socket(AF_NETLINK, SOCK_STREAM, 0)), got(socket(AF_NETLINK, SOCK_RAW, 31)));
}

static long number(int fd, int level, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    long result = got(getsockopt(fd, level, option, &value, &size));
    return result < 0 ? result : value;
}

static long choose(int fd, int level, int option, int value) {
    return got(setsockopt(fd, level, option, &value, sizeof value));
}

static void options(void) {
    int fd = opened(SOCK_RAW);
    say("of type %ld, family %ld, protocol %ld, listens %ld", number(fd, SOL_SOCKET, SO_TYPE), number(fd, SOL_SOCKET, SO_DOMAIN),
        number(fd, SOL_SOCKET, SO_PROTOCOL), number(fd, SOL_SOCKET, SO_ACCEPTCONN));
    for (int option = 1; option < 14; option++)
        if (option != 6 && option != 7 && option != 9)
            EACH("option", option, number(fd, LEVEL, option), choose(fd, LEVEL, option, 1), number(fd, LEVEL, option));
    say("in group 1: %x", name_of(fd, false).groups);
    EACH("groups", choose(fd, LEVEL, 1, 5), choose(fd, LEVEL, 1, 0), choose(fd, LEVEL, 1, 1000));
    say("in groups: %x", name_of(fd, false).groups);
    EACH("out, in", choose(fd, LEVEL, 2, 5), name_of(fd, false).groups);
    say("other levels: %ld %ld", choose(fd, IPPROTO_TCP, 1, 1), number(fd, IPPROTO_IP, 1));
    char byte = 1;
    socklen_t small = 1;
    say("short: %ld", got(getsockopt(fd, LEVEL, 11, &byte, &small)));
}

static void links(void) {
    int fd = opened(SOCK_RAW);
    unsigned char body[32] = {0};
    say("ask %ld", ask(fd, GETLINK, REQUEST | DUMP, body, 16));
    show_all(fd);
    body[4] = 1;
    say("by number %ld", ask(fd, GETLINK, REQUEST, body, 16));
    show_all(fd);
    body[4] = 0;
    memcpy(body + 16, "\7\0\3\0lo\0\0", 8);
    say("by name %ld", ask(fd, GETLINK, REQUEST | ACK, body, 24));
    show_all(fd);
    memcpy(body + 16, "\7\0\3\0no\0\0", 8);
    say("by a wrong name %ld", ask(fd, GETLINK, REQUEST, body, 24));
    show_all(fd);
    say("by nothing %ld", ask(fd, GETLINK, REQUEST, body, 16));
    show_all(fd);
    body[0] = AF_INET6;
    say("of IPv6 %ld", ask(fd, GETLINK, REQUEST | DUMP, body, 1));
    static char buffer[32768];
    long bytes = got(recv(fd, buffer, sizeof buffer, 0));
    struct header *header = (void *)buffer;
    say("there is one %d, of family %d, named '%s'", bytes > 100, buffer[16], buffer + 16 + 16 + 4);
    say("of type %d", header->type);
}

static void addresses(void) {
    int fd = opened(SOCK_RAW);
    unsigned char body[32] = {0};
    say("as the C library asks %ld", ask(fd, GETADDR, REQUEST | DUMP, body, 4));
    show_all(fd);
    body[0] = AF_INET;
    say("of IPv4 %ld", ask(fd, GETADDR, REQUEST | DUMP, body, 8));
    show_all(fd);
    body[0] = AF_INET6;
    say("of IPv6 %ld", ask(fd, GETADDR, REQUEST | DUMP, body, 8));
    show_all(fd);
    memcpy(body + 8, "\x14\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 20);
    say("one %ld", ask(fd, GETADDR, REQUEST, body, 28));
    show_all(fd);
    body[27] = 2;
    say("one that is not there %ld", ask(fd, GETADDR, REQUEST, body, 28));
    show_all(fd);
    body[0] = AF_INET;
    say("one of IPv4 %ld", ask(fd, GETADDR, REQUEST, body, 28));
    show_all(fd);
    choose(fd, LEVEL, 12, 1);
    body[0] = 0, body[4] = 1;
    say("of an interface %ld", ask(fd, GETADDR, REQUEST | DUMP, body, 8));
    show_all(fd);
    body[4] = 99;
    say("of none %ld", ask(fd, GETADDR, REQUEST | DUMP, body, 8));
    show_all(fd);
}

static void routes(void) {
    int fd = opened(SOCK_RAW);
    unsigned char body[64] = {0};
    for (int family = 0; family <= AF_INET6; family += family ? 8 : 2) {
        body[0] = family;
        say("family %d: %ld", family, ask(fd, GETROUTE, REQUEST | DUMP, body, 12));
        show_all(fd);
    }
    memcpy(body, "\2\40\0\0\0\0\0\0\0\0\0\0\10\0\1\0\177\0\0\7", 20);
    say("to 127.0.0.7 %ld", ask(fd, GETROUTE, REQUEST, body, 20));
    show_all(fd);
    body[16] = 203;
    say("to nowhere %ld", ask(fd, GETROUTE, REQUEST | ACK, body, 20));
    show_all(fd);
    choose(fd, LEVEL, 10, 1);
    say("in short %ld", ask(fd, GETROUTE, REQUEST, body, 20));
    show_all(fd);
    memset(body, 0, sizeof body);
    memcpy(body, "\12\200\0\0\0\0\0\0\0\0\0\0\24\0\1\0", 16);
    body[31] = 1;
    say("to ::1 %ld", ask(fd, GETROUTE, REQUEST, body, 32));
    show_all(fd);
    body[16] = 0x20;
    say("to 2000::1 %ld", ask(fd, GETROUTE, REQUEST, body, 32));
    show_all(fd);
    memset(body, 0, sizeof body);
    body[0] = AF_INET;
    say("rules %ld", ask(fd, GETRULE, REQUEST | DUMP, body, 12));
    show_all(fd);
    body[0] = AF_INET6;
    say("rules %ld", ask(fd, GETRULE, REQUEST | DUMP, body, 12));
    show_all(fd);
    say("neighbours %ld", ask(fd, GETNEIGH, REQUEST | DUMP, body, 12));
    show_all(fd);
    choose(fd, LEVEL, 12, 1);
    memset(body, 0, sizeof body);
    body[0] = AF_INET;
    memcpy(body + 12, "\10\0\17\0\377\0\0\0", 8);
    say("table local %ld", ask(fd, GETROUTE, REQUEST | DUMP, body, 20));
    show_all(fd);
    body[16] = 100;
    say("another table %ld", ask(fd, GETROUTE, REQUEST | DUMP, body, 20));
    show_all(fd);
}

/* Natively the namespace's owner may change things; an ordinary user may nowhere. */
static void messages(void) {
    int fd = opened(SOCK_RAW);
    unsigned char body[32] = {0};
    say("nothing %ld", got(send(fd, body, 0, 0)));
    say("half a header %ld", got(send(fd, body, 9, 0)));
    show_all(fd);
    say("no question %ld", ask(fd, GETLINK, 0, body, 16));
    say("no question, acknowledged %ld", ask(fd, GETLINK, ACK, body, 16));
    show_all(fd);
    say("its own %ld", ask(fd, 1, REQUEST | ACK, body, 16));
    show_all(fd);
    say("unknown %ld", ask(fd, 5000, REQUEST, body, 16));
    show_all(fd);
    say("too short %ld", ask(fd, GETLINK, REQUEST, body, 8));
    show_all(fd);
    say("without a body %ld", ask(fd, GETLINK, REQUEST | ACK, body, 0));
    show_all(fd);
    say("urgent %ld", got(send(fd, body, 16, MSG_OOB)));
    body[0] = 16 + 16, body[4] = GETADDR, body[6] = REQUEST, body[7] = 3, body[16] = 2;
    say("a message and what is none %ld", got(send(fd, body, 32, 0)));
    show_all(fd);
    /* To look first, as iproute2 does. */
    memset(body, 0, sizeof body);
    body[0] = 2;
    ask(fd, GETADDR, REQUEST | DUMP, body, 8);
    struct pollfd readiness = {fd, POLLIN | POLLOUT, 0};
    EACH("ready", poll(&readiness, 1, 0), readiness.revents);
    char buffer[4096];
    struct place from = {0};
    struct iovec piece = {buffer, 0};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &piece, .msg_iovlen = 1};
    long whole = got(recvmsg(fd, &message, MSG_PEEK | MSG_TRUNC));
    say("there is more %d, flags %x, %d", whole >= 76, message.msg_flags, (int)message.msg_namelen);
    int unread = -1;
    EACH("unread", got(ioctl(fd, FIONREAD, &unread)), unread);
    piece.iov_len = 20;
    say("cut %ld", got(recvmsg(fd, &message, 0)));
    say("flags %x", message.msg_flags);
    say("read at the end %ld", got(fcntl(fd, F_SETFL, O_NONBLOCK)));
    say("nothing more %ld", got(read(fd, buffer, sizeof buffer)));
    say("written %ld", got(write(fd, (struct header[]){{16 + 4, GETADDR, REQUEST | DUMP, 9, 0}, {0}}, 20)));
    say("read %d", got(read(fd, buffer, sizeof buffer)) > 100);
    /* A second list before the first one is over. */
    ask(fd, GETLINK, REQUEST | DUMP, body, 16);
    say("a second list %ld", ask(fd, GETLINK, REQUEST | DUMP, body, 16));
    int errors = 0;
    for (long bytes; (bytes = got(recv(fd, buffer, sizeof buffer, MSG_DONTWAIT))) > 0;)
        errors += ((struct header *)buffer)->type == 2 ? ((int *)buffer)[4] : 0;
    say("errors %d", errors);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    choose(fd, LEVEL, 3, 1);
    ask(fd, GETRULE, REQUEST | DUMP, "\2\0\0\0\0\0\0\0\0\0\0\0", 12);
    char control[128];
    piece.iov_len = sizeof buffer, message.msg_control = control, message.msg_controllen = sizeof control;
    say("with notes %d", got(recvmsg(fd, &message, 0)) > 100);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        say("level %d, type %d: %s", c->cmsg_level, c->cmsg_type, hex(CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0)));
}

static void controls(void) {
    static const struct {
        const char *name;
        unsigned long request;
    } all[] = {{"flags", SIOCGIFFLAGS},   {"address", SIOCGIFADDR}, {"other end", SIOCGIFDSTADDR}, {"broadcast", SIOCGIFBRDADDR},
               {"netmask", SIOCGIFNETMASK}, {"metric", SIOCGIFMETRIC}, {"mtu", SIOCGIFMTU},         {"hardware", SIOCGIFHWADDR},
               {"index", SIOCGIFINDEX},   {"queue", SIOCGIFTXQLEN}, {"map", SIOCGIFMAP},            {"neighbour", SIOCGARP}};
    int families[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK};
    for (int f = 0; f < 4; f++) {
        int fd = socket(families[f], families[f] == AF_NETLINK ? SOCK_RAW : SOCK_DGRAM, 0);
        say("family %d", families[f]);
        for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
            if (all[i].request == SIOCGARP && families[f] != AF_INET)
                continue;
            struct ifreq request = {0};
            strcpy(request.ifr_name, "lo");
            long result = got(ioctl(fd, all[i].request, &request));
            say("  %s: %ld %s", all[i].name, result, result ? "" : hex((void *)&request.ifr_ifru, 24));
        }
        struct ifreq request = {.ifr_ifindex = 1};
        EACH("  name", got(ioctl(fd, SIOCGIFNAME, &request)), strcmp(request.ifr_name, "lo"));
        request.ifr_ifindex = 77;
        say("  no name %ld", got(ioctl(fd, SIOCGIFNAME, &request)));
        strcpy(request.ifr_name, "none0");
        say("  nobody %ld", got(ioctl(fd, SIOCGIFINDEX, &request)));
        say("  nowhere %ld", got(ioctl(fd, SIOCGIFINDEX, (void *)8)));
        struct ifreq room[8];
        memset(room, 0, sizeof room);
        struct ifconf list = {.ifc_len = sizeof room, .ifc_req = room};
        EACH("  list", got(ioctl(fd, SIOCGIFCONF, &list)));
        say("  first '%s' %s", room[0].ifr_name, hex((void *)&room[0].ifr_addr, 16));
        struct ifconf sizes = {.ifc_len = 0, .ifc_req = NULL};
        EACH("  sizes", got(ioctl(fd, SIOCGIFCONF, &sizes)), sizes.ifc_len == list.ifc_len && list.ifc_len >= 40);
        list.ifc_len = 39;
        EACH("  no room", got(ioctl(fd, SIOCGIFCONF, &list)), list.ifc_len);
        close(fd);
    }
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    strcpy(request.ifr_name, "lo:1");
    say("with a label: %ld %ld", got(ioctl(fd, SIOCGIFFLAGS, &request)), got(ioctl(fd, SIOCGIFADDR, &request)));
}

static const struct part parts[] = {{"names", names},   {"options", options},   {"links", links}, {"addresses", addresses},
                                    {"routes", routes}, {"messages", messages}, {"controls", controls}, {NULL, NULL}};

int main(int count, char **words) { return run_part(parts, count, words); }
