/* What travels beside the bytes of a message: descriptors and credentials, and what cuts messages and their
 * headers.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: process ids are
 * compared and never shown, and who waits for another process waits for what it sends or for its end. */
#include "message.h"

static void rights(void) {
    char text[64];
    FOR_TYPES(type) {
        int s[2], p[2];
        say("%s:", type_name(type));
        pair(s, type);
        new_pipe(p);
        TRY("pass two", pass(s[0], "ends", p, 2));
        close_both(p);
        take("take", s[1], 50, 100, 0);
        EACH("they work", got(write(taken[1], "through", 7)), got(read(taken[0], text, 9)),
             fcntl(taken[0], F_GETFD), fcntl(taken[1], F_GETFL));
        drop();
        new_pipe(p);
        pass(s[0], "cloexec", p, 2);
        take("close on exec", s[1], 50, 100, MSG_CMSG_CLOEXEC);
        EACH("flags", fcntl(taken[0], F_GETFD), fcntl(taken[1], F_GETFD));
        drop();
        pass(s[0], "peeked", p, 1);
        take("peek", s[1], 50, 100, MSG_PEEK);
        drop();
        take("peek a part", s[1], 3, 100, MSG_PEEK);
        drop();
        take("take", s[1], 50, 100, 0);
        drop();
        /* Who has no room for them loses them, and only the last descriptor keeps a pipe open. */
        static const size_t rooms[] = {0, 8, 16, 19, 20, 23, 24};
        for (unsigned i = 0; i < sizeof rooms / sizeof *rooms; i++) {
            pass(s[0], "little room", p, 2);
            take("take", s[1], 50, rooms[i], 0);
            drop();
        }
        pass(s[0], "by recv", p, 2);
        TRY("recv", got(recv(s[1], text, 50, 0)));
        pass(s[0], "by read", p, 2);
        TRY("read", got(read(s[1], text, 50)));
        close(p[1]);
        fcntl(p[0], F_SETFL, O_NONBLOCK);
        TRY("nobody writes", got(read(p[0], text, 9)));
        EACH("no message", pass(s[0], "", p, 1), got(recv(s[1], text, 9, MSG_DONTWAIT)));
        EACH("not open", pass(s[0], "x", (int[]){p[0], 99}, 2), pass(s[0], "x", (int[]){-1}, 1),
             got(recv(s[1], text, 9, MSG_DONTWAIT)));
        close(p[0]);
        close_both(s);
    }
}

static void borders(void) {
    char text[64];
    int s[2], p[2];
    pair(s, SOCK_STREAM);
    new_pipe(p);
    EACH("sent", got(write(s[0], "before ", 7)), pass(s[0], "with", p, 1), got(write(s[0], " behind", 7)));
    take("up to them", s[1], 50, 100, 0);
    drop();
    take("the rest", s[1], 50, 100, 0);
    EACH("two with some", pass(s[0], "one", p, 1), pass(s[0], "two", p, 2));
    take("a part of the first", s[1], 2, 100, 0);
    drop();
    take("the rest comes alone", s[1], 50, 100, 0);
    drop();
    take("nothing is left", s[1], 50, 100, MSG_DONTWAIT);
    EACH("again", pass(s[0], "one", p, 1), pass(s[0], "two", p, 2));
    TRY("a read stops, too", got(read(s[1], text, 50)));
    take("nothing of it", s[1], 0, 100, 0);
    drop();
    take("then", s[1], 50, 100, 0);
    drop();
    static char large[300000];
    struct iovec piece = {large, sizeof large};
    memset(large, 'l', sizeof large - 1);
    fcntl(s[0], F_SETFL, O_NONBLOCK);
    TRY("a large one", pass(s[0], large, p, 1));
    piece.iov_len = 36544;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    EACH("its first piece", raw(SYS_recvmsg, s[1], &message, 0), message.msg_flags);
    take("the second", s[1], 50, 100, 0);
}

