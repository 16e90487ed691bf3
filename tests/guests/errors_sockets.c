/* What pairs of sockets refuse: a case for each line of the pages of the calls that work on them.
 *
 * A part's name comes in, lines go out. Always true: what every kind refuses is tried with each. Left out: what
 * needs an address or a network, ENOBUFS and ENOMEM. */
#include "errors.h"
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static int fds[2];
static struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "missing"};
static struct timespec wrong_time = {-1, 0};

#define UNIX_ADDRESS (struct sockaddr *)&address

static void creations(void) {
    FAILS(EAFNOSUPPORT, socketpair(77, SOCK_STREAM, 0, fds));
    FAILS(EAFNOSUPPORT, socketpair(-1, SOCK_STREAM, 0, fds));
    FAILS(EAFNOSUPPORT, socketpair(AF_UNSPEC, SOCK_STREAM, 0, fds));
    FAILS(EPROTONOSUPPORT, socketpair(AF_UNIX, SOCK_STREAM, 77, fds));
    FAILS(ESOCKTNOSUPPORT, socketpair(AF_UNIX, 0, 0, fds));
    FAILS(ESOCKTNOSUPPORT, socketpair(AF_UNIX, 4, 0, fds));
    FAILS(EINVAL, socketpair(AF_UNIX, 15, 0, fds));
    FAILS(EINVAL, socketpair(AF_UNIX, SOCK_STREAM | 0x100, 0, fds));
    FAILS(EINVAL, socketpair(77, -1, 0, nowhere));
    FAILS(EFAULT, raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, nowhere));
    FAILS(EFAULT, raw(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, NULL));
    WITHOUT_ROOM(FAILS(EMFILE, socketpair(AF_UNIX, SOCK_STREAM, 0, fds)));
    WITHOUT_ROOM(FAILS(EMFILE, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds)));
    FAILS(EAFNOSUPPORT, socket(77, SOCK_STREAM, 0));
    FAILS(EAFNOSUPPORT, socket(-1, SOCK_STREAM, 0));
    FAILS(EAFNOSUPPORT, socket(AF_UNSPEC, SOCK_STREAM, 0));
    FAILS(EPROTONOSUPPORT, socket(AF_UNIX, SOCK_STREAM, 77));
    FAILS(ESOCKTNOSUPPORT, socket(AF_UNIX, 0, 0));
    FAILS(ESOCKTNOSUPPORT, socket(AF_UNIX, 4, 0));
    FAILS(EINVAL, socket(AF_UNIX, 15, 0));
    FAILS(EINVAL, socket(AF_UNIX, SOCK_STREAM | 0x100, 0));
    WITHOUT_ROOM(FAILS(EMFILE, socket(AF_UNIX, SOCK_STREAM, 0)));
    WITHOUT_ROOM(FAILS(EPROTONOSUPPORT, socket(AF_UNIX, SOCK_STREAM, 77)));
}

/* A socket that is connected with nobody. */
static void alone(int type) {
    handle(SIGPIPE, SIG_IGN, 0);
    struct sockaddr_un nobody = {.sun_family = AF_UNSPEC};
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
    socklen_t length = sizeof nobody;
    FAILS(ENOTCONN, raw(SYS_getpeername, fd, page, &length));
    FAILS(ENOTCONN, send(fd, page, 1, 0));
    FAILS(ENOTCONN, write(fd, page, 1));
    if (type == SOCK_DGRAM) {
        FAILS(EAGAIN, recv(fd, page, 1, 0));
        FAILS(EOPNOTSUPP, accept(fd, NULL, NULL));
        FAILS(EOPNOTSUPP, listen(fd, 1));
        FAILS(EINVAL, sendto(fd, page, 1, 0, UNIX_ADDRESS, 2));
        FAILS(EINVAL, sendto(fd, page, 1, 0, UNIX_ADDRESS, 111));
        FAILS(EINVAL, sendto(fd, page, 1, 0, (struct sockaddr *)&nobody, sizeof nobody));
        WORKS(connect(fd, (struct sockaddr *)&nobody, sizeof nobody));
    } else {
        FAILS(type == SOCK_STREAM ? EINVAL : ENOTCONN, recv(fd, page, 1, 0));
        FAILS(type == SOCK_STREAM ? EINVAL : ENOTCONN, read(fd, page, 1));
        FAILS(EINVAL, accept(fd, NULL, NULL));
        FAILS(EINVAL, listen(fd, 1));
        FAILS(type == SOCK_STREAM ? EOPNOTSUPP : ENOTCONN, sendto(fd, page, 1, 0, UNIX_ADDRESS, sizeof address));
        FAILS(EINVAL, connect(fd, (struct sockaddr *)&nobody, sizeof nobody));
    }
    FAILS(EINVAL, connect(fd, UNIX_ADDRESS, 2));
    FAILS(EINVAL, connect(fd, UNIX_ADDRESS, 111));
    WORKS(shutdown(fd, SHUT_WR));
    FAILS(type == SOCK_DGRAM ? EPIPE : ENOTCONN, send(fd, page, 1, 0));
}

