/* Limits: guests that do what few programs do.
 *
 * Odd habits come in, a verdict or an exit status goes out. Always true: everything here is allowed, and natively the
 * results are the same. */
#include "check.h"
#include <sys/mman.h>
#include <sys/resource.h>

/* Its end tells that it has come so far: it has nothing left to speak by. */
static void closes_all(void) {
    struct timespec wait = span(HOUR);
    report("ends");
    for (int fd = 0; fd < 4096; fd++)
        close(fd);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    if (nanosleep(&wait, NULL) != 0 || clock_ns(CLOCK_MONOTONIC) - start < HOUR)
        _exit(1);
    if (open("/dev/null", O_RDWR) != 0 || dup(0) != 1)
        _exit(2);
    _exit(43);
}

static void never_calls(void) {
    report("ends");
    for (volatile uint64_t i = 0; i < 500000000; i++)
        ;
    _exit(44);
}

static void many_calls(void) {
    for (int i = 0; i < 20000; i++) {
        struct timespec wait = span(1);
        expect("nanosleep", R(nanosleep(&wait, NULL)), 0);
        expect("lseek of a closed descriptor", R(lseek(99, 0, SEEK_SET)), -EBADF);
    }
}

static void many_descriptors(void) {
    struct rlimit limit;
    expect("getrlimit", R(getrlimit(RLIMIT_NOFILE, &limit)), 0);
    limit.rlim_cur = limit.rlim_cur < 500 ? limit.rlim_cur : 500;
    expect("setrlimit", R(setrlimit(RLIMIT_NOFILE, &limit)), 0);
    int last = -1, fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0)
        last = fd;
    expect("open beyond the limit of descriptors", -errno, -EMFILE);
    expect("the highest descriptor", last, (long)limit.rlim_cur - 1);
}

static __attribute__((noinline)) int deep(int depth) {
    volatile char frame[1024];
    frame[0] = (char)depth;
    return depth == 0 ? 0 : deep(depth - 1) + (frame[0] == (char)depth);
}

static void deep_stack(void) { expect("4000 nested calls with a kilobyte each", deep(4000), 4000); }

static void much_memory(void) {
    size_t size = (size_t)1 << 32;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    expect_success("mmap of 4 GiB", memory == MAP_FAILED ? -errno : 0);
    for (size_t at = 0; at < size; at += size / 64)
        memory[at] = (char)(at >> 26);
    for (size_t at = 0; at < size; at += size / 64)
        expect("a byte of it", memory[at], (char)(at >> 26));
    expect("munmap", R(munmap(memory, size)), 0);
}

static void long_sleep(void) {
    struct timespec wait = span(365 * 24 * HOUR);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    expect("nanosleep", R(nanosleep(&wait, NULL)), 0);
    expect_span("nanosleep of a year", clock_ns(CLOCK_MONOTONIC) - start, 365 * 24 * HOUR);
}

const struct check limit_checks[] = {
    {"limits/closes-all", closes_all},
    {"limits/never-calls", never_calls},
    {"limits/many-calls", many_calls},
    {"limits/many-descriptors", many_descriptors},
    {"limits/deep-stack", deep_stack},
    {"limits/much-memory", much_memory},
    {"limits/long-sleep", long_sleep},
    {NULL, NULL},
};
