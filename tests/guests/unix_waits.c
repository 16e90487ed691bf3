/* Sockets of AF_UNIX with addresses that are waited for: datagrams and their senders, full queues, readiness, listeners
 * and their backlogs, who is at the other side.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: where two processes use one
 * socket, each waits for what the other does. Names and files are in unix_addresses.c. */
#include "unix_socket.h"

static void datagrams(void) {
    struct name server_name = path("server"), client_name = hidden("client"), from = nothing();
    int server = bound(SOCK_DGRAM, server_name), client = new_socket(SOCK_DGRAM);
    TRY("from nobody", raw(SYS_sendto, client, "one", 3, 0, OF(&server_name)));
    TRY("received", raw(SYS_recvfrom, server, big, 9, 0, &from.address, &from.length));
    show_name("from", 0, &from);
    TRY("sent", raw(SYS_sendto, client, "two", 3, 0, OF(&server_name)));
    TRY("then bound", raw(SYS_bind, client, OF(&client_name)));
    from = nothing();
    TRY("received", raw(SYS_recvfrom, server, big, 9, MSG_PEEK, &from.address, &from.length));
    show_name("from", 0, &from);
    from = nothing();
    struct iovec piece = {big, 9};
    struct msghdr header = {.msg_name = &from.address, .msg_namelen = sizeof from.address, .msg_iov = &piece, .msg_iovlen = 1};
    TRY("received", got(recvmsg(server, &header, 0)));
    from.length = header.msg_namelen;
    show_name("from", 0, &from);
    TRY("answer", raw(SYS_sendto, server, "three", 5, 0, OF(&from)));
    TRY("received", raw(SYS_recvfrom, client, big, 9, 0, 0, 0));
    show_peer("not connected", client);
    TRY("connect", connected(client, server_name));
    show_peer("connected", client);
    TRY("send", raw(SYS_sendto, client, "four", 4, 0, 0, 0));
    struct name other_name = path("other");
    int other = bound(SOCK_DGRAM, other_name);
    TRY("elsewhere all the same", raw(SYS_sendto, client, "five", 4, 0, OF(&other_name)));
    EACH("got", raw(SYS_recvfrom, server, big, 9, 0, 0, 0), raw(SYS_recvfrom, other, big, 9, 0, 0, 0));
    /* Who is connected hears of its partner only. */
    TRY("connect to it", connected(other, client_name));
    TRY("connected to another", connected(server, client_name));
    int deaf = new_socket(SOCK_DGRAM);
    TRY("to one who is connected", raw(SYS_sendto, deaf, "six", 3, 0, OF(&client_name)));
    TRY("connect to one", connected(deaf, client_name));
    TRY("by its partner", raw(SYS_sendto, server, "seven", 5, 0, OF(&client_name)));
    TRY("dropped by another", connected(client, other_name));
    TRY("what was there is lost", raw(SYS_recvfrom, client, big, 9, MSG_DONTWAIT, 0, 0));
    TRY("the sender hears", option(server, SO_ERROR));
    struct name nobody = {{.sun_family = AF_UNSPEC}, 2};
    TRY("connect to nobody", connected(client, nobody));
    show_peer("then", client);
    /* Its partner goes. */
    TRY("connect", connected(client, server_name));
    close(server);
    show_peer("gone, but known", client);
    say("bits %04x", bits(client));
    EACH("send", raw(SYS_sendto, client, "x", 1, 0, 0, 0), raw(SYS_sendto, client, "x", 1, 0, 0, 0));
    TRY("to where it was", raw(SYS_sendto, client, "x", 1, 0, OF(&server_name)));
    /* A sender that is gone has a name. */
    server = bound(SOCK_DGRAM, (unlink("server"), server_name));
    TRY("last words", raw(SYS_sendto, client, "last", 4, 0, OF(&server_name)));
    close(client);
    from = nothing();
    TRY("received", raw(SYS_recvfrom, server, big, 9, 0, &from.address, &from.length));
    show_name("from", 0, &from);
    TRY("to itself", raw(SYS_sendto, server, "self", 4, 0, OF(&server_name)));
    TRY("received", raw(SYS_recvfrom, server, big, 9, 0, 0, 0));
    TRY("connect to itself", connected(server, server_name));
    EACH("itself", raw(SYS_sendto, server, "self", 4, 0, 0, 0), raw(SYS_recvfrom, server, big, 9, 0, 0, 0));
    TRY("to a stream", connected(new_socket(SOCK_STREAM), server_name));
    TRY("to a hidden one of another type", raw(SYS_sendto, listening(SOCK_STREAM, hidden("s"), 1), "x", 1, 0, OF(&server_name)));
    TRY("by another type", raw(SYS_sendto, new_socket(SOCK_SEQPACKET), "x", 1, 0, OF(&server_name)));
}