/* What is no socket, and what is no descriptor. */
static void others(void) {
    int pipe_fds[2], option = 0;
    WORKS(pipe(pipe_fds));
    int wrong[] = {CLOSED, -1, new_file("file", O_RDWR, 0600), pipe_fds[0], eventfd(0, 0), open("file", O_PATH)};
    struct msghdr header = {0};
    socklen_t length = sizeof option;
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int fd = wrong[i], error = i < 2 || i == 5 ? EBADF : ENOTSOCK;
        say("- %s", error_name(error));
        FAILS(error, send(fd, page, 1, 0));
        FAILS(error, sendto(fd, page, 1, 0, UNIX_ADDRESS, sizeof address));
        FAILS(error, recv(fd, page, 1, 0));
        FAILS(error, sendmsg(fd, &header, 0));
        FAILS(error, recvmsg(fd, &header, 0));
        FAILS(error, raw(SYS_sendmmsg, fd, &header, 1, 0));
        FAILS(error, raw(SYS_recvmmsg, fd, &header, 1, 0, NULL));
        FAILS(error, shutdown(fd, SHUT_RD));
        FAILS(error, shutdown(fd, 77));
        FAILS(error, getsockopt(fd, SOL_SOCKET, SO_TYPE, &option, &length));
        FAILS(error, setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &option, sizeof option));
        FAILS(error, raw(SYS_getsockname, fd, page, &length));
        FAILS(error, raw(SYS_getpeername, fd, page, &length));
        FAILS(error, connect(fd, UNIX_ADDRESS, sizeof address));
        FAILS(error, bind(fd, UNIX_ADDRESS, sizeof address));
        FAILS(error, listen(fd, 1));
        FAILS(error, accept(fd, NULL, NULL));
        FAILS(error, raw(SYS_accept4, fd, NULL, NULL, SOCK_CLOEXEC));
    }
}

static void make(int type, int flags) { WORKS(socketpair(AF_UNIX, type | flags, 0, fds)); }

static void names(int type) {
    make(type, 0);
    socklen_t length = sizeof address, negative = -1;
    FAILS(EFAULT, raw(SYS_getsockname, fds[0], nowhere, &length));
    FAILS(EFAULT, raw(SYS_getsockname, fds[0], page, nowhere));
    FAILS(EINVAL, raw(SYS_getsockname, fds[0], page, &negative));
    FAILS(EFAULT, raw(SYS_getpeername, fds[0], nowhere, &length));
    FAILS(EFAULT, raw(SYS_getpeername, fds[0], page, nowhere));
    FAILS(EINVAL, raw(SYS_getpeername, fds[0], page, &negative));
    FAILS(EINVAL, bind(fds[0], UNIX_ADDRESS, 1));
    FAILS(EINVAL, bind(fds[0], UNIX_ADDRESS, 111));
    FAILS(EINVAL, bind(fds[0], UNIX_ADDRESS, 129));
    FAILS(EINVAL, raw(SYS_bind, fds[0], page, -1));
    FAILS(EFAULT, raw(SYS_bind, fds[0], nowhere, 10));
    FAILS(EINVAL, raw(SYS_connect, fds[0], page, -1));
    FAILS(EINVAL, raw(SYS_connect, fds[0], page, 129));
    FAILS(EFAULT, raw(SYS_connect, fds[0], nowhere, 10));
    if (type == SOCK_DGRAM) {
        FAILS(EOPNOTSUPP, listen(fds[0], 1));
        FAILS(EOPNOTSUPP, accept(fds[0], NULL, NULL));
        FAILS(EINVAL, raw(SYS_accept4, fds[0], NULL, NULL, 1));
    } else {
        FAILS(EINVAL, listen(fds[0], 1));
        FAILS(EINVAL, accept(fds[0], NULL, NULL));
        FAILS(EINVAL, raw(SYS_accept4, fds[0], NULL, NULL, 1));
    }
}

