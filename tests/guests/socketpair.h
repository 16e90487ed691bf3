/* What the programs about pairs of sockets share: a pair, what it says of itself, and a child that uses it.
 *
 * Descriptors come in, numbers go out. Always true: what cannot fail natively ends the program if it does. What is
 * shown is the programs' own. */
#ifndef SOCKETPAIR_H
#define SOCKETPAIR_H

#include "family.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

/* One call, one line: arguments of a function have no order. */
#define TRY(name, call) say(name " = %ld", (long)(call))

__attribute__((unused)) static char big[1 << 20];

__attribute__((unused)) static void pair(int fds[2], int type) {
    if (socketpair(AF_UNIX, type, 0, fds) != 0)
        say("socketpair = %d", -errno), exit(3);
}

__attribute__((unused)) static void close_both(const int fds[2]) {
    close(fds[0]);
    close(fds[1]);
}

__attribute__((unused)) static const char *type_name(int type) {
    return type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "datagram" : "packet";
}

__attribute__((unused)) static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
#define FOR_TYPES(type) for (int i_ = 0, type = types[0]; i_ < 3; type = types[++i_ % 3])

__attribute__((unused)) static long asked(int fd, unsigned long request) {
    int count = -1;
    long result = got(ioctl(fd, request, &count));
    return result < 0 ? result : count;
}

__attribute__((unused)) static int bits(int fd) {
    struct pollfd entry = {
        fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND, 0};
    if (poll(&entry, 1, 0) < 0)
        return -errno;
    return entry.revents;
}

__attribute__((unused)) static long option(int fd, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    long result = got(getsockopt(fd, SOL_SOCKET, name, &value, &length));
    return result < 0 ? result : value;
}

__attribute__((unused)) static long set(int fd, int name, int value) {
    return got(setsockopt(fd, SOL_SOCKET, name, &value, sizeof value));
}

__attribute__((unused)) static void show_bits(const char *what, const int s[2]) { say("%s: %04x %04x", what, bits(s[0]), bits(s[1])); }

__attribute__((unused)) static volatile int broken;
__attribute__((unused)) static void count_broken(int signal) { broken += signal == SIGPIPE; }
#define WITH_SIGNAL(name, call) \
    do { \
        broken = 0; \
        long result_ = (call); \
        say(name " = %ld, signals %d", result_, broken); \
    } while (0)

__attribute__((unused)) static void child_writes(const int s[2], struct gate gate, size_t first, size_t second) {
    pass_gate(gate);
    if (write(s[1], big, first) < 0)
        abort();
    pass_gate(gate);
    if (second > 0 && write(s[1], big, second) < 0)
        abort();
}

__attribute__((unused)) static long read_all(int fd) {
    long total = 0, moved;
    while ((moved = raw(SYS_read, fd, big, 50000)) > 0)
        total += moved;
    return total;
}

#endif
