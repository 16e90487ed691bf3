/* What sockets of AF_UNIX with addresses refuse: a case for each line of bind(2), listen(2), connect(2), accept(2) and
 * unix(7).
 *
 * A part's name comes in, lines go out. Always true: what every kind refuses is tried with each; names are in the
 * folder that the part runs in. What pairs refuse is in errors_sockets.c. Left out are ENOBUFS, ENOMEM, a read-only
 * file system, and EACCES, because guests reach files as whoever runs the simulation. */
#include "errors.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t length;

/* The address of a path; its length is in `length`. */
static struct sockaddr *at(const char *path) {
    memset(address.sun_path, 0, sizeof address.sun_path);
    strncpy(address.sun_path, path, sizeof address.sun_path);
    length = offsetof(struct sockaddr_un, sun_path) + strnlen(path, sizeof address.sun_path - 1) + 1;
    return (struct sockaddr *)&address;
}
/* Arguments of a function have no order. */
#define BIND(fd, path) (at(path), bind(fd, (struct sockaddr *)&address, length))
#define CONNECT(fd, path) (at(path), connect(fd, (struct sockaddr *)&address, length))
#define SEND_TO(fd, path) (at(path), sendto(fd, page, 1, 0, (struct sockaddr *)&address, length))

static int new(int type) { return socket(AF_UNIX, type, 0); }

static int listening(int type, const char *path, int backlog) {
    int fd = new(type);
    WORKS(BIND(fd, path));
    WORKS(listen(fd, backlog));
    return fd;
}

static void binding(int type) {
    char path[64];
    int fd = new(type), other = new(type);
    snprintf(path, sizeof path, "it-%d", type);
    struct sockaddr_un wrong = {.sun_family = AF_INET, .sun_path = "x"};
    FAILS(EINVAL, bind(fd, (struct sockaddr *)&wrong, sizeof wrong));
    wrong.sun_family = AF_UNSPEC;
    FAILS(EINVAL, bind(fd, (struct sockaddr *)&wrong, sizeof wrong));
    FAILS(EINVAL, bind(fd, (struct sockaddr *)&wrong, 2));
    wrong.sun_family = AF_UNIX;
    FAILS(EINVAL, bind(fd, (struct sockaddr *)&wrong, 1));
    FAILS(EINVAL, bind(fd, (struct sockaddr *)&wrong, 0));
    FAILS(EINVAL, bind(fd, (struct sockaddr *)&wrong, 111));
    FAILS(EINVAL, bind(fd, (struct sockaddr *)&wrong, 129));
    FAILS(EINVAL, raw(SYS_bind, fd, &wrong, -1));
    FAILS(EFAULT, raw(SYS_bind, fd, nowhere, 10));
    FAILS(ENOENT, BIND(fd, "missing/x"));
    FAILS(ENOENT, BIND(fd, "slash/"));
    FAILS(EADDRINUSE, BIND(fd, "."));
    FAILS(EADDRINUSE, BIND(fd, "/"));
    close(new_file("file", O_RDWR, 0600));
    FAILS(EADDRINUSE, BIND(fd, "file"));
    FAILS(ENOTDIR, BIND(fd, "file/x"));
    symlink("loop", "loop");
    FAILS(EADDRINUSE, BIND(fd, "loop"));
    FAILS(ELOOP, BIND(fd, "loop/x"));
    symlink("nowhere", "dangling");
    FAILS(EADDRINUSE, BIND(fd, "dangling"));
    WORKS(BIND(fd, path));
    FAILS(EADDRINUSE, BIND(fd, path));
    FAILS(EADDRINUSE, BIND(other, path));
    FAILS(EINVAL, BIND(fd, "another"));
    struct stat s;
    FAILS(ENOENT, stat("another", &s));
    FAILS(EINVAL, bind(fd, (struct sockaddr *)&(struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "\0x"}, 4));
    FAILS(EBADF, BIND(CLOSED, "x"));
    FAILS(EBADF, BIND(-1, "x"));
    FAILS(ENOTSOCK, BIND(open("file", O_RDWR), "x"));
    FAILS(EBADF, BIND(open("file", O_PATH), "x"));
    FAILS(ENOENT, stat("x", &s));
    WITHOUT_ROOM(WORKS(BIND(other, type == SOCK_STREAM ? "s" : type == SOCK_DGRAM ? "d" : "p")));
}