static void inheritance(void) {
    char text[64];
    int s[2], inner[2], p[2];
    pair(s, SOCK_SEQPACKET);
    pid_t child = CHILD(close(s[0]); take("child", s[1], 50, 100, 0); new_pipe(p);
                        if (write(taken[0], "from the child", 14) != 14) abort(); pass(taken[0], "more", p, 1);
                        close(taken[0]); if (write(p[1], "piped", 5) != 5) abort());
    close(s[1]);
    pair(inner, SOCK_STREAM);
    long passed = pass(s[0], "socket", &inner[1], 1);
    close(inner[1]);
    show_end("child", child);
    say("pass a socket = %ld", passed);
    TRY("read", got(read(inner[0], text, 14)));
    take("descriptor of one that is gone", inner[0], 50, 100, 0);
    EACH("works", got(read(taken[0], text, 50)), got(read(taken[0], text, 50)));
    TRY("the end", got(read(inner[0], text, 14)));
    drop();
    /* Passed to itself: closing the last descriptor is the end of all of it. */
    pair(inner, SOCK_STREAM);
    new_pipe(p);
    EACH("in itself", pass(inner[0], "a", (int[]){inner[1], p[1]}, 2), pass(inner[1], "b", &inner[0], 1));
    close(p[1]);
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    TRY("somebody could write", got(read(p[0], text, 9)));
    close(inner[0]);
    TRY("still", got(read(p[0], text, 9)));
    take("while one end is there", inner[1], 50, 100, 0);
    drop();
    close(inner[1]);
    close(p[0]);
}

static void numbers(void) {
    int s[2], p[2], many[254];
    pair(s, SOCK_DGRAM);
    new_pipe(p);
    for (int i = 0; i < 254; i++)
        many[i] = p[0];
    EACH("many", pass(s[0], "253", many, 253), pass(s[0], "254", many, 254), pass(s[0], "none", many, 0));
    take("take", s[1], 50, 2000, 0);
    drop();
    take("none", s[1], 50, 2000, 0);
    pass(s[0], "lowest", many, 5);
    close(0);
    int high = dup2(p[1], 9);
    take("the lowest numbers", s[1], 50, 100, 0);
    drop();
    close(high);
    struct rlimit limit = {9, 20};
    setrlimit(RLIMIT_NOFILE, &limit);
    pass(s[0], "limit", many, 6);
    take("as many as there may be", s[1], 50, 100, 0);
    while (dup(p[0]) >= 0)
        ;
    pass(s[0], "full", many, 2);
    take("none may be", s[1], 50, 100, 0);
    drop();
}

