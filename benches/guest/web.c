/* A server of one file, and a client that fetches it, in as much of HTTP/1.0 as curl understands.
 *
 *     web serve PORT BYTES           never ends; one process, one thread, all connections at once
 *     web fetch HOST PORT BYTES N    fetches the file N times, one after the other, each by a connection of its own
 *
 * The client prints a line when all is well: how often it has fetched how much. Always true: a file that is shorter or longer,
 * or of which a piece begins or ends with another byte than the server has there, is a failure with status 1 (to look at all
 * bytes would be more work than to receive them). There is no table of operations here: what is measured is a whole run, by
 * benches/hosts. */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections at once, by their descriptors. */
#define MOST 1024
#define PIECE 65536

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* The file has no period that a multiple of a segment's length could hide behind. */
static unsigned char byte_at(size_t at) {
    return (unsigned char)(at ^ at >> 8 ^ at >> 16);
}

/* One answer, in whole, and how much of it each connection has; -1: it has not asked yet. */
static char *answer;
static size_t answer_bytes;
static ssize_t done[MOST];

static void prepare(size_t file_bytes) {
    char head[128];
    int head_bytes = snprintf(head, sizeof head, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n", file_bytes);
    answer_bytes = (size_t)head_bytes + file_bytes;
    answer = malloc(answer_bytes);
    if (!answer)
        fail("malloc");
    memcpy(answer, head, (size_t)head_bytes);
    for (size_t at = 0; at < file_bytes; at++)
        answer[(size_t)head_bytes + at] = (char)byte_at(at);
}

/* Take in what a connection asks, and send as much as it takes. Whether it is over. */
static int go_on(int fd) {
    char request[4096];
    ssize_t got = done[fd] < 0 ? recv(fd, request, sizeof request, MSG_DONTWAIT) : 1;
    if (got <= 0)
        return got == 0 || errno != EAGAIN;
    if (done[fd] < 0)
        done[fd] = 0;
    while ((size_t)done[fd] < answer_bytes) {
        ssize_t sent = send(fd, answer + done[fd], answer_bytes - (size_t)done[fd], MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return errno != EAGAIN;
        done[fd] += sent;
    }
    return 1;
}

static void serve(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    if (bind(listener, (void *)&any, sizeof any) || listen(listener, 128))
        fail("listen");
    struct epoll_event what = {.events = EPOLLIN, .data.fd = listener}, ready[64];
    if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, &what))
        fail("epoll_ctl");
    for (;;) {
        int count = epoll_wait(poll, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd != listener) {
                if (go_on(fd))
                    close(fd);
                continue;
            }
            int new = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (new < 0)
                continue;
            if (new >= MOST) {
                fprintf(stderr, "too many connections\n");
                exit(1);
            }
            done[new] = -1;
            what = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = new};
            if (epoll_ctl(poll, EPOLL_CTL_ADD, new, &what))
                fail("epoll_ctl");
        }
    }
}

static void check(char byte, size_t at) {
    if ((unsigned char)byte != byte_at(at)) {
        fprintf(stderr, "another byte at %zu\n", at);
        exit(1);
    }
}

static void fetch(const struct addrinfo *server, size_t file_bytes) {
    static const char request[] = "GET /file HTTP/1.0\r\n\r\n";
    static char piece[PIECE];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, server->ai_addr, server->ai_addrlen))
        fail("connect");
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
        fail("send");
    /* Bytes of the file so far, and how much of the empty line before it has been seen. */
    size_t at = 0, ended = 0;
    ssize_t got;
    while ((got = recv(fd, piece, sizeof piece, 0)) > 0) {
        ssize_t i = 0;
        for (; i < got && ended < 4; i++)
            ended = piece[i] == "\r\n\r\n"[ended] ? ended + 1 : piece[i] == '\r';
        if (i == got)
            continue;
        check(piece[i], at);
        at += (size_t)(got - i);
        check(piece[got - 1], at - 1);
    }
    if (got < 0)
        fail("recv");
    if (at != file_bytes) {
        fprintf(stderr, "%zu bytes of %zu\n", at, file_bytes);
        exit(1);
    }
    close(fd);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "serve") == 0) {
        prepare(strtoul(argv[3], NULL, 10));
        serve(atoi(argv[2]));
    } else if (argc == 6 && strcmp(argv[1], "fetch") == 0) {
        struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *server;
        int error = getaddrinfo(argv[2], argv[3], &hints, &server);
        if (error) {
            fprintf(stderr, "%s: %s\n", argv[2], gai_strerror(error));
            return 1;
        }
        int times = atoi(argv[5]);
        for (int i = 0; i < times; i++)
            fetch(server, strtoul(argv[4], NULL, 10));
        printf("%d times %s bytes\n", times, argv[4]);
        return 0;
    }
    fprintf(stderr, "web serve PORT BYTES | web fetch HOST PORT BYTES N\n");
    return 2;
}