static void connecting(int type) {
    int fd = new(type);
    FAILS(ENOENT, CONNECT(fd, "missing"));
    FAILS(ENOENT, CONNECT(fd, "missing/x"));
    close(new_file("file", O_RDWR, 0600));
    FAILS(ECONNREFUSED, CONNECT(fd, "file"));
    FAILS(ECONNREFUSED, CONNECT(fd, "."));
    FAILS(ECONNREFUSED, CONNECT(fd, "/dev/null"));
    FAILS(ENOTDIR, CONNECT(fd, "file/x"));
    symlink("loop", "loop");
    FAILS(ELOOP, CONNECT(fd, "loop"));
    WORKS(mknod("made", S_IFSOCK | 0777, 0) == 0 || errno == EEXIST ? 0 : -1);
    FAILS(ECONNREFUSED, CONNECT(fd, "made"));
    struct sockaddr_un hidden = {.sun_family = AF_UNIX, .sun_path = "\0nobody has this name"}, wrong = {.sun_family = AF_INET};
    FAILS(ECONNREFUSED, connect(fd, (struct sockaddr *)&hidden, 20));
    FAILS(EINVAL, connect(fd, (struct sockaddr *)&hidden, 2));
    FAILS(EINVAL, connect(fd, (struct sockaddr *)&hidden, 0));
    FAILS(EINVAL, connect(fd, (struct sockaddr *)&hidden, 111));
    FAILS(EINVAL, raw(SYS_connect, fd, &hidden, -1));
    FAILS(EFAULT, raw(SYS_connect, fd, nowhere, 10));
    FAILS(EINVAL, connect(fd, (struct sockaddr *)&wrong, sizeof wrong));
    FAILS(EBADF, CONNECT(CLOSED, "x"));
    FAILS(ENOTSOCK, CONNECT(open("file", O_RDWR), "x"));
    char path[64], other_path[64];
    snprintf(path, sizeof path, "c-%d", type);
    snprintf(other_path, sizeof other_path, "o-%d", type);
    if (type == SOCK_DGRAM) {
        int server = new(type), other = new(type), quick = new(type | SOCK_NONBLOCK);
        WORKS(BIND(server, path));
        WORKS(BIND(other, other_path));
        WORKS(CONNECT(server, other_path));
        FAILS(EPERM, CONNECT(fd, path));
        FAILS(EPERM, SEND_TO(fd, path));
        FAILS(EPROTOTYPE, CONNECT(new(SOCK_STREAM), path));
        FAILS(ENOENT, SEND_TO(fd, "missing"));
        FAILS(ECONNREFUSED, SEND_TO(fd, "file"));
        FAILS(ECONNREFUSED, SEND_TO(fd, "made"));
        FAILS(ENOTDIR, SEND_TO(fd, "file/x"));
        FAILS(EMSGSIZE, (at("missing"), sendto(fd, page, 1 << 30, 0, (struct sockaddr *)&address, length)));
        FAILS(EFAULT, (at("missing"), raw(SYS_sendto, fd, nowhere, 10, 0, &address, length)));
        struct iovec part = {page, 1};
        struct msghdr header = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1};
        FAILS(ENOENT, (at("missing"), sendmsg(fd, &header, 0)));
        header.msg_namelen = 2;
        FAILS(EINVAL, sendmsg(fd, &header, 0));
        while (SEND_TO(quick, other_path) == 1);
        FAILS(EAGAIN, SEND_TO(quick, other_path));
        INTERRUPTED(FAILS(EINTR, SEND_TO(fd, other_path)));
        FAILS(EOPNOTSUPP, listen(server, 1));
        WORKS(shutdown(other, SHUT_RD));
        FAILS(EPIPE, SEND_TO(fd, other_path));
        close(other);
        FAILS(ECONNREFUSED, SEND_TO(fd, other_path));
        FAILS(ECONNREFUSED, CONNECT(fd, other_path));
        return;
    }
    int idle = new(type);
    WORKS(BIND(idle, path));
    FAILS(ECONNREFUSED, CONNECT(fd, path));
    FAILS(EPROTOTYPE, CONNECT(new(SOCK_DGRAM), path));
    FAILS(EPROTOTYPE, CONNECT(new(type == SOCK_STREAM ? SOCK_SEQPACKET : SOCK_STREAM), path));
    int server = listening(type, other_path, 0);
    FAILS(EINVAL, CONNECT(server, other_path));
    WORKS(CONNECT(fd, other_path));
    FAILS(EAGAIN, CONNECT(new(type | SOCK_NONBLOCK), other_path)); /* Before it is known that it is connected. */
    FAILS(EAGAIN, (fcntl(fd, F_SETFL, O_NONBLOCK), CONNECT(fd, other_path)));
    INTERRUPTED(FAILS(EINTR, CONNECT(idle, other_path)));
    close(accept(server, NULL, NULL));
    FAILS(EISCONN, CONNECT(fd, other_path));
    FAILS(EINVAL, listen(fd, 1));
    WORKS(shutdown(server, SHUT_RD));
    FAILS(ECONNREFUSED, CONNECT(new(type), other_path));
    FAILS(EINVAL, accept(server, NULL, NULL));
}