static long send_control(int fd, const void *control, size_t length) {
    struct iovec piece = {"text", 4};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = (void *)control, .msg_controllen = length};
    return raw(SYS_sendmsg, fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void show_sender(const char *what) {
    if (has_sender)
        say("%s: %s, user %s, group %s", what,
            sender.pid == getpid()    ? "myself"
            : sender.pid == getppid() ? "my parent"
            : sender.pid == 0         ? "nobody"
                                      : "another",
            sender.uid == getuid() ? "mine"
            : sender.uid == 65534  ? "nobody"
                                   : "another",
            sender.gid == getgid() ? "mine"
            : sender.gid == 65534  ? "nobody"
                                   : "another");
    else
        say("%s: not shown", what);
}

static void credentials(void) {
    FOR_TYPES(type) {
        int s[2], on = 1;
        struct ucred peer = {0, 0, 0};
        socklen_t length = sizeof peer;
        pair(s, type);
        long result = got(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &peer, &length));
        say("%s: peer = %ld, %d bytes, mine %d", type_name(type), result, (int)length,
            peer.pid == getpid() && peer.uid == geteuid() && peer.gid == getegid());
        length = 5;
        TRY("peer, a part", got(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &peer, &length)) + length);
        pass(s[0], "plain", NULL, 0);
        take("not asked for", s[1], 50, 100, 0), show_sender("it");
        pass(s[0], "early", NULL, 0);
        TRY("ask", got(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on)));
        pass(s[0], "late", NULL, 0);
        take("sent before", s[1], 50, 100, 0), show_sender("it");
        take("sent since", s[1], 50, 100, 0), show_sender("it");
        pid_t child = CHILD(pass(s[0], "child", NULL, 0));
        show_end("child", child);
        take("a child's", s[1], 50, 100, 0), show_sender("it");
        int p[2];
        new_pipe(p);
        pass(s[0], "both", p, 2);
        take("both", s[1], 50, 100, 0), show_sender("it");
        drop();
        pass(s[0], "room", p, 2);
        take("room for one", s[1], 50, 40, 0);
        drop();
        pass(s[0], "none", NULL, 0);
        take("no room", s[1], 50, 0, 0);
        pass(s[0], "cut", NULL, 0);
        take("a part", s[1], 50, 20, 0);
        EACH("one after another", pass(s[0], "one ", NULL, 0), pass(s[0], "two ", NULL, 0));
        child = CHILD(pass(s[0], "three", NULL, 0));
        show_end("child", child);
        take("of one", s[1], 50, 100, 0);
        take("of the other", s[1], 50, 100, 0);
        if (type != SOCK_STREAM)
            take("of the other", s[1], 50, 100, 0);
        close_both(p);
        close_both(s);
    }
}

