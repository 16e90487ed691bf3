/* Operations on pipes: in one process, and between two.
 *
 * Each is the same natively and as a guest; what one is, is said where it stands. Everything goes through
 * the C library, as programs do. */
#include "../measure.h"

static int ends[2], back[2];

static void make(int *pipe_ends) {
    if (pipe(pipe_ends)) {
        perror("pipe");
        exit(1);
    }
}

static void prepare_one(void) {
    make(ends);
}

/* A write and the read that takes it out again, in one thread: nobody waits. */
static void write_read(long count, size_t bytes) {
    static char buffer[4096];
    for (long i = 0; i < count; i++)
        if (write(ends[1], buffer, bytes) != (ssize_t)bytes ||
            read(ends[0], buffer, bytes) != (ssize_t)bytes)
            abort();
}

static void write_read_1(long count) { write_read(count, 1); }
static void write_read_4k(long count) { write_read(count, 4096); }

/* A byte to another process and one back: each side waits for the other. */
static void prepare_two(void) {
    make(ends);
    make(back);
    if (companion() == 0) {
        char byte;
        close(ends[1]);
        close(back[0]);
        while (read(ends[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
            continue;
        _exit(0);
    }
    close(ends[0]);
    close(back[1]);
}

static void ping_pong(long count) {
    char byte = 'x';
    for (long i = 0; i < count; i++)
        if (write(ends[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            abort();
}

int main(int argc, char **argv) {
    static const struct operation operations[] = {
        {"write-read-1", prepare_one, write_read_1, 0, 0},
        {"write-read-4k", prepare_one, write_read_4k, 0, 0},
        {"ping-pong", prepare_two, ping_pong, 0, 0},
        {0},
    };
    return measure(argc, argv, operations);
}
