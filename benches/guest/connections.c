/* Messages over TCP connections, while so many other connections of the machine are open.
 *
 * An operation is a question and its answer, 8 bytes each, over one of ACTIVE connections after the other, whose both ends
 * are this process's: 4 calls. Its name says how many connections there are besides; others hold them, who wait. Each is
 * the same natively and as a guest. */
#include "../measure.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { ACTIVE = 64, HELD_BY_ONE = 1500, DESCRIPTORS = 4000 };

static int ends[ACTIVE][2];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* Open connections from this process to itself. */
static void open_connections(int count, int (*made)[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 5) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        fail("listen");
    for (int i = 0; i < count; i++) {
        int there = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(there, (struct sockaddr *)&address, size))
            fail("connect");
        int here = accept(listener, NULL, NULL);
        if (here < 0)
            fail("accept");
        if (made)
            made[i][0] = here, made[i][1] = there;
    }
    close(listener);
}

/* Have others hold so many connections until this process ends. */
static void hold(int count) {
    int ready[2];
    char byte = 'r';
    if (pipe(ready))
        fail("pipe");
    for (; count > 0; count -= HELD_BY_ONE) {
        if (companion() == 0) {
            setrlimit(RLIMIT_NOFILE, &(struct rlimit){DESCRIPTORS, DESCRIPTORS});
            open_connections(count < HELD_BY_ONE ? count : HELD_BY_ONE, NULL);
            if (write(ready[1], &byte, 1) != 1)
                fail("write");
            for (;;)
                pause();
        }
        if (read(ready[0], &byte, 1) != 1)
            fail("read");
    }
    open_connections(ACTIVE, ends);
}

static void exchange(long count) {
    char message[8] = "message";
    for (long i = 0; i < count; i++) {
        int *pair = ends[i % ACTIVE];
        for (int side = 0; side < 2; side++)
            if (send(pair[side], message, sizeof message, 0) != sizeof message ||
                recv(pair[!side], message, sizeof message, 0) != sizeof message)
                fail("exchange");
    }
}

static void none(void) { hold(0); }
static void hundred(void) { hold(100); }
static void thousand(void) { hold(1000); }
static void three_thousand(void) { hold(3000); }
static void ten_thousand(void) { hold(10000); }

int main(int argc, char **argv) {
    static const struct operation operations[] = {
        {"0", none, exchange, 0, 0},
        {"100", hundred, exchange, 0, 0},
        {"1000", thousand, exchange, 0, 0},
        {"3000", three_thousand, exchange, 0, 0},
        {"10000", ten_thousand, exchange, 0, 0},
        {0},
    };
    return measure(argc, argv, operations);
}
