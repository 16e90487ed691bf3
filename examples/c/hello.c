/* A program that knows whether it runs in a simulation.
 *
 *     cc hello.c $(pkg-config --cflags --libs shim) -o hello
 *     ./hello                      natively
 *     shim exec -- ./hello         as a guest
 */
#include <shim/shim.h>
#include <stdio.h>
#include <time.h>

int main(void) {
    char name[65];
    struct timespec hour = {3600, 0};

    if (!shim_is_managed()) {
        printf("libshim %s: running natively\n", SHIM_VERSION_STRING);
        return 0;
    }
    shim_host_name(shim_hostSharedMem(), name, sizeof name);
    nanosleep(&hour, NULL);
    printf("libshim %s: running on %s, %llu s after the start\n", SHIM_VERSION_STRING, name,
           (unsigned long long)(shim_simtime_ns() / 1000000000));
    return 0;
}
