/* A few frames above a call that waits: what a debugger is asked about.
 *
 * A byte of standard input is waited for and becomes the status; nothing goes out. Always true: each function is a
 * frame of its own, because something is done after each call. */
#include <stdlib.h>
#include <unistd.h>

static volatile int returned;

__attribute__((noinline)) static int innermost(void) {
    char byte = 0;
    if (read(0, &byte, 1) < 0)
        abort();
    returned++;
    return byte;
}

__attribute__((noinline)) static int in_the_middle(void) {
    int byte = innermost();
    returned++;
    return byte;
}

int main(void) {
    int byte = in_the_middle();
    return byte + returned - 2;
}