static void transfers(int type) {
    handle(SIGPIPE, SIG_IGN, 0);
    make(type, 0);
    int quick[2];
    WORKS(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, quick));
    struct iovec part = {page, 10}, lost = {nowhere, 10}, huge = {page, -1};
    struct msghdr good = {.msg_iov = &part, .msg_iovlen = 1}, many = {.msg_iov = &part, .msg_iovlen = 1025}, no_vector = {.msg_iov = nowhere, .msg_iovlen = 1},
                  no_memory = {.msg_iov = &lost, .msg_iovlen = 1}, too_big = {.msg_iov = &huge, .msg_iovlen = 1};
    FAILS(EAGAIN, recv(quick[0], page, 1, 0));
    FAILS(EAGAIN, recv(fds[0], page, 1, MSG_DONTWAIT));
    FAILS(EAGAIN, read(quick[0], page, 1));
    FAILS(EAGAIN, recvmsg(fds[0], &good, MSG_DONTWAIT));
    INTERRUPTED(FAILS(EINTR, recv(fds[0], page, 1, 0)); FAILS(EINTR, read(fds[0], page, 1)); FAILS(EINTR, recvmsg(fds[0], &good, 0)));
    struct timeval soon = {0, 1000};
    WORKS(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
    FAILS(EAGAIN, recv(fds[0], page, 1, 0));
    FAILS(EFAULT, raw(SYS_sendto, fds[0], nowhere, 1, 0, NULL, 0));
    FAILS(EFAULT, raw(SYS_write, fds[0], nowhere, 1));
    FAILS(EFAULT, raw(SYS_sendmsg, fds[0], nowhere, 0));
    FAILS(EFAULT, raw(SYS_recvmsg, fds[0], nowhere, 0));
    FAILS(EFAULT, sendmsg(fds[0], &no_vector, 0));
    FAILS(EFAULT, recvmsg(fds[0], &no_vector, 0));
    FAILS(EFAULT, sendmsg(fds[0], &no_memory, 0));
    FAILS(EMSGSIZE, sendmsg(fds[0], &many, 0));
    FAILS(EMSGSIZE, recvmsg(fds[0], &many, 0));
    FAILS(EINVAL, sendmsg(fds[0], &too_big, 0));
    FAILS(EINVAL, recvmsg(fds[0], &too_big, 0));
    FAILS(EINVAL, writev(fds[0], &huge, 1));
    FAILS(EINVAL, readv(fds[0], &huge, 1));
    FAILS(EINVAL, raw(SYS_writev, fds[0], &part, 1025));
    FAILS(EINVAL, raw(SYS_readv, fds[0], &part, -1));
    FAILS(EFAULT, raw(SYS_writev, fds[0], nowhere, 1));
    FAILS(EFAULT, raw(SYS_sendto, fds[0], page, 1, 0, nowhere, 10));
    FAILS(EINVAL, raw(SYS_sendto, fds[0], page, 1, 0, &address, 129));
    FAILS(EINVAL, raw(SYS_sendto, fds[0], page, 1, 0, &address, -1));
    FAILS(EINVAL, raw(SYS_recvmmsg, fds[0], page, 1, 0, &wrong_time));
    FAILS(EFAULT, raw(SYS_recvmmsg, fds[0], page, 1, 0, nowhere));
    FAILS(EFAULT, raw(SYS_sendmmsg, fds[0], nowhere, 1, 0));
    if (type == SOCK_STREAM) {
        FAILS(EISCONN, sendto(fds[0], page, 1, 0, UNIX_ADDRESS, sizeof address));
        FAILS(EINVAL, recv(fds[0], page, 1, MSG_OOB));
    } else {
        FAILS(EOPNOTSUPP, send(fds[0], page, 1, MSG_OOB));
        FAILS(EOPNOTSUPP, recv(fds[0], page, 1, MSG_OOB));
        FAILS(EMSGSIZE, raw(SYS_sendto, fds[0], page, 1 << 30, 0, NULL, 0));
    }
    WORKS(send(fds[1], page, 10, 0));
    FAILS(EFAULT, raw(SYS_recvfrom, fds[0], nowhere, 10, 0, NULL, NULL));
    FAILS(ESPIPE, lseek(fds[0], 0, SEEK_SET));
    FAILS(ESPIPE, pread(fds[0], page, 1, 0));
    FAILS(ESPIPE, pwrite(fds[0], page, 1, 0));
    FAILS(EINVAL, ftruncate(fds[0], 0));
    FAILS(EINVAL, fsync(fds[0]));
    while (send(quick[1], page, sizeof page, 0) > 0);
    FAILS(EAGAIN, send(quick[1], page, 1024, 0));
    FAILS(EAGAIN, write(quick[1], page, 1024));
    WORKS(fcntl(quick[1], F_SETFL, 0));
    INTERRUPTED(FAILS(EINTR, write(quick[1], page, 4096)); FAILS(EINTR, send(quick[1], page, 4096, 0)));
    FAILS(EAGAIN, send(quick[1], page, 1024, MSG_DONTWAIT));
    /* The other one has gone, with something unread. */
    close(quick[0]);
    if (type == SOCK_DGRAM) {
        FAILS(ECONNREFUSED, send(quick[1], page, 1, 0));
        FAILS(ENOTCONN, write(quick[1], page, 1));
    } else {
        FAILS(type == SOCK_STREAM ? EPIPE : ECONNRESET, send(quick[1], page, 1, MSG_NOSIGNAL));
        FAILS(EPIPE, write(quick[1], page, 1));
        WORKS(socketpair(AF_UNIX, type, 0, quick));
        WORKS(write(quick[1], page, 1));
        close(quick[0]);
        FAILS(ECONNRESET, recv(quick[1], page, 1, 0));
    }
}