static void said(void) {
    struct {
        struct cmsghdr header;
        struct ucred is;
        int padding;
    } control = {
        {.cmsg_len = CMSG_LEN(sizeof(struct ucred)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS},
        {getpid(), getuid(), getgid()},
        0};
    int s[2], on = 1;
    pair(s, SOCK_SEQPACKET);
    TRY("the truth", send_control(s[0], &control, sizeof control));
    setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    take("take", s[1], 50, 100, 0), show_sender("it");
    TRY("in too few bytes", send_control(s[0], &control, CMSG_LEN(sizeof(struct ucred)) - 1));
    TRY("in just so many", send_control(s[0], &control, CMSG_LEN(sizeof(struct ucred))));
    control.header.cmsg_len--;
    TRY("shorter", send_control(s[0], &control, sizeof control));
    control.header.cmsg_len = 15;
    TRY("too short", send_control(s[0], &control, sizeof control));
    TRY("less than a header", send_control(s[0], &control, 15));
    control.header.cmsg_len = CMSG_LEN(sizeof(struct ucred));
    control.header.cmsg_type = 99;
    TRY("of another type", send_control(s[0], &control, sizeof control));
    control.header.cmsg_level = 99;
    TRY("of another level", send_control(s[0], &control, sizeof control));
    EACH("bad memory", send_control(s[0], (void *)8, 16), send_control(s[0], NULL, 16),
         send_control(s[0], NULL, 1 << 20), send_control(s[0], NULL, 0));
}

static void lies(void) {
    struct {
        struct cmsghdr header;
        struct ucred is;
        int padding;
    } control = {
        {.cmsg_len = CMSG_LEN(sizeof(struct ucred)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS},
        {getpid(), getuid(), getgid()},
        0};
    int s[2];
    pair(s, SOCK_SEQPACKET);
    control.is.pid = 1;
    TRY("another process", send_control(s[0], &control, sizeof control));
    control.is.pid = getpid(), control.is.uid = getuid() + 1;
    TRY("another user", send_control(s[0], &control, sizeof control));
    control.is.uid = -1;
    TRY("no user", send_control(s[0], &control, sizeof control));
}

static void headers(void) {
    int s[2];
    char text[64] = "", name[64];
    pair(s, SOCK_DGRAM);
    struct iovec pieces[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 3};
    EACH("pieces", raw(SYS_sendmsg, s[0], &message, 0), got(recv(s[1], text, 50, 0)));
    say("'%s'", text);
    message.msg_iovlen = 1025;
    EACH("too many pieces", raw(SYS_sendmsg, s[0], &message, 0), raw(SYS_recvmsg, s[1], &message, 0));
    message.msg_iovlen = 1;
    pieces[0].iov_len = -1;
    EACH("a bad piece", raw(SYS_sendmsg, s[0], &message, 0), raw(SYS_recvmsg, s[1], &message, 0));
    pieces[0].iov_len = 2;
    message.msg_name = name, message.msg_namelen = -1;
    EACH("a bad name", raw(SYS_sendmsg, s[0], &message, 0), raw(SYS_recvmsg, s[1], &message, 0));
    message.msg_name = (void *)8, message.msg_namelen = 20;
    TRY("bad memory", raw(SYS_sendmsg, s[0], &message, 0));
    message.msg_name = name, message.msg_namelen = sizeof name;
    message.msg_iov = (struct iovec[]){{text, 3}};
    EACH("sent", got(send(s[0], "longer", 6, 0)), raw(SYS_recvmsg, s[1], &message, 0), message.msg_flags,
         message.msg_namelen);
    EACH("bad headers", raw(SYS_sendmsg, s[0], 8, 0), raw(SYS_recvmsg, s[1], 8, 0),
         raw(SYS_sendmsg, s[0], &message, 1u << 31), raw(SYS_recvmsg, s[0], &message, 1u << 31));
    message.msg_name = NULL, message.msg_iovlen = 0, message.msg_iov = NULL;
    EACH("no bytes", raw(SYS_sendmsg, s[0], &message, 0), raw(SYS_recvmsg, s[1], &message, 0), message.msg_flags);
}

static void several(void) {
    FOR_TYPES(type) {
        int s[2];
        char text[4][16];
        struct iovec out[4] = {{"one", 3}, {"two", 3}, {"three", 5}, {"four", 4}}, in[4];
        struct mmsghdr messages[4];
        memset(messages, 0, sizeof messages);
        for (int i = 0; i < 4; i++) {
            messages[i].msg_hdr.msg_iov = &out[i], messages[i].msg_hdr.msg_iovlen = 1;
            in[i] = (struct iovec){text[i], 4};
        }
        pair(s, type);
        EACH(type_name(type), raw(SYS_sendmmsg, s[0], messages, 4, 0), messages[0].msg_len, messages[2].msg_len,
             messages[3].msg_len);
        for (int i = 0; i < 4; i++)
            messages[i].msg_hdr.msg_iov = &in[i];
        EACH("received", raw(SYS_recvmmsg, s[1], messages, 3, 0, NULL), messages[0].msg_len, messages[2].msg_len,
             messages[2].msg_hdr.msg_flags);
        EACH("one more, without waiting", raw(SYS_recvmmsg, s[1], messages, 4, MSG_DONTWAIT, NULL),
             raw(SYS_recvmmsg, s[1], messages, 4, MSG_DONTWAIT, NULL));
        if (write(s[0], "one", 3) != 3)
            abort();
        TRY("wait for one", raw(SYS_recvmmsg, s[1], messages, 4, MSG_WAITFORONE, NULL));
        struct timespec time = {0, 0}, bad = {0, -1};
        if (write(s[0], "one", 3) != 3 || write(s[0], "two", 3) != 3)
            abort();
        EACH("no time", raw(SYS_recvmmsg, s[1], messages, 1, 0, &time), raw(SYS_recvmmsg, s[1], messages, 4, 0, &bad));
        EACH("none of them", raw(SYS_sendmmsg, s[0], messages, 0, 0), raw(SYS_recvmmsg, s[1], messages, 0, 0, NULL));
        close_both(s);
    }
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"rights", rights},   {"borders", borders},         {"inheritance", inheritance},
        {"numbers", numbers}, {"credentials", credentials}, {"said", said},
        {"lies", lies},       {"headers", headers},         {"several", several},
        {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    return run_parts(parts, count, words);
}
