/* What streams of AF_UNIX do beyond bytes in order: urgent bytes, and looks from an offset.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: every call returns at once. */
#include "socketpair.h"

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF 42
#endif

#define READ(fd, room, flags) \
    do { \
        char text_[16] = ""; \
        struct iovec piece_ = {text_, room}; \
        struct msghdr message_ = {.msg_iov = &piece_, .msg_iovlen = 1}; \
        long result_ = got(recvmsg(fd, &message_, MSG_DONTWAIT | (flags))); \
        say("  " #flags " " #room ": %ld '%s', flags %x, ready %x, at mark %ld", result_, text_, \
            result_ < 0 ? 0 : message_.msg_flags, bits(fd) & (POLLIN | POLLPRI), asked(fd, SIOCATMARK)); \
    } while (0)
#define SEND(fd, text, flags) say("send '%s' %s = %ld", text, #flags, got(send(fd, text, strlen(text), flags)))

static volatile int urgent;
static void count_urgent(int signal) { urgent += signal == SIGURG; }

static void bytes(void) {
    int s[2];
    pair(s, SOCK_STREAM);
    READ(s[1], 9, MSG_OOB);
    SEND(s[0], "abc", MSG_OOB);
    READ(s[1], 9, MSG_OOB | MSG_PEEK);
    READ(s[1], 9, 0);
    READ(s[1], 9, MSG_OOB);
    READ(s[1], 9, MSG_OOB);
    READ(s[1], 9, 0);
    say("a mark between");
    SEND(s[0], "ab!", MSG_OOB), SEND(s[0], "cd", 0);
    READ(s[1], 9, MSG_OOB);
    READ(s[1], 9, MSG_PEEK);
    READ(s[1], 9, 0);
    READ(s[1], 9, 0);
    say("a byte that nobody reads");
    SEND(s[0], "ab!", MSG_OOB), SEND(s[0], "cd", 0);
    READ(s[1], 1, 0);
    READ(s[1], 9, MSG_PEEK);
    READ(s[1], 9, 0);
    READ(s[1], 9, MSG_PEEK);
    READ(s[1], 9, 0);
    READ(s[1], 9, MSG_OOB);
    say("two of them");
    SEND(s[0], "a!", MSG_OOB), SEND(s[0], "b?", MSG_OOB), SEND(s[0], "c", 0);
    READ(s[1], 9, MSG_PEEK);
    READ(s[1], 9, 0);
    READ(s[1], 9, MSG_OOB);
    READ(s[1], 9, 0);
    say("two, both read");
    SEND(s[0], "a!", MSG_OOB);
    READ(s[1], 9, MSG_OOB);
    SEND(s[0], "?", MSG_OOB);
    READ(s[1], 9, MSG_OOB);
    SEND(s[0], "b", 0);
    READ(s[1], 9, 0);
    READ(s[1], 9, 0);
    say("nothing else");
    SEND(s[0], "!", MSG_OOB);
    READ(s[1], 9, MSG_PEEK);
    READ(s[1], 9, 0);
    READ(s[1], 9, MSG_OOB);
    SEND(s[0], "!", MSG_OOB);
    READ(s[1], 9, MSG_OOB);
    SEND(s[0], "a", 0);
    READ(s[1], 9, 0);
    say("among the others");
    TRY("inline", set(s[1], SO_OOBINLINE, 1));
    SEND(s[0], "ab!", MSG_OOB), SEND(s[0], "cd", 0);
    READ(s[1], 9, MSG_OOB);
    READ(s[1], 9, MSG_PEEK);
    READ(s[1], 9, 0);
    READ(s[1], 9, MSG_PEEK);
    READ(s[1], 9, 0);
    SEND(s[0], "", MSG_OOB);
}

static void ends(void) {
    int s[2];
    for (int i = 0; i < 3; i++) {
        pair(s, SOCK_STREAM);
        send(s[0], i == 2 ? "a!" : "!", i == 2 ? 2 : 1, MSG_OOB);
        if (i > 0)
            READ(s[1], 9, MSG_OOB);
        close(s[1]);
        EACH("the other end", option(s[0], SO_ERROR), bits(s[0]));
        close(s[0]);
    }
    pair(s, SOCK_STREAM);
    SEND(s[0], "a!", MSG_OOB);
    close(s[0]);
    READ(s[1], 9, 0);
    READ(s[1], 9, MSG_OOB);
    READ(s[1], 9, 0);
    struct sigaction action = {.sa_handler = count_urgent};
    sigaction(SIGURG, &action, NULL);
    pair(s, SOCK_STREAM);
    EACH("owned", got(fcntl(s[1], F_SETOWN, getpid())), got(send(s[0], "a!", 2, MSG_OOB)));
    say("signals %d", urgent);
    int d[2];
    pair(d, SOCK_DGRAM);
    EACH("of messages", got(send(d[0], "x", 1, MSG_OOB)), got(recv(d[0], big, 9, MSG_OOB | MSG_DONTWAIT)), asked(d[0], SIOCATMARK));
    int e = epoll_create1(0);
    struct epoll_event wanted = {.events = EPOLLPRI | EPOLLET}, event = {0};
    pair(s, SOCK_STREAM);
    epoll_ctl(e, EPOLL_CTL_ADD, s[1], &wanted);
    TRY("before", got(epoll_wait(e, &event, 1, 0)));
    SEND(s[0], "a!", MSG_OOB);
    EACH("after", got(epoll_wait(e, &event, 1, 0)), event.events, got(epoll_wait(e, &event, 1, 0)));
}

static void looks(void) {
    int s[2];
    FOR_TYPES(type) {
        pair(s, type);
        say("%s", type_name(type));
        EACH("offset", option(s[1], SO_PEEK_OFF), set(s[1], SO_PEEK_OFF, 1), option(s[1], SO_PEEK_OFF));
        SEND(s[0], "abcd", 0), SEND(s[0], "efg", 0);
#define LOOK(room, flags) \
    do { \
        memset(big, 0, 99); \
        long result_ = got(recv(s[1], big, room, MSG_DONTWAIT | (flags))); \
        say("  " #flags " " #room ": %ld '%s', then at %ld", result_, big, option(s[1], SO_PEEK_OFF)); \
    } while (0)
        LOOK(1, MSG_PEEK);
        LOOK(1, MSG_PEEK | MSG_TRUNC);
        LOOK(9, MSG_PEEK);
        LOOK(2, MSG_PEEK);
        LOOK(9, MSG_PEEK);
        LOOK(2, 0);
        LOOK(9, MSG_PEEK);
        LOOK(9, 0);
        LOOK(9, 0);
        EACH("off", set(s[1], SO_PEEK_OFF, -1), option(s[1], SO_PEEK_OFF));
        SEND(s[0], "abcd", 0), SEND(s[0], "efg", 0);
        LOOK(9, MSG_PEEK);
        LOOK(9, MSG_PEEK);
        LOOK(2, 0);
        close_both(s);
    }
}

static const struct part parts[] = {{"bytes", bytes}, {"ends", ends}, {"looks", looks}, {NULL, NULL}};

int main(int count, char **words) { return run_parts(parts, count, words); }
