/* Determinism: values that are the same in every run.
 *
 * Nothing comes in; values go out, which the runner compares with those of a second run. Always true: two runs have the same
 * words, environment and files. That the order of threads repeats is in threads.c. */
#include "check.h"
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/stat.h>

static void show(const char *name, const unsigned char *bytes) {
    char text[33];
    for (int i = 0; i < 16; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    value(name, "%s", text);
}

static void random_bytes(void) {
    unsigned char bytes[16] = {0}, more[16] = {0};
    expect("getrandom", R(getrandom(bytes, sizeof bytes, 0)), sizeof bytes);
    expect("getrandom", R(getrandom(more, sizeof more, 0)), sizeof more);
    expect_true(memcmp(bytes, more, sizeof bytes) != 0, "two calls of getrandom give different bytes", "the same bytes");
    show("the first bytes of getrandom", bytes);
    show("the next bytes of getrandom", more);
    show("the bytes at AT_RANDOM", (const unsigned char *)getauxval(AT_RANDOM));
}

static void random_files(void) {
    static const char *const paths[] = {"/dev/urandom", "/dev/random"};
    for (int i = 0; i < 2; i++) {
        unsigned char bytes[16] = {0};
        int fd = (int)expect_success("open of a file of random bytes", R(open(paths[i], O_RDONLY)));
        expect("read of random bytes", R(read(fd, bytes, sizeof bytes)), sizeof bytes);
        show(paths[i], bytes);
    }
}

static void ids(void) {
    value("getpid", "%d", getpid());
    value("getppid", "%d", getppid());
    value("gettid", "%ld", syscall(SYS_gettid));
    value("getsid", "%ld", R(getsid(0)));
    value("getpgrp", "%d", getpgrp());
}

static void times(void) {
    struct timespec wait = span(SECOND / 3);
    for (int round = 0; round < 3; round++) {
        value("CLOCK_REALTIME", "%lld", (long long)clock_ns(CLOCK_REALTIME));
        value("CLOCK_MONOTONIC", "%lld", (long long)clock_ns(CLOCK_MONOTONIC));
        value("CLOCK_PROCESS_CPUTIME_ID", "%lld", (long long)clock_ns(CLOCK_PROCESS_CPUTIME_ID));
        expect("nanosleep", R(nanosleep(&wait, NULL)), 0);
    }
}

static int somewhere;

static void addresses(void) {
    int here;
    /* The guest's own personality does not show what was done for the simulation's sake. */
    bool was = SHIM(shim_swapAllowNativeSyscalls)(true);
    long persona = syscall(SYS_personality, 0xffffffffUL);
    SHIM(shim_swapAllowNativeSyscalls)(was);
    if (!(persona & ADDR_NO_RANDOMIZE))
        unsupported("addresses are random: ADDR_NO_RANDOMIZE is not set, or not permitted here");
    value("an address of the program", "%p", (void *)&somewhere);
    value("an address of the stack", "%p", (void *)&here);
    value("an address of the heap", "%p", malloc(100));
    value("an address of new memory", "%p", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    value("an address of the C library", "%p", (void *)(uintptr_t)malloc);
}

static void file_times(void) {
    struct stat made;
    const char *path = scratch("times");
    unlink(path);
    int fd = (int)expect_success("open", R(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)));
    expect("write", R(write(fd, "x", 1)), 1);
    close(fd);
    expect("stat", R(stat(path, &made)), 0);
    unlink(path);
    value("the time of a new file", "%lld.%09ld", (long long)made.st_mtim.tv_sec, made.st_mtim.tv_nsec);
}

const struct check determinism_checks[] = {
    {"determinism/random", random_bytes},
    {"determinism/random-files", random_files},
    {"determinism/ids", ids},
    {"determinism/times", times},
    {"determinism/addresses", addresses},
    {"determinism/file-times", file_times},
    {NULL, NULL},
};
