/* What the programs about sockets with IP addresses share: addresses, sockets, and what they say of themselves.
 *
 * Numbers come in, sockets go out. Always true: all addresses are loopback ones, and ports that may be anybody's are
 * asked for as 0 and never shown. */
#ifndef INET_H
#define INET_H

#include "socketpair.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

struct place {
    struct sockaddr_storage address;
    socklen_t size;
};

/* An address of IPv4, or of IPv6 if there is a colon in it. */
__attribute__((unused)) static struct place at(const char *ip, int port) {
    struct place place = {0};
    if (strchr(ip, ':')) {
        struct sockaddr_in6 *six = (void *)&place.address;
        *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
        if (inet_pton(AF_INET6, ip, &six->sin6_addr) != 1)
            abort();
        place.size = sizeof *six;
    } else {
        struct sockaddr_in *four = (void *)&place.address;
        *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
        if (inet_pton(AF_INET, ip, &four->sin_addr) != 1)
            abort();
        place.size = sizeof *four;
    }
    return place;
}

__attribute__((unused)) static int port_of(const struct sockaddr_storage *address) {
    return ntohs(((const struct sockaddr_in *)address)->sin_port);
}

__attribute__((unused)) static int own_port(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    getsockname(fd, (void *)&address, &size);
    return port_of(&address);
}

#define BIND(fd, ip, port) ({ struct place p_ = at(ip, port); got(bind(fd, (void *)&p_.address, p_.size)); })
#define CONNECT(fd, ip, port) ({ struct place p_ = at(ip, port); got(connect(fd, (void *)&p_.address, p_.size)); })
#define SENDTO(fd, bytes, count, flags, ip, port) \
    ({ struct place p_ = at(ip, port); got(sendto(fd, bytes, count, flags, (void *)&p_.address, p_.size)); })

__attribute__((unused)) static int made(int family, int type) {
    int fd = socket(family, type, 0);
    if (fd < 0)
        say("socket = %d", -errno), exit(3);
    return fd;
}

/* The address, and whether its port is `port`. */
__attribute__((unused)) static const char *in_text(const struct sockaddr_storage *address, socklen_t size, int port) {
    static char texts[4][96];
    static int next;
    char *text = texts[next++ % 4], ip[64] = "?";
    const void *bytes = address->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr
                                                       : (const void *)&((const struct sockaddr_in *)address)->sin_addr;
    if (size == 0)
        return "nothing";
    inet_ntop(address->ss_family, bytes, ip, sizeof ip);
    const char *shown = port_of(address) == port ? "its port" : port_of(address) == 0 ? "no port" : "another port";
    snprintf(text, sizeof texts[0], "%s, %s (%d bytes)", ip, shown, (int)size);
    return text;
}

__attribute__((unused)) static void show_name(const char *what, int fd, int port) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    long result = got(getsockname(fd, (void *)&address, &size));
    say("%s: own %ld %s", what, result, result ? "" : in_text(&address, size, port));
}

__attribute__((unused)) static void show_peer(const char *what, int fd, int port) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    long result = got(getpeername(fd, (void *)&address, &size));
    say("%s: peer %ld %s", what, result, result ? "" : in_text(&address, size, port));
}

__attribute__((unused)) static long number(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    long result = got(getsockopt(fd, level, name, &value, &size));
    return result < 0 ? result : value;
}

__attribute__((unused)) static long choose(int fd, int level, int name, int value) {
    return got(setsockopt(fd, level, name, &value, sizeof value));
}

/* One that listens at a port of its own. */
__attribute__((unused)) static int listener(const char *ip, int backlog) {
    int fd = made(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_STREAM);
    if (BIND(fd, ip, 0) != 0 || listen(fd, backlog) != 0)
        say("listener: %d", errno), exit(3);
    return fd;
}

/* A connection: first who asked, then who was asked. */
__attribute__((unused)) static void joined(int ends[2]) {
    int fd = listener("127.0.0.1", 5);
    ends[0] = made(AF_INET, SOCK_STREAM);
    if (CONNECT(ends[0], "127.0.0.1", own_port(fd)) != 0)
        say("connect: %d", errno), exit(3);
    ends[1] = accept(fd, NULL, NULL);
    close(fd);
}

__attribute__((unused)) static long after(long ms, long result) {
    pass_time(ms * MS);
    return result;
}

#endif
