/* Sockets of AF_UNIX that have addresses: names, listeners, connections, and what the file system has of them.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: what was inherited is closed
 * first. Datagrams, and what two processes do, are in unix_waits.c; what is refused is in errors_unix.c. */
#include "unix_socket.h"

static void show_file(const char *what, const char *path) {
    struct stat s;
    long result = got(lstat(path, &s));
    if (result < 0)
        say("%s = %ld", what, result);
    else
        say("%s: mode %o, links %d, size %d, mine %d", what, s.st_mode, (int)s.st_nlink, (int)s.st_size,
            s.st_uid == getuid() && s.st_gid == getgid());
}

static void names(void) {
    umask(027);
    int a = new_socket(SOCK_STREAM), b = new_socket(SOCK_STREAM);
    show_own("unbound", a);
    show_peer("unbound", a);
    struct name first = path("first"), second = path("second");
    TRY("bind", raw(SYS_bind, a, OF(&first)));
    show_own("bound", a);
    show_file("its file", "first");
    TRY("again", raw(SYS_bind, a, OF(&first)));
    TRY("to another", raw(SYS_bind, a, OF(&second)));
    show_file("no file", "second");
    TRY("any, too", raw(SYS_bind, a, &first.address, 2));
    TRY("by another", raw(SYS_bind, b, OF(&first)));
    TRY("fchmod", got(fchmod(b, 0600)));
    umask(0);
    TRY("by another", raw(SYS_bind, b, OF(&second)));
    show_file("its file", "second");
    close(a);
    show_file("a file stays", "first");
    TRY("and is in the way", raw(SYS_bind, new_socket(SOCK_DGRAM), OF(&first)));
    TRY("but nobody is there", connected(new_socket(SOCK_STREAM), first));
    unlink("first");
    a = bound(SOCK_DGRAM, first);
    show_own("bound anew", a);
    /* No NUL, and more than fits. */
    struct name whole = {{.sun_family = AF_UNIX}, sizeof(struct sockaddr_un)};
    memset(whole.address.sun_path, 'x', sizeof whole.address.sun_path);
    show_own("108 bytes", bound(SOCK_STREAM, whole));
    struct name part = path("part and more");
    part.length = 2 + 4;
    show_own("cut off", bound(SOCK_STREAM, part));
    struct name early = path("early");
    early.length = sizeof early.address;
    show_own("ends early", bound(SOCK_STREAM, early));
    char small[4] = "....";
    socklen_t length = 4;
    TRY("little room", raw(SYS_getsockname, a, small, &length));
    say("got %d %d '%.2s', of %d", small[0], small[1], small + 2, length);
    TRY("to a folder", bind_path(new_socket(SOCK_STREAM), "."));
    mkdir("folder", 0700);
    struct name inner = path("folder/inner"), slash = path("folder/slash/"), missing = path("missing/x"), below = path("second/x");
    show_own("in a folder", bound(SOCK_STREAM, inner));
    EACH("wrong", raw(SYS_bind, b = new_socket(SOCK_STREAM), OF(&slash)), raw(SYS_bind, b, OF(&missing)), raw(SYS_bind, b, OF(&below)));
    symlink("target", "dangling");
    TRY("through a dangling link", bind_path(b, "dangling"));
    TRY("no device to open", got(open("second", O_RDWR)));
    chdir("folder");
    show_own("elsewhere", bound(SOCK_SEQPACKET, path("here")));
    show_file("it", "../folder/here");
}

static void hidden_names(void) {
    struct name one = hidden("one"), bytes = hidden("one");
    bytes.address.sun_path[bytes.length - 2] = 0, bytes.length += 2; /* with NULs in it */
    int a = bound(SOCK_STREAM, one);
    show_own("hidden", a);
    int b = new_socket(SOCK_STREAM);
    TRY("taken", raw(SYS_bind, b, OF(&one)));
    TRY("with NULs", raw(SYS_bind, b, OF(&bytes)));
    struct name name = nothing();
    raw(SYS_getsockname, b, TO(&name));
    say("same %d", name.length == bytes.length && memcmp(&name.address, &bytes.address, name.length) == 0);
    int c = bound(SOCK_DGRAM, one), d = bound(SOCK_SEQPACKET, one);
    say("each type has its own: %d", c > 0 && d > 0);
    close(a);
    TRY("free again", raw(SYS_bind, a = new_socket(SOCK_STREAM), OF(&one)));
    /* Any name. */
    int e = new_socket(SOCK_DGRAM), f = new_socket(SOCK_DGRAM);
    TRY("any", raw(SYS_bind, e, &one.address, 2));
    TRY("any", raw(SYS_bind, f, &one.address, 2));
    TRY("once more", raw(SYS_bind, f, &one.address, 2));
    TRY("another", raw(SYS_bind, f, OF(&one)));
    struct name first = nothing(), second = nothing();
    raw(SYS_getsockname, e, TO(&first)), raw(SYS_getsockname, f, TO(&second));
    int are_digits = 1;
    for (int i = 1; i < 6; i++)
        are_digits &= strchr("0123456789abcdef", first.address.sun_path[i]) != NULL;
    say("lengths %d %d, digits %d, same %d", first.length, second.length, are_digits,
        memcmp(&first.address, &second.address, first.length) == 0);
    TRY("sent", raw(SYS_sendto, e, "any", 3, 0, OF(&second)));
    struct name from = nothing();
    TRY("received", raw(SYS_recvfrom, f, big, 10, 0, &from.address, &from.length));
    say("from it: %d", from.length == first.length && memcmp(&from.address, &first.address, from.length) == 0);
    /* Only a name. */
    struct name empty = {{.sun_family = AF_UNIX}, 3};
    show_own("an empty one", bound(SOCK_SEQPACKET, empty));
}