static void queues(void) {
    struct name name = path("queue");
    int server = bound(SOCK_DGRAM, name), client = new_socket(SOCK_DGRAM | SOCK_NONBLOCK), other = new_socket(SOCK_DGRAM | SOCK_NONBLOCK);
    connected(client, name);
    say("empty: %04x", bits(client));
    int epoll = epoll_create1(0);
    struct epoll_event event = {EPOLLOUT | EPOLLET, {.u32 = 1}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
    TRY("writable", got(epoll_wait(epoll, &event, 1, 0)));
    int sent = 0;
    long result;
    while ((result = raw(SYS_sendto, client, "x", 1, 0, 0, 0)) == 1)
        sent++;
    say("full = %ld after some: %d; %04x", result, sent > 0, bits(client));
    TRY("by another", raw(SYS_sendto, other, "x", 1, 0, OF(&name)));
    say("who is not connected: %04x", bits(other));
    TRY("no edge", got(epoll_wait(epoll, &event, 1, 0)));
    TRY("take one", raw(SYS_recvfrom, server, big, 9, 0, 0, 0));
    TRY("an edge", got(epoll_wait(epoll, &event, 1, 0)));
    say("room: %04x", bits(client));
    EACH("one more", raw(SYS_sendto, client, "y", 1, 0, 0, 0), raw(SYS_sendto, client, "y", 1, 0, 0, 0));
    /* Who waits goes on. */
    fcntl(other, F_SETFL, 0);
    struct gate gate = new_gate();
    pid_t child = CHILD(open_gate(gate); _exit(raw(SYS_sendto, other, "z", 1, 0, OF(&name)) != 1));
    pass_gate(gate);
    usleep(50000);
    TRY("take one", raw(SYS_recvfrom, server, big, 9, 0, 0, 0));
    show_end("child", child);
    struct timeval soon = {0, 20000};
    setsockopt(other, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    TRY("not for ever", raw(SYS_sendto, other, "z", 1, 0, OF(&name)));
    child = CHILD(close(server); setsockopt(other, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){0}, sizeof soon); open_gate(gate);
                  say("the other went: %ld", raw(SYS_sendto, other, "z", 1, 0, OF(&name))));
    pass_gate(gate);
    usleep(50000);
    close(server);
    show_end("child", child);
    TRY("an edge", got(epoll_wait(epoll, &event, 1, 0)));
}

static void readiness(void) {
    int fds[2];
    for (int i = 0; i < 3; i++) {
        int type = types[i];
        say("-- %s", type_name(type));
        struct name name = hidden("ready");
        fds[0] = new_socket(type);
        say("new %04x", bits(fds[0]));
        raw(SYS_bind, fds[0], OF(&name));
        say("bound %04x", bits(fds[0]));
        if (type == SOCK_DGRAM)
            continue;
        raw(SYS_listen, fds[0], 5);
        say("listening %04x", bits(fds[0]));
        int epoll = epoll_create1(0);
        struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = 1}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event);
        TRY("nothing yet", got(epoll_wait(epoll, &event, 1, 0)));
        fds[1] = new_socket(type);
        connected(fds[1], name);
        show_bits("a connection", fds);
        TRY("an edge", got(epoll_wait(epoll, &event, 1, 0)));
        TRY("one", got(epoll_wait(epoll, &event, 1, 0)));
        connected(new_socket(type), name);
        TRY("another", got(epoll_wait(epoll, &event, 1, 0)));
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fds[0], &set);
        TRY("select", got(select(fds[0] + 1, &set, NULL, NULL, NULL)));
        close(raw(SYS_accept, fds[0], 0, 0)), close(raw(SYS_accept, fds[0], 0, 0));
        show_bits("taken, and closed", fds);
        raw(SYS_shutdown, fds[0], SHUT_RDWR);
        show_bits("shut", fds);
        close(fds[0]), close(fds[1]);
    }
}

