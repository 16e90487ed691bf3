/* Operations of one thread: clocks, identity, files, calls that are forwarded, naps.
 *
 * Each is the same natively and as a guest; what one is, is said where it stands. The calls whose way
 * matters are made by an instruction of this program's own, the others as programs make them: through the
 * C library. */
#include "../measure.h"

#include <fcntl.h>
#include <sys/socket.h>

/* clock_gettime through the C library, and so by the vDSO natively. */
static void clock_library(long count) {
    struct timespec time;
    for (long i = 0; i < count; i++)
        clock_gettime(CLOCK_MONOTONIC, &time);
}

/* getpid through the C library, which makes the call each time. */
static void getpid_library(long count) {
    for (long i = 0; i < count; i++)
        getpid();
}

/* getpid at one place of this program's own, which has been used before. */
static void getpid_raw(long count) {
    for (long i = 0; i < count; i++)
        raw(SYS_getpid, 0, 0, 0, 0);
}

static void prepare_getpid_raw(void) {
    getpid_raw(100);
}

/* getpid at places of this program's own, none of which has been used before: 16 bytes each, so that a
 * page has 256 of them, and the first of a page may cost more than the others. */
#define PLACES 16384
#define PLACE_BYTES 16

void places(void);

__asm__(".text\n"
        ".balign 4096\n"
        "places:\n"
        ".rept 16384\n"
        ".balign 16\n"
        "    mov $39, %eax\n"
        "    syscall\n"
        "    ret\n"
        ".endr\n"
        ".balign 4096\n");

static void getpid_first(long count) {
    static long next;
    for (long i = 0; i < count && next < PLACES; i++, next++)
        ((void (*)(void))((uintptr_t)places + (uintptr_t)next * PLACE_BYTES))();
}

/* pread of 4 KiB of a file that is in the page cache. */
static int file;

static void prepare_pread(void) {
    file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        perror("/proc/self/exe");
        exit(1);
    }
}

static void pread_4k(long count) {
    static char buffer[4096];
    for (long i = 0; i < count; i++)
        if (pread(file, buffer, sizeof buffer, 0) != sizeof buffer)
            abort();
}

/* A call that the kernel of the simulated machine answers, without any memory, wherever it is. */
static void visit(long count) {
    for (long i = 0; i < count; i++)
        raw(SYS_sched_getscheduler, 0, 0, 0, 0);
}

/* One that only the simulator answers: there is no child to wait for. */
static void forward(long count) {
    for (long i = 0; i < count; i++)
        raw(SYS_wait4, -1, 0, 0, 0);
}

/* Two calls, with bytes out in the one and in in the other: to a stream socket, and back from its peer. */
static int sockets[2];

static void prepare_sockets(void) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)) {
        perror("socketpair");
        exit(1);
    }
}

static void exchange(long count, size_t bytes) {
    static char buffer[65536];
    for (long i = 0; i < count; i++) {
        if (write(sockets[0], buffer, bytes) != (ssize_t)bytes)
            abort();
        for (size_t done = 0; done < bytes;) {
            ssize_t got = read(sockets[1], buffer + done, bytes - done);
            if (got <= 0)
                abort();
            done += (size_t)got;
        }
    }
}

static void exchange_64(long count) { exchange(count, 64); }
static void exchange_4k(long count) { exchange(count, 4096); }
static void exchange_64k(long count) { exchange(count, 65536); }

/* The shortest nap. */
static void nap(long count) {
    struct timespec time = {0, 1};
    for (long i = 0; i < count; i++)
        nanosleep(&time, NULL);
}

int main(int argc, char **argv) {
    static const struct operation operations[] = {
        {"clock", NULL, clock_library, 0, 0},
        {"getpid", NULL, getpid_library, 0, 0},
        {"getpid-raw", prepare_getpid_raw, getpid_raw, 0, 0},
        {"getpid-first", NULL, getpid_first, 256, PLACES},
        {"pread", prepare_pread, pread_4k, 0, 0},
        {"visit", NULL, visit, 0, 0},
        {"forward", NULL, forward, 0, 0},
        {"exchange-64", prepare_sockets, exchange_64, 0, 0},
        {"exchange-4k", prepare_sockets, exchange_4k, 0, 0},
        {"exchange-64k", prepare_sockets, exchange_64k, 0, 0},
        {"nanosleep", NULL, nap, 0, 0},
        {0},
    };
    return measure(argc, argv, operations);
}