static void accepting(int type) {
    char path[64];
    snprintf(path, sizeof path, "a-%d", type);
    FAILS(EBADF, listen(CLOSED, 1));
    FAILS(EBADF, accept(CLOSED, NULL, NULL));
    FAILS(ENOTSOCK, accept(new_file("file", O_RDWR, 0600), NULL, NULL));
    FAILS(EINVAL, listen(new(type), 1));
    FAILS(EINVAL, accept(new(type), NULL, NULL));
    int idle = new(type);
    WORKS(BIND(idle, path));
    FAILS(EINVAL, accept(idle, NULL, NULL));
    WORKS(listen(idle, 1));
    FAILS(EINVAL, raw(SYS_accept4, idle, NULL, NULL, 1));
    fcntl(idle, F_SETFL, O_NONBLOCK);
    FAILS(EAGAIN, accept(idle, NULL, NULL));
    WITHOUT_ROOM(FAILS(EMFILE, accept(idle, NULL, NULL)));
    fcntl(idle, F_SETFL, 0);
    WITHOUT_ROOM(FAILS(EMFILE, accept(idle, NULL, NULL)));
    INTERRUPTED(FAILS(EINTR, accept(idle, NULL, NULL)));
    struct timeval soon = {0, 1000};
    WORKS(setsockopt(idle, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
    FAILS(EAGAIN, accept(idle, NULL, NULL));
    socklen_t negative = -1, room = 100;
    for (int i = 0; i < 3; i++)
        WORKS(i < 2 ? CONNECT(new(type), path) : 0);
    FAILS(EFAULT, raw(SYS_accept, idle, nowhere, &room));
    FAILS(EINVAL, raw(SYS_accept, idle, page, &negative));
    FAILS(EAGAIN, accept(idle, NULL, NULL));
    int value = 1;
    socklen_t four = 4;
    FAILS(ENOPROTOOPT, setsockopt(idle, SOL_SOCKET, SO_ACCEPTCONN, &value, 4));
    FAILS(ENOPROTOOPT, setsockopt(idle, SOL_SOCKET, SO_PEERCRED, &value, 4));
    FAILS(ENOPROTOOPT, getsockopt(idle, SOL_SOCKET, SO_PEERSEC, page, &four));
    FAILS(type == SOCK_STREAM ? EINVAL : ENOTCONN, recv(idle, page, 1, 0));
    FAILS(ENOTCONN, send(idle, page, 1, MSG_NOSIGNAL));
    FAILS(ENOTCONN, getpeername(idle, (struct sockaddr *)page, &room));
}

static void accepting_datagrams(void) {
    int fd = new(SOCK_DGRAM);
    WORKS(BIND(fd, "datagrams"));
    FAILS(EOPNOTSUPP, listen(fd, 1));
    FAILS(EOPNOTSUPP, accept(fd, NULL, NULL));
    FAILS(EINVAL, raw(SYS_accept4, fd, NULL, NULL, 1));
}

#define EACH_TYPE(function) \
    static void function##_of_each(void) { \
        say("stream"), function(SOCK_STREAM); \
        say("datagram"), function(SOCK_DGRAM); \
        say("packet"), function(SOCK_SEQPACKET); \
    }
EACH_TYPE(binding)
EACH_TYPE(connecting)
static void accepting_of_each(void) {
    say("stream"), accepting(SOCK_STREAM);
    say("packet"), accepting(SOCK_SEQPACKET);
    say("datagram"), accepting_datagrams();
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"bind", binding_of_each}, {"connect", connecting_of_each}, {"accept", accepting_of_each}, {NULL, NULL},
    };
    return run_parts_of_errors(parts, count, words);
}
