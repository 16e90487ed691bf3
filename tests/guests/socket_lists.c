/* What the kernel tells of a host's sockets by netlink: lists, and single ones, as `ss` asks for them.
 *
 * The part to show comes in; a line for each socket that is told of goes out. Always true: natively it runs in a network
 * namespace of its own; the order is the alphabet's, because Linux's is nobody's; numbers that the kernel gives are not shown. */
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* As <linux/netlink.h>, <linux/inet_diag.h> and <linux/unix_diag.h> have it, which not every C library's compiler finds. */
struct header {
    uint32_t len;
    uint16_t type, flags;
    uint32_t seq, pid;
};
struct attribute {
    uint16_t len, type;
};
struct inet_question {
    uint8_t family, protocol, details, pad;
    uint32_t states;
    uint16_t ports[2];
    uint32_t addresses[8], interface, cookie[2];
};
struct unix_question {
    uint8_t family, protocol;
    uint16_t pad;
    uint32_t states, inode, show, cookie[2];
};

static const char *hex(const unsigned char *bytes, size_t count) {
    static char text[300];
    text[0] = 0;
    for (size_t i = 0; i < count && i < 140; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    return text;
}

/* One line for a message. */
static void tell(char *line, const struct header *h) {
    const unsigned char *body = (void *)(h + 1);
    line[0] = 0;
#define ADD(...) sprintf(line + strlen(line), __VA_ARGS__)
    if (body[0] == AF_UNIX)
        ADD("type %d, state %d", body[1], body[2]);
    else
        ADD("family %d, state %d, timer %d, from %s %s, queues %d %d, mine %d, inode %d", body[0], body[1], body[2],
            hex(body + 8, 16), body[6] | body[7] ? "to a port" : "to none", *(int *)(body + 56), *(int *)(body + 60),
            *(uid_t *)(body + 64) == getuid(), *(int *)(body + 68) != 0);
    for (size_t at = body[0] == AF_UNIX ? 16 : 72; at + 4 <= h->len - sizeof *h;) {
        const struct attribute *a = (void *)(body + at);
        const unsigned char *data = (void *)(a + 1);
        size_t bytes = a->len - 4;
        if (body[0] == AF_UNIX && a->type == 2)
            ADD("; a peer in %d", (int)bytes);
        else if (body[0] == AF_UNIX && a->type == 7)
            ADD("; mine %d", *(uid_t *)data == getuid());
        else if (body[0] == AF_UNIX && a->type == 4)
            ADD("; queues %d, %s", *(int *)data, ((int *)data)[1] ? "more" : "no more");
        else if (body[0] == AF_UNIX)
            ADD("; %d: %s", a->type, hex(data, bytes));
        else if (a->type == 2)
            ADD("; tcp_info of state %d", data[0]);
        else if (a->type == 8 || a->type == 11)
            ADD("; %d: %s", a->type, hex(data, bytes));
        at += (a->len + 3) & ~3;
    }
}

static int compare(const void *a, const void *b) { return strcmp(a, b); }

static void all_told(const char *what, const void *question, size_t bytes, int flags) {
    int fd = socket(AF_NETLINK, SOCK_RAW, 4);
    struct header header = {sizeof header + bytes, 20, flags, 7, 0};
    char message[256], answer[1 << 16];
    memcpy(message, &header, sizeof header), memcpy(message + sizeof header, question, bytes);
    say("%s: %ld", what, got(send(fd, message, header.len, 0)));
    static char lines[16][400];
    int count = 0, end = 0, is_over = 0;
    for (long bytes_; !is_over && (bytes_ = recv(fd, answer, sizeof answer, MSG_DONTWAIT)) > 0;)
        for (long at = 0; at + (long)sizeof(struct header) <= bytes_;) {
            struct header *h = (void *)(answer + at);
            if (h->type == 2 || h->type == 3)
                is_over = 1, end = *(int *)(h + 1);
            else if (count < 16)
                tell(lines[count++], h);
            at += (h->len + 3) & ~3;
        }
    qsort(lines, count, sizeof *lines, compare);
    for (int i = 0; i < count; i++)
        say("  %s", lines[i]);
    say("  end %d", end);
    close(fd);
}

static int put(int family, int type, int port, const char *ip) {
    int fd = socket(family, type, 0);
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(family, ip, family == AF_INET ? (void *)&four.sin_addr : (void *)&six.sin6_addr);
    if (bind(fd, family == AF_INET ? (void *)&four : (void *)&six, family == AF_INET ? sizeof four : sizeof six) != 0)
        say("bind: %d", errno);
    return fd;
}

static void sockets(void) {
    enum { LIST = 0x301, ALL = 0xfff };
    struct inet_question tcp = {.family = AF_INET, .protocol = IPPROTO_TCP, .states = ALL, .details = 1 << 1 | 1 << 3}, udp = tcp;
    udp.protocol = IPPROTO_UDP;
    all_told("nothing yet", &tcp, sizeof tcp, LIST);
    int l = put(AF_INET, SOCK_STREAM, 7000, "127.0.0.1"), six = put(AF_INET6, SOCK_STREAM, 7001, "::");
    int a = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7000), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    listen(l, 5), listen(six, 6);
    if (connect(a, (void *)&at, sizeof at) != 0)
        say("connect: %d", errno);
    if (write(a, "abc", 3) != 3)
        say("write: %d", errno);
    all_told("one waits", &tcp, sizeof tcp, LIST);
    int b = accept(l, NULL, NULL);
    tcp.states = 1 << 10;
    all_told("some states", &tcp, sizeof tcp, LIST);
    tcp.states = ALL, tcp.ports[0] = htons(7000);
    all_told("a port", &tcp, sizeof tcp, LIST);
    tcp.family = AF_INET6, tcp.ports[0] = 0;
    all_told("IPv6", &tcp, sizeof tcp, LIST);
    int c = put(AF_INET, SOCK_DGRAM, 7002, "127.0.0.1"), d = put(AF_INET, SOCK_DGRAM, 7003, "0.0.0.0");
    at.sin_port = htons(7002);
    if (connect(d, (void *)&at, sizeof at) != 0)
        say("connect: %d", errno);
    all_told("datagrams", &udp, sizeof udp, LIST);
    udp.states = 1 << 7;
    all_told("not connected", &udp, sizeof udp, LIST);
    udp.protocol = 77;
    all_told("another protocol", &udp, sizeof udp, LIST);
    all_told("too short", &udp, 20, LIST);
    struct {
        struct inet_question question;
        struct attribute attribute;
        uint8_t program[24];
    } with = {{.family = AF_INET, .protocol = IPPROTO_TCP, .states = ALL}, {4 + 16, 1}, {0}};
    /* The source's port is 7000: from, and to. */
    const uint8_t conditions[] = {2, 8, 20, 0, 0, 0, 0x58, 0x1b, 3, 8, 12, 0, 0, 0, 0x58, 0x1b};
    memcpy(with.program, conditions, sizeof conditions);
    all_told("by conditions", &with, sizeof with.question + 20, LIST);
    close(c), close(b), close(a);
}

static void unix_sockets(void) {
    struct unix_question question = {.family = AF_UNIX, .states = 0xfff, .show = 0x57};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int s[2], l = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0);
    strcpy(at.sun_path + 1, "told");
    if (bind(l, (void *)&at, 7) != 0 || listen(l, 3) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) != 0)
        say("made: %d", errno);
    if (write(s[0], "abc", 3) != 3)
        say("write: %d", errno);
    shutdown(s[1], SHUT_RD);
    all_told("all", &question, sizeof question, 0x301);
    question.states = 1 << 10;
    all_told("who listens", &question, sizeof question, 0x301);
    struct stat stat;
    fstat(d, &stat);
    question.inode = stat.st_ino, question.cookie[0] = question.cookie[1] = -1;
    all_told("one", &question, sizeof question, 1);
    question.inode = 1;
    all_told("none", &question, sizeof question, 1);
    question.family = 77;
    all_told("of no family", &question, sizeof question, 1);
}

static const struct part parts[] = {{"inet", sockets}, {"unix", unix_sockets}, {NULL, NULL}};

int main(int count, char **words) { return run_part(parts, count, words); }
