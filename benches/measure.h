/* What the programs of benches/ share: one operation, many times, and what one of them costs.
 *
 * An operation's name comes in by the command line, and nothing or a count after it; without a count the
 * nanoseconds of one operation go to standard output, with one the operation is done that often and
 * nothing is printed. Without any argument the names of the program's operations are printed. What cannot
 * be done on this machine is named on standard error, with status UNAVAILABLE.
 *
 * Always true: time is the real machine's, also in a guest, which asks libshim.so for a native section
 * around the reading of the clock; a program that is no guest has no such library and needs none. The
 * figure is that of the fastest batch: whatever else the machine does makes batches longer, never shorter. */
#ifndef MEASURE_H
#define MEASURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Long enough that reading the clock does not count, short enough that one is soon not interrupted. */
#define BATCH_NS 2000000
/* How long to look for the fastest batch, and how many to try at least. */
#define LOOK_NS 150000000
#define FEWEST_BATCHES 5
#define UNAVAILABLE 3

struct operation {
    const char *name;
    /* What has to be there before: NULL if nothing. */
    void (*prepare)(void);
    void (*run)(long count);
    /* How many to do in one batch and in a whole process: 0 where any number will do. */
    long batch, most;
};

/* The end of a program whose mechanism this machine does not have, or does not allow. */
__attribute__((unused, noreturn)) static void unavailable(const char *what) {
    fprintf(stderr, "not available: %s: %s\n", what, strerror(errno));
    exit(UNAVAILABLE);
}

/* A system call by an instruction of this program's own. */
__attribute__((unused)) static inline long raw(long number, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

/* Memory that a child made by fork shares. */
__attribute__((unused)) static void *shared_memory(size_t bytes) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return at;
}

static pid_t own_id;

/* A child that ends with this process at the latest; 0 in the child. */
__attribute__((unused)) static pid_t companion(void) {
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != own_id)
            _exit(0);
    } else if (child < 0) {
        perror("fork");
        exit(1);
    }
    return child;
}

static bool (*swap_native)(bool);

/* By a system call, since the C library's clock is one of the things that are measured. */
static uint64_t real_ns(void) {
    struct timespec now;
    bool was = swap_native ? swap_native(true) : true;
    raw(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0);
    if (swap_native)
        swap_native(was);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t batch_ns(const struct operation *operation, long count) {
    uint64_t start = real_ns();
    operation->run(count);
    return real_ns() - start;
}

/* The count that makes a batch long enough, although an interruption may make a shorter one look so. */
static long batch_size(const struct operation *operation) {
    for (long count = 1;; count *= 2) {
        int long_ones = 0;
        while (long_ones < 3 && batch_ns(operation, count) >= BATCH_NS)
            long_ones++;
        if (long_ones == 3)
            return count;
    }
}

static double fastest_ns(const struct operation *operation) {
    long count = operation->batch ? operation->batch : batch_size(operation);
    uint64_t fastest = UINT64_MAX, end = real_ns() + LOOK_NS;
    long done = 0;
    for (int batches = 0; batches < FEWEST_BATCHES || real_ns() < end; batches++) {
        done += count;
        if (operation->most && done > operation->most)
            break;
        uint64_t ns = batch_ns(operation, count);
        if (ns < fastest)
            fastest = ns;
    }
    return (double)fastest / (double)count;
}

/* Do what the command line says with one of these operations, the last of which has no name. */
__attribute__((unused)) static int measure(int argc, char **argv, const struct operation *operations) {
    for (const struct operation *operation = operations; operation->name; operation++) {
        if (argc < 2) {
            puts(operation->name);
        } else if (strcmp(operation->name, argv[1]) == 0) {
            own_id = getpid();
            *(void **)&swap_native = dlsym(RTLD_DEFAULT, "shim_swapAllowNativeSyscalls");
            if (operation->prepare)
                operation->prepare();
            if (argc > 2)
                operation->run(atol(argv[2]));
            else
                printf("%.3f\n", fastest_ns(operation));
            return 0;
        }
    }
    if (argc > 1)
        fprintf(stderr, "there is no operation %s\n", argv[1]);
    return argc < 2 ? 0 : 2;
}

#endif
