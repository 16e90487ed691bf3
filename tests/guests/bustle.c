/* Keeps a host busy in every way at once, for whoever kills some of it: each process does one thing again and again, and
 * is named after it, so that its killer knows what it hits.
 *
 *   bustle ROUNDS    each does it so often; ends with 0 when all have ended, whatever has become of them
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "check.h"

static int rounds;

static void pause_us(long us) {
    nanosleep(&(struct timespec){0, us * 1000}, NULL);
}

/* Computes nearly all of the time. */
static void busy(void) {
    volatile unsigned sum = 0;
    for (int i = 0; i < rounds; i++) {
        for (int j = 0; j < 400000; j++)
            sum = sum * 5 + (unsigned)j;
        pause_us(700);
    }
}

/* Is in a native call nearly all of the time. */
static void native(void) {
    static char bytes[4 << 20];
    int zeroes = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < rounds; i++) {
        if (read(zeroes, bytes, sizeof bytes) < 0)
            _exit(3);
        pause_us(700);
    }
}

/* Is in the kernel of its host nearly all of the time. */
static void calls(void) {
    int ends[2];
    char byte = 'c';
    if (pipe(ends))
        _exit(3);
    for (int i = 0; i < rounds; i++) {
        for (int j = 0; j < 400; j++)
            if (write(ends[1], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
                _exit(3);
        pause_us(300);
    }
}

static void sleeps(void) {
    for (int i = 0; i < rounds; i++)
        pause_us(300);
}

/* Makes children that do next to nothing, and programs that do nothing. */
static void births(void) {
    for (volatile int i = 0; i < rounds; i++) {
        pid_t child = i % 3 == 2 ? vfork() : fork();
        if (child == 0) {
            if (i % 3 != 0)
                execl("/bin/true", "true", NULL);
            _exit(0);
        }
        if (child > 0)
            waitpid(child, NULL, 0);
        pause_us(500);
    }
}

static void *comes_and_goes(void *unused) {
    pause_us(50);
    return unused;
}

static void threads(void) {
    for (int i = 0; i < rounds; i++) {
        pthread_t both[2];
        int made = 0;
        while (made < 2 && pthread_create(&both[made], NULL, comes_and_goes, NULL) == 0)
            made++;
        for (int j = 0; j < made; j++)
            pthread_join(both[j], NULL);
        pause_us(300);
    }
}

static int listener, there[2], back[2];

static void serves(void) {
    for (;;) {
        int end = accept(listener, NULL, NULL);
        char bytes[3000];
        ssize_t count;
        while (end >= 0 && (count = read(end, bytes, sizeof bytes)) > 0)
            if (write(end, bytes, (size_t)count) < 0)
                break;
        if (end < 0)
            return;
        close(end);
    }
}

static void asks(void) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &length);
    for (int i = 0; i < rounds; i++) {
        int end = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char bytes[3000] = {0};
        if (connect(end, (struct sockaddr *)&address, length) == 0)
            for (int j = 0; j < 5; j++)
                if (write(end, bytes, sizeof bytes) < 0 || read(end, bytes, sizeof bytes) <= 0)
                    break;
        close(end);
        pause_us(200);
    }
}

static void gives(void) {
    char byte = 'g';
    close(there[0]), close(back[1]);
    while (write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1)
        ;
}

static void takes(void) {
    char byte;
    close(there[1]), close(back[0]);
    for (int i = 0; i < 20 * rounds && read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1; i++)
        if (i % 30 == 0)
            pause_us(100);
}

int main(int count, char **words) {
    static const struct part all[] = {{"busy", busy}, {"native", native}, {"calls", calls}, {"sleeps", sleeps}, {"births", births},
                                      {"threads", threads}, {"serves", serves}, {"asks", asks}, {"gives", gives},
                                      {"takes", takes}, {0}};
    rounds = count > 1 ? atoi(words[1]) : 1;
    signal(SIGPIPE, SIG_IGN);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&any, sizeof any) || listen(listener, 5) || pipe(there) || pipe(back))
        abort();
    pid_t server = 0;
    for (const struct part *part = all; part->name; part++) {
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_NAME, part->name);
            if (part->run != gives && part->run != takes)
                close(there[0]), close(there[1]), close(back[0]), close(back[1]);
            part->run();
            _exit(0);
        }
        if (part->run == serves)
            server = child;
    }
    close(there[0]), close(there[1]), close(back[0]), close(back[1]);
    for (int left = sizeof all / sizeof *all - 2; left > 0;) {
        pid_t ended = wait(NULL);
        if (ended < 0 && errno != EINTR)
            break;
        left -= ended > 0 && ended != server;
    }
    kill(server, SIGKILL);
    while (wait(NULL) > 0)
        ;
    say("bustle done");
    return 0;
}