static void ends(int type) {
    handle(SIGPIPE, SIG_IGN, 0);
    make(type, 0);
    FAILS(EINVAL, shutdown(fds[0], 3));
    FAILS(EINVAL, shutdown(fds[0], -1));
    WORKS(shutdown(fds[0], SHUT_WR));
    FAILS(EPIPE, send(fds[0], page, 1, 0));
    FAILS(EPIPE, write(fds[0], page, 1));
    FAILS(EPIPE, send(fds[0], page, 1, MSG_NOSIGNAL));
    WORKS(shutdown(fds[0], SHUT_RD));
    FAILS(EPIPE, send(fds[1], page, 1, 0));
}

static void options(int type) {
    make(type, 0);
    int value = 1;
    socklen_t length = sizeof value, negative = -1;
    struct timeval odd = {0, 1000000}, early = {-1, -1};
    FAILS(EFAULT, raw(SYS_getsockopt, fds[0], SOL_SOCKET, SO_TYPE, nowhere, &length));
    FAILS(EFAULT, raw(SYS_getsockopt, fds[0], SOL_SOCKET, SO_TYPE, &value, nowhere));
    FAILS(EINVAL, raw(SYS_getsockopt, fds[0], SOL_SOCKET, SO_TYPE, &value, &negative));
    FAILS(ENOPROTOOPT, getsockopt(fds[0], SOL_SOCKET, 9999, &value, &length));
    FAILS(EOPNOTSUPP, getsockopt(fds[0], 6, 1, &value, &length));
    FAILS(EOPNOTSUPP, getsockopt(fds[0], 77, 1, &value, &length));
    FAILS(EFAULT, raw(SYS_setsockopt, fds[0], SOL_SOCKET, SO_SNDBUF, nowhere, sizeof value));
    FAILS(EINVAL, setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &value, 3));
    FAILS(EINVAL, setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &value, 0));
    FAILS(EINVAL, setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &value, -1));
    FAILS(EINVAL, setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &value, 4));
    FAILS(EINVAL, setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &odd, 8));
    FAILS(EDOM, setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &odd, sizeof odd));
    FAILS(EDOM, setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &early, sizeof early));
    FAILS(ENOPROTOOPT, setsockopt(fds[0], SOL_SOCKET, SO_TYPE, &value, sizeof value));
    FAILS(ENOPROTOOPT, setsockopt(fds[0], SOL_SOCKET, SO_ERROR, &value, sizeof value));
    FAILS(ENOPROTOOPT, setsockopt(fds[0], SOL_SOCKET, SO_ACCEPTCONN, &value, sizeof value));
    FAILS(ENOPROTOOPT, setsockopt(fds[0], SOL_SOCKET, 9999, &value, sizeof value));
    FAILS(EOPNOTSUPP, setsockopt(fds[0], 6, 1, &value, sizeof value));
    AS_USER(
        FAILS(EPERM, setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &value, sizeof value));
        FAILS(EPERM, setsockopt(fds[0], SOL_SOCKET, SO_RCVBUFFORCE, &value, sizeof value));
        FAILS(EACCES, setsockopt(fds[0], SOL_SOCKET, SO_DEBUG, &value, sizeof value));
        value = 7;
        FAILS(EPERM, setsockopt(fds[0], SOL_SOCKET, SO_PRIORITY, &value, sizeof value));
        FAILS(EPERM, setsockopt(fds[0], SOL_SOCKET, SO_MARK, &value, sizeof value)));
}