static void waits(void) {
    for (int i = 0, type = SOCK_STREAM; i < 2; i++, type = SOCK_SEQPACKET) {
        say("-- %s", type_name(type));
        struct name name = hidden("waits");
        int server = listening(type, name, 0);
        struct gate gate = new_gate(), back = new_gate();
        pid_t child = CHILD(pass_gate(gate); usleep(20000); int c = new_socket(type); connected(c, name); write(c, "hello", 5); pass_gate(gate));
        open_gate(gate);
        int end = taken("waited for", server);
        TRY("said", got(read(end, big, 9)));
        open_gate(gate);
        show_end("child", child);
        close(end);
        /* Two wait for room. */
        connected(new_socket(type), name);
        pid_t children[2];
        for (int j = 0; j < 2; j++) {
            children[j] = CHILD(int c = new_socket(type); open_gate(back); long result = connected(c, name);
                                char text[20] = {'0' + j}; write(c, text, 1); pass_gate(gate); _exit(result != 0));
            pass_gate(back);
            usleep(30000);
        }
        for (int j = 0; j < 3; j++) {
            end = raw(SYS_accept, server, 0, 0);
            if (j > 0)
                TRY("taken", got(read(end, big, 9))), say("from '%c'", big[0]), open_gate(gate);
        }
        EACH("children", status_of(children[0]), status_of(children[1]));
        struct timeval soon = {0, 20000};
        setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
        TRY("accept for a while", raw(SYS_accept, server, 0, 0));
        int client = new_socket(type);
        connected(new_socket(type), name);
        setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
        TRY("connect for a while", connected(client, name));
        child = CHILD(int c = new_socket(type); close(server); open_gate(back); say("the listener went: %ld", connected(c, name)));
        pass_gate(back);
        usleep(30000);
        close(server);
        show_end("child", child);
    }
}

static void show_credentials(const char *what, int fd, pid_t other) {
    struct ucred who = {-2, -2, -2};
    socklen_t length = sizeof who;
    long result = got(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length));
    say("%s = %ld: %s, user %s, group %s", what, result, who.pid == getpid() ? "me" : who.pid == other ? "the other" : who.pid == 0 ? "nobody" : "?",
        who.uid == getuid() ? "mine" : who.uid == (uid_t)-1 ? "none" : "?", who.gid == getgid() ? "mine" : who.gid == (gid_t)-1 ? "none" : "?");
}

static long told(int fd) {
    char control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec piece = {big, 99};
    struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    long result = got(recvmsg(fd, &header, 0));
    struct cmsghdr *first = CMSG_FIRSTHDR(&header);
    if (first == NULL)
        return result;
    struct ucred who;
    memcpy(&who, CMSG_DATA(first), sizeof who);
    say("  with credentials of %s, user %s", who.pid == getpid() ? "me" : who.pid == 0 ? "nobody" : "another", who.uid == getuid() ? "mine" : "?");
    return result;
}

