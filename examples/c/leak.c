/* A program that is not repeatable: it looks at the real clock behind the simulation's back.
 *
 *     cc leak.c $(pkg-config --cflags --libs shim) -o leak
 *     shim verify leak.yaml        names the first call that differs (examples/scenarios/leak.yaml)
 *
 * Natively it shows the same clock twice.
 */
#define _DEFAULT_SOURCE
#include <inttypes.h>
#include <shim/shim.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* By a system call: the C library would ask no kernel. */
static int64_t now_ns(void) {
    struct timespec now = {0, 0};

    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int main(void) {
    int64_t here, outside;
    bool was_native;

    sleep(60);
    here = now_ns();
    was_native = shim_swapAllowNativeSyscalls(true);
    outside = now_ns();
    shim_swapAllowNativeSyscalls(was_native);
    printf("simulated clock: %" PRId64 " ns\n", here);
    printf("real clock: %" PRId64 " ns\n", outside);
    return 0;
}