/* One control message with so many words of data. */
static long with_control(int type, const int *data, int bytes, int length) {
    union {
        struct cmsghdr header;
        char space[4096];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {page, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(bytes)};
    control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = type, .cmsg_len = length ? length : (int)CMSG_LEN(bytes)};
    memcpy(CMSG_DATA(&control.header), data, bytes);
    return raw(SYS_sendmsg, fds[0], &message, MSG_DONTWAIT); /* musl's own takes little control data */
}

static void rights(void) {
    make(SOCK_STREAM, 0);
    int closed[] = {CLOSED}, one[] = {fds[0]}, negative[] = {fds[0], -1}, many[300], nobody[] = {NOBODY, 0, 0}, other[] = {getpid(), USER + 1, USER}, lies[] = {1, USER, USER};
    for (int i = 0; i < 300; i++)
        many[i] = fds[0];
    FAILS(EBADF, with_control(SCM_RIGHTS, closed, 4, 0));
    FAILS(EBADF, with_control(SCM_RIGHTS, negative, 8, 0));
    FAILS(EINVAL, with_control(SCM_RIGHTS, many, 254 * 4, 0));
    FAILS(EINVAL, with_control(77, one, 4, 0));
    FAILS(EINVAL, with_control(SCM_RIGHTS, one, 4, 15));
    FAILS(EINVAL, with_control(SCM_RIGHTS, one, 4, 1000));
    FAILS(EINVAL, with_control(SCM_CREDENTIALS, one, 4, 0));
    FAILS(ESRCH, with_control(SCM_CREDENTIALS, nobody, 12, 0));
    AS_USER(
        FAILS(EPERM, with_control(SCM_CREDENTIALS, lies, 12, 0));
        other[0] = getpid();
        FAILS(EPERM, with_control(SCM_CREDENTIALS, other, 12, 0)));
    struct rlimit few = {100, 100};
    AS_USER(
        WORKS(setrlimit(RLIMIT_NOFILE, &few));
        long result;
        int sent = 0;
        while ((result = with_control(SCM_RIGHTS, many, 50 * 4, 0)) == 1)
            sent++;
        FAILS(ETOOMANYREFS, result);
        say("after %d", sent));
    struct msghdr no_control = {.msg_control = nowhere, .msg_controllen = 100}, huge = {.msg_control = page, .msg_controllen = 0x80000000};
    FAILS(EFAULT, raw(SYS_sendmsg, fds[0], &no_control, 0));
    FAILS(ENOBUFS, raw(SYS_sendmsg, fds[0], &huge, 0));
}

#define EACH_TYPE(function) \
    static void function##_of_each(void) { \
        say("stream"), function(SOCK_STREAM); \
        say("datagram"), function(SOCK_DGRAM); \
        say("packet"), function(SOCK_SEQPACKET); \
    }
EACH_TYPE(alone)
EACH_TYPE(names)
EACH_TYPE(transfers)
EACH_TYPE(ends)
EACH_TYPE(options)

int main(int count, char **words) {
    static const struct part parts[] = {
        {"socketpair", creations}, {"no sockets", others}, {"socket", alone_of_each}, {"getsockname", names_of_each}, {"send", transfers_of_each},
        {"shutdown", ends_of_each}, {"setsockopt", options_of_each}, {"SCM_RIGHTS", rights}, {NULL, NULL},
    };
    return run_parts_of_errors(parts, count, words);
}
