/* A library that a guest preloads by itself: says so before the program begins.
 *
 * Nothing comes in; a line goes out. Always true: it is loaded after the shim, as natively before the C
 * library, and its constructor makes ordinary calls. */
#include <unistd.h>

__attribute__((constructor)) static void begin(void) {
    static const char text[] = "preloaded\n";
    if (write(1, text, sizeof text - 1) < 0)
        _exit(9);
}
