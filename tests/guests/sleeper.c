/* Sleeps: sleeper TIMES SECONDS. */
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    struct timespec length = {argc > 2 ? atoi(argv[2]) : 1, 0};

    for (int i = 0; i < times; i++) {
        if (nanosleep(&length, NULL) != 0) {
            return 1;
        }
    }
    return 0;
}
