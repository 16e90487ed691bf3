/* All memory locked: it stays as small as what is used of it.
 *
 * Nothing comes in, lines go out. Always true: where the caller may not lock so much, the error is an allowed one, and
 * said in the same words. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static long resident_kib(void) {
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        sscanf(line, "VmRSS: %ld", &kib);
    if (status)
        fclose(status);
    return kib;
}

int main(void) {
    int flags[] = {MCL_CURRENT, MCL_CURRENT | MCL_FUTURE, 0, 64};
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
        errno = 0;
        int result = mlockall(flags[i]);
        int is_refused = result && (errno == EPERM || errno == ENOMEM);
        printf("%d: %s\n", flags[i], result == 0 || is_refused ? "locked, or not allowed" : strerror(errno));
    }
    long kib = resident_kib();
    puts(kib > 0 && kib < 32 << 10 ? "small" : "large");
    return munlockall();
}
