/* Computing without a call: what a watchdog is for.
 *
 * A mode comes in; lines go out before and after the computation. Always true: between two lines there is
 * no system call, no reading of a clock, nothing that a simulation could notice. */
#include "check.h"
#include <signal.h>

static volatile sig_atomic_t seen;

static void on_alarm(int signal) { seen = signal; }

/* A computation that uses all kinds of registers: integers, flags, floating point, vectors. */
static void compute(long rounds) {
    uint64_t a = 1, b = 2;
    double x = 1, y[4] = {1, 2, 3, 4};
    for (long i = 0; i < rounds; i++) {
        a = (a << 13 | a >> 51) * UINT64_C(0x9e3779b97f4a7c15) + b;
        b ^= a >> 7;
        x = x * 0.999 + (double)(a >> 40) * 1e-9;
        for (int j = 0; j < 4; j++)
            y[j] = y[j] * 0.5 + x;
        if (a & 1)
            b += i;
    }
    say("%llx %llx %a %a", (unsigned long long)a, (unsigned long long)b, x, y[0] + y[1] + y[2] + y[3]);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    long number = argc > 2 ? atol(argv[2]) : 0;
    if (strcmp(mode, "compute") == 0) {
        compute(number);
    } else if (strcmp(mode, "compute-with-alarm") == 0) {
        alarm(1000);
        compute(number);
        say("left: %u", alarm(0) > 0);
    } else if (strcmp(mode, "die") == 0) {
        alarm(number);
        for (;;)
            ;
    } else if (strcmp(mode, "handle") == 0) {
        struct sigaction action = {.sa_handler = on_alarm};
        sigaction(SIGALRM, &action, NULL);
        int64_t begin = clock_ns(CLOCK_MONOTONIC);
        alarm(number);
        while (!seen)
            ;
        say("signal %d after %ld s", seen, (long)((clock_ns(CLOCK_MONOTONIC) - begin) / 1000000000));
    } else {
        abort();
    }
    return 0;
}
