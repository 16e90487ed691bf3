/* Floors: bytes from a program's memory to shared memory, and from another process's memory.
 *
 * One operation is one copy of so many bytes: the least of a call that takes bytes along. The first kind
 * is the C library's memcpy into memory that another process shares; the second asks the kernel for the
 * other process's bytes (process_vm_readv), as simulators and tracers do that share none. */
#include "../measure.h"

#include <sys/uio.h>

#define MOST_BYTES 65536

static char own[MOST_BYTES];
static char *shared;
static pid_t other;

static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

static void prepare_copy(void) {
    shared = shared_memory(MOST_BYTES);
    memset(shared, 1, MOST_BYTES);
    memset(own, 2, MOST_BYTES);
}

static void run_copy(long count, size_t bytes) {
    for (long i = 0; i < count; i++)
        copy(shared, own, bytes);
}

static void prepare_read(void) {
    memset(own, 2, MOST_BYTES);
    other = companion();
    if (other == 0) {
        memset(own, 3, MOST_BYTES);
        for (;;)
            pause();
    }
}

static void run_read(long count, size_t bytes) {
    struct iovec here = {own, bytes}, there = {own, bytes};
    for (long i = 0; i < count; i++)
        if (process_vm_readv(other, &here, 1, &there, 1, 0) != (ssize_t)bytes)
            unavailable("process_vm_readv");
}

static void copy_1(long count) { run_copy(count, 1); }
static void copy_64(long count) { run_copy(count, 64); }
static void copy_4k(long count) { run_copy(count, 4096); }
static void copy_64k(long count) { run_copy(count, 65536); }
static void read_64(long count) { run_read(count, 64); }
static void read_4k(long count) { run_read(count, 4096); }
static void read_64k(long count) { run_read(count, 65536); }

int main(int argc, char **argv) {
    static const struct operation operations[] = {
        {"copy-1", prepare_copy, copy_1, 0, 0},
        {"copy-64", prepare_copy, copy_64, 0, 0},
        {"copy-4k", prepare_copy, copy_4k, 0, 0},
        {"copy-64k", prepare_copy, copy_64k, 0, 0},
        {"read-64", prepare_read, read_64, 0, 0},
        {"read-4k", prepare_read, read_4k, 0, 0},
        {"read-64k", prepare_read, read_64k, 0, 0},
        {0},
    };
    return measure(argc, argv, operations);
}