static void listeners(void) {
    for (int i = 0, type = SOCK_STREAM; i < 2; i++, type = SOCK_SEQPACKET) {
        say("-- %s", type_name(type));
        struct name name = path(type_name(type));
        int server = bound(type, name), client = new_socket(type);
        TRY("nobody listens", connected(client, name));
        TRY("SO_ACCEPTCONN", option(server, SO_ACCEPTCONN));
        TRY("listen", raw(SYS_listen, server, 5));
        TRY("SO_ACCEPTCONN", option(server, SO_ACCEPTCONN));
        TRY("FIONREAD", asked(server, FIONREAD));
        EACH("moves", raw(SYS_recvfrom, server, big, 1, MSG_DONTWAIT, 0, 0), raw(SYS_sendto, server, big, 1, MSG_NOSIGNAL, 0, 0));
        TRY("connect", connected(client, name));
        show_own("client", client);
        show_peer("client", client);
        TRY("again", connected(client, name));
        TRY("by the listener", connected(server, name));
        TRY("written before", got(write(client, "early", 5)));
        int end = taken("accept", server);
        say("flags %o %d", fcntl(end, F_GETFL), fcntl(end, F_GETFD));
        show_own("end", end);
        show_peer("end", end);
        TRY("read", got(read(end, big, 99)));
        TRY("answer", got(write(end, "answer", 6)));
        struct name from = nothing();
        TRY("received", raw(SYS_recvfrom, client, big, 99, 0, &from.address, &from.length));
        show_name("its sender", 0, &from);
        TRY("listen at it", raw(SYS_listen, client, 5));
        struct name late = path(type == SOCK_STREAM ? "late1" : "late2");
        TRY("bound late", raw(SYS_bind, client, OF(&late)));
        show_peer("end", end);
        close(client);
        show_peer("end of one that is gone", end);
        TRY("read", got(read(end, big, 99)));
        close(end);
        EACH("nobody waits", got(fcntl(server, F_SETFL, O_NONBLOCK)), raw(SYS_accept, server, 0, 0));
        client = new_socket(type | SOCK_NONBLOCK | SOCK_CLOEXEC);
        TRY("connect", connected(client, name));
        end = raw(SYS_accept4, server, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
        say("flags %o %d", fcntl(end, F_GETFL), fcntl(end, F_GETFD));
        struct name bad = nothing();
        bad.length = -1;
        int other = new_socket(type);
        TRY("connect", connected(other, name));
        TRY("accept with a bad length", raw(SYS_accept, server, &bad.address, &bad.length));
        TRY("it is lost", got(read(other, big, 1)));
        close(server), close(end), close(client), close(other);
        TRY("the listener is gone", connected(new_socket(type), name));
    }
}

static void backlogs(void) {
    for (int i = 0, type = SOCK_STREAM; i < 2; i++, type = SOCK_SEQPACKET) {
        say("-- %s", type_name(type));
        struct name name = hidden("backlog");
        int server = listening(type, name, 2), clients[6];
        for (int j = 0; j < 6; j++) {
            clients[j] = new_socket(type | SOCK_NONBLOCK);
            say("connect %d = %ld", j, connected(clients[j], name));
        }
        TRY("take one", got(close(raw(SYS_accept, server, 0, 0))));
        EACH("room for one", connected(clients[4], name), connected(clients[5], name));
        TRY("more room", raw(SYS_listen, server, 3));
        EACH("room for one", connected(clients[5], name), connected(clients[3], name));
        TRY("less room", raw(SYS_listen, server, 0));
        TRY("none", connected(new_socket(type | SOCK_NONBLOCK), name));
        /* Nobody takes the rest. */
        TRY("sent", got(write(clients[1], "lost", 4)));
        show_bits("before", clients + 1);
        close(server);
        show_bits("after", clients + 1);
        EACH("errors", option(clients[1], SO_ERROR), option(clients[1], SO_ERROR));
        handle(SIGPIPE, count_broken, 0);
        EACH("then", got(read(clients[2], big, 1)), got(read(clients[2], big, 1)), got(write(clients[2], big, 1)));
        for (int j = 0; j < 6; j++)
            close(clients[j]);
        server = listening(type, name, -1);
        TRY("without a limit", connected(clients[0] = new_socket(type), name));
        TRY("shut down", raw(SYS_shutdown, server, SHUT_RD));
        say("bits %04x", bits(server));
        TRY("connect", connected(new_socket(type), name));
        TRY("what has come is taken", raw(SYS_accept, server, 0, 0) > 0);
        TRY("then there is nothing", raw(SYS_accept, server, 0, 0));
        close(server);
        /* One that is closed before it is taken. */
        server = listening(type, name, 5);
        int client = new_socket(type);
        connected(client, name);
        write(client, "gone", 4);
        close(client);
        int end = taken("closed before", server);
        EACH("read", got(read(end, big, 9)), got(read(end, big, 9)), got(write(end, "x", 1)));
        show_peer("its peer", end);
        close(server), close(end);
    }
}

static void files(void) {
    struct name one = path("one"), two = path("two"), three = path("three"), link_name = path("link");
    int server = listening(SOCK_STREAM, one, 9);
    rename("one", "two");
    EACH("renamed", connected(new_socket(SOCK_STREAM), one), connected(new_socket(SOCK_STREAM), two));
    link("two", "three");
    show_file("linked", "three");
    TRY("by another name", connected(new_socket(SOCK_STREAM), three));
    symlink("three", "link");
    int client = new_socket(SOCK_STREAM);
    TRY("through a link", connected(client, link_name));
    show_peer("its name is the old one", client);
    unlink("two");
    TRY("by the other name", connected(new_socket(SOCK_STREAM), three));
    unlink("three");
    TRY("without a name", connected(new_socket(SOCK_STREAM), three));
    show_own("it has one", server);
    int newer = listening(SOCK_STREAM, three, 9);
    client = new_socket(SOCK_STREAM);
    TRY("a newer one", connected(client, three));
    close(taken("it", newer));
    TRY("the old one's", raw(SYS_accept, server, 0, 0) > 0);
    mkdir("folder", 0700);
    chdir("folder");
    struct name up = path("../three"), file = path("file"), folder = path("."), inner = path("../three/x"), dangling = path("dangling"), loop = path("loop");
    TRY("from elsewhere", connected(new_socket(SOCK_STREAM), up));
    close(open("file", O_CREAT | O_RDWR, 0600));
    symlink("nowhere", "dangling"), symlink("loop", "loop");
    EACH("no sockets", connected(client = new_socket(SOCK_STREAM), file), connected(client, folder), connected(client, inner),
         connected(client, dangling), connected(client, loop));
    mknod("made", S_IFSOCK | 0600, 0);
    TRY("made by hand", connected(client, path("made")));
    char text[99];
    snprintf(text, sizeof text, "/proc/self/fd/%d", open("../three", O_PATH));
    TRY("by an open path", connected(client, path(text)));
    snprintf(text, sizeof text, "/proc/self/fd/%d", newer);
    TRY("by the listener's own", connected(new_socket(SOCK_STREAM), path(text)));
}

/* The line of a socket in /proc/net/unix, without its number. */
static void show_line(const char *what, int fd) {
    FILE *list = fopen("/proc/net/unix", "r");
    char line[300], path[300];
    struct stat s;
    long inode;
    unsigned numbers[5];
    if (list == NULL || fgets(line, sizeof line, list) == NULL || fstat(fd, &s) != 0)
        abort();
    if (fd < 0)
        say("%.40s", line);
    while (fgets(line, sizeof line, list) != NULL) {
        path[0] = 0;
        if (sscanf(line, "%*[0-9a-fA-F]: %x %x %x %x %x %ld %299[^\n]", numbers, numbers + 1, numbers + 2, numbers + 3, numbers + 4,
                   &inode, path) >= 6 && inode == (long)s.st_ino)
            say("%s: %x %x %x %x %x%s%s", what, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], *path ? " " : "", path);
    }
    fclose(list);
}

static void list(void) {
    for (int i = 0; i < 3; i++) {
        int type = types[i], s[2];
        say("-- %s", type_name(type));
        int server = new_socket(type), client = new_socket(type);
        show_line("new", server);
        struct name name = path(type_name(type));
        raw(SYS_bind, server, OF(&name));
        show_line("bound", server);
        struct name other = {{.sun_family = AF_UNIX, .sun_path = "\0a hidden one, and\0more"}, 2 + 23};
        raw(SYS_bind, client, OF(&other));
        show_line("hidden", client);
        raw(SYS_listen, server, 5);
        show_line("listening", server);
        connected(client, name);
        show_line("connected", client);
        show_line("its partner", server);
        if (type != SOCK_DGRAM) {
            int end = raw(SYS_accept, server, 0, 0);
            show_line("taken", end);
            close(end);
            show_line("alone", client);
        }
        pair(s, type);
        show_line("pair", s[0]);
        close(client), close(server);
    }
}

int main(int count, char **words) {
    static const struct part parts[] = {{"names", names},
                                        {"hidden names", hidden_names},
                                        {"listeners", listeners},
                                        {"backlogs", backlogs},
                                        {"files", files},
                                        {"listing", list},
                                        {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    return run_parts(parts, count, words);
}
