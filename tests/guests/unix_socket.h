/* What the programs about sockets of AF_UNIX with addresses share: names, and sockets that have them.
 *
 * Texts come in, sockets and lines go out. Always true: names are in the folder that the program runs in, or begin with
 * its process id. What is shown is the programs' own. */
#ifndef UNIX_SOCKET_H
#define UNIX_SOCKET_H

#include "socketpair.h"
#include <stddef.h>

struct name {
    struct sockaddr_un address;
    socklen_t length;
};
#define OF(name) (struct sockaddr *)&(name)->address, (name)->length
#define TO(name) (struct sockaddr *)&(name)->address, &(name)->length

__attribute__((unused)) static struct name path(const char *text) {
    struct name name = {{.sun_family = AF_UNIX}, offsetof(struct sockaddr_un, sun_path) + strlen(text) + 1};
    strcpy(name.address.sun_path, text);
    return name;
}

/* A name without a path, that no other run has. */
__attribute__((unused)) static struct name hidden(const char *text) {
    struct name name = {{.sun_family = AF_UNIX}, 0};
    name.length = 3 + sprintf(name.address.sun_path + 1, "%d.%s", getpid(), text);
    return name;
}

__attribute__((unused)) static struct name nothing(void) { return (struct name){{.sun_family = 77}, sizeof(struct sockaddr_un)}; }

__attribute__((unused)) static void show_name(const char *what, long result, const struct name *name) {
    if (result < 0) {
        say("%s = %ld", what, result);
        return;
    }
    const char *text = name->address.sun_path;
    long length = (long)name->length - 2, pid = getpid(), other;
    char rest[110] = "";
    if (length > 0 && text[0] == 0) {
        char copy[110] = "";
        memcpy(copy, text + 1, length - 1);
        if (sscanf(copy, "%ld.%100s", &other, rest) == 2)
            say("%s = %ld: hidden '%s' of %s, length %s", what, result, rest, other == pid ? "mine" : "another's",
                length == (long)strlen(copy) + 1 ? "right" : "wrong");
        else
            say("%s = %ld: hidden, %ld bytes", what, result, length);
    } else
        say("%s = %ld: family %d, %ld bytes '%.*s'", what, result, name->address.sun_family, length,
            length > 0 ? (int)length : 0, text);
}

__attribute__((unused)) static void show_own(const char *what, int fd) {
    struct name name = nothing();
    long result = raw(SYS_getsockname, fd, &name.address, &name.length);
    show_name(what, result, &name);
}
__attribute__((unused)) static void show_peer(const char *what, int fd) {
    struct name name = nothing();
    long result = raw(SYS_getpeername, fd, &name.address, &name.length);
    show_name(what, result, &name);
}

__attribute__((unused)) static int new_socket(int type) {
    int fd = socket(AF_UNIX, type, 0);
    if (fd < 0)
        say("socket = %d", -errno), exit(3);
    return fd;
}

__attribute__((unused)) static long bind_path(int fd, const char *text) {
    struct name name = path(text);
    return raw(SYS_bind, fd, OF(&name));
}

__attribute__((unused)) static int bound(int type, struct name name) {
    int fd = new_socket(type);
    long result = raw(SYS_bind, fd, OF(&name));
    if (result != 0)
        say("bind = %ld", result);
    return fd;
}

__attribute__((unused)) static int listening(int type, struct name name, int backlog) {
    int fd = bound(type, name);
    long result = raw(SYS_listen, fd, backlog);
    if (result != 0)
        say("listen = %ld", result);
    return fd;
}

__attribute__((unused)) static long connected(int fd, struct name name) { return raw(SYS_connect, fd, OF(&name)); }

/* The accepted one. */
__attribute__((unused)) static int taken(const char *what, int fd) {
    struct name name = nothing();
    long result = raw(SYS_accept, fd, TO(&name));
    show_name(what, result, &name);
    return result;
}

#endif
