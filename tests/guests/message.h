/* What the programs about messages share: sending one with descriptors, and receiving and showing one.
 *
 * Descriptors and texts come in, lines go out. Always true: process ids are never shown. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "family.h"
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#define TRY(name, call) say(name " = %ld", (long)(call))

__attribute__((unused)) static void pair(int fds[2], int type) {
    if (socketpair(AF_UNIX, type, 0, fds) != 0)
        say("socketpair = %d", -errno), exit(3);
}

__attribute__((unused)) static void close_both(const int fds[2]) {
    close(fds[0]);
    close(fds[1]);
}

__attribute__((unused)) static void new_pipe(int fds[2]) {
    if (pipe(fds) != 0)
        abort();
}

__attribute__((unused)) static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
__attribute__((unused)) static const char *type_name(int type) {
    return type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "datagram" : "packet";
}
#define FOR_TYPES(type) for (int i_ = 0, type = types[0]; i_ < 3; type = types[++i_ % 3])

/* A message with this text and, if there are any, these descriptors. */
__attribute__((unused)) static long pass(int fd, const char *text, const int *fds, int count) {
    union {
        struct cmsghdr header;
        char bytes[2048];
    } control;
    struct iovec piece = {(char *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    if (fds != NULL) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    return raw(SYS_sendmsg, fd, &message, MSG_NOSIGNAL);
}

__attribute__((unused)) static int taken[300], taken_count;
__attribute__((unused)) static struct ucred sender;
__attribute__((unused)) static int has_sender;

/* Receive up to `bytes` bytes with so much room for control messages, and show all of it but numbers of
 * processes. */
__attribute__((unused)) static long take(const char *what, int fd, size_t bytes, size_t room, int flags) {
    static union {
        struct cmsghdr header;
        char bytes[2048];
    } control;
    char text[100] = "", line[300] = "";
    struct iovec piece = {text, bytes};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = room ? &control : NULL,
                             .msg_controllen = room,
                             .msg_flags = 0x1234};
    memset(&control, 0, sizeof control);
    long result = raw(SYS_recvmsg, fd, &message, flags);
    taken_count = has_sender = 0;
    if (result < 0) {
        say("%s = %ld", what, result);
        return result;
    }
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        snprintf(line + strlen(line), sizeof line - strlen(line), ", %d/%d of %zu:", header->cmsg_level,
                 header->cmsg_type, (size_t)header->cmsg_len);
        if (header->cmsg_type == SCM_RIGHTS) {
            int count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(taken + taken_count, CMSG_DATA(header), count * sizeof(int));
            for (int i = 0; i < count && i < 5; i++)
                snprintf(line + strlen(line), sizeof line - strlen(line), " %d", taken[taken_count + i]);
            taken_count += count;
        } else if (header->cmsg_type == SCM_CREDENTIALS) {
            has_sender = 1;
            memcpy(&sender, CMSG_DATA(header), sizeof sender);
        }
        if (header->cmsg_len < CMSG_LEN(0))
            break;
    }
    say("%s = %ld '%s', flags %x, control %zu%s", what, result, text, message.msg_flags,
        (size_t)message.msg_controllen, line);
    return result;
}

__attribute__((unused)) static void drop(void) {
    while (taken_count > 0)
        close(taken[--taken_count]);
}

#endif
