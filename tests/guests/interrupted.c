/* A program that a person interrupts.
 *
 * How it spends its time comes in: "loop" computes, "clock" looks at the clock, "read" waits for its input.
 * Lines go out: when the handler stands, when it runs, and what the wait returned. Always true: it ends with
 * status 7 after the first SIGINT. */
#include "check.h"
#include <signal.h>

static volatile sig_atomic_t is_over;
static void on_interrupt(int signal) {
    say("signal %d", signal);
    is_over = 1;
}

int main(int count, char **words) {
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    say("ready");
    if (count < 2 || strcmp(words[1], "loop") == 0) {
        for (volatile long i = 0; !is_over; i++)
            ;
    } else if (strcmp(words[1], "clock") == 0) {
        while (!is_over)
            clock_ns(CLOCK_MONOTONIC);
    } else {
        char byte;
        say("read = %ld", got(read(0, &byte, 1)));
    }
    return 7;
}