static void credentials(void) {
    struct name name = hidden("credentials");
    int server = bound(SOCK_STREAM, name), client = new_socket(SOCK_STREAM);
    struct gate gate = new_gate();
    show_credentials("before", server, 0);
    /* Who listens counts, not who made the socket or takes the connection. */
    pid_t child = CHILD(raw(SYS_listen, server, 5); show_credentials("listening", server, 0); open_gate(gate);
                        int end = raw(SYS_accept, server, 0, 0); pass_gate(gate);
                        show_credentials("the client", end, getppid()));
    pass_gate(gate);
    connected(client, name);
    show_credentials("the listener", client, child);
    show_credentials("the socket that is listened at", server, child);
    open_gate(gate);
    show_end("child", child);
    close(client);
    /* SO_PASSCRED goes to what comes, and gives a name to who has none. */
    set(server, SO_PASSCRED, 1);
    client = new_socket(SOCK_STREAM);
    connected(client, name);
    int end = raw(SYS_accept, server, 0, 0);
    EACH("passed on", option(end, SO_PASSCRED), option(client, SO_PASSCRED));
    show_own("no name", client);
    TRY("sent", got(write(client, "x", 1)));
    TRY("told", told(end));
    close(client);
    client = new_socket(SOCK_STREAM);
    set(client, SO_PASSCRED, 1);
    show_own("no name yet", client);
    connected(client, name);
    show_own("some name", client);
    struct name datagram = hidden("datagram");
    int a = bound(SOCK_DGRAM, datagram), b = new_socket(SOCK_DGRAM);
    TRY("sent", raw(SYS_sendto, b, "x", 1, 0, OF(&datagram)));
    set(a, SO_PASSCRED, 1);
    TRY("sent", raw(SYS_sendto, b, "x", 1, 0, OF(&datagram)));
    EACH("told", told(a), told(a));
    show_own("no name", b);
    set(b, SO_PASSCRED, 1);
    TRY("sent", raw(SYS_sendto, b, "x", 1, 0, OF(&datagram)));
    show_own("some name", b);
    show_credentials("datagrams", b, 0);
    b = new_socket(SOCK_DGRAM), set(b, SO_PASSCRED, 1), connected(b, datagram);
    show_own("some name", b);
    show_credentials("connected datagrams", b, 0);
}

static void rights_in_listeners(void) {
    /* A listener in a message, and connections to it in its queue, are gone with the last who could take them. */
    struct name name = hidden("rights");
    int fds[2], server = listening(SOCK_STREAM, name, 5), client = new_socket(SOCK_STREAM);
    connected(client, name);
    pair(fds, SOCK_STREAM);
    char control[CMSG_SPACE(sizeof(int))] = "";
    struct iovec piece = {big, 1};
    struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    *CMSG_FIRSTHDR(&header) = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &server, sizeof server);
    TRY("sent", got(sendmsg(fds[0], &header, 0)));
    close(server);
    TRY("it still listens", connected(new_socket(SOCK_STREAM), name));
    TRY("received", got(recvmsg(fds[1], &header, 0)));
    memcpy(&server, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof server);
    int end = taken("taken", server);
    TRY("said", got(write(client, "x", 1)));
    TRY("heard", got(read(end, big, 9)));
    /* Into its own queue, through a connection that nobody takes. */
    client = new_socket(SOCK_STREAM);
    connected(client, name);
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &server, sizeof server);
    TRY("into itself", got(sendmsg(client, &header, 0)));
    close(server);
    long result = 0; /* Linux needs a while to find out that nobody can take it. */
    for (int i = 0; i < 500 && result == 0; i++)
        usleep(10000), close(new_socket(SOCK_STREAM)), result = connected(new_socket(SOCK_STREAM), name);
    TRY("nobody listens", result);
    TRY("the connection", got(read(client, big, 1)));
}

int main(int count, char **words) {
    static const struct part parts[] = {{"datagrams", datagrams},
                                        {"queues", queues},
                                        {"readiness", readiness},
                                        {"waits", waits},
                                        {"credentials", credentials},
                                        {"rights", rights_in_listeners},
                                        {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    return run_parts(parts, count, words);
}
