/* Many processes of one program that wait, so that somebody outside can weigh them.
 *
 * A number comes in. So many children are started, by fork and execve of this program with the argument
 * "waits"; when all of them are there, "ready" goes to standard output, and when standard input ends all
 * children are ended. Waiting for standard input is no wait in simulated time: everything stands still. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 1000

static void fail(const char *what) {
    perror(what);
    exit(1);
}

int main(int argc, char **argv) {
    static pid_t children[MOST];
    char byte = 'x';
    if (argc == 3 && strcmp(argv[1], "waits") == 0) {
        if (write(atoi(argv[2]), &byte, 1) != 1)
            return 1;
        for (;;)
            pause();
    }
    int count = argc == 2 ? atoi(argv[1]) : 0, ends[2];
    if (count > MOST || pipe(ends))
        fail("pipe");
    char end[16];
    snprintf(end, sizeof end, "%d", ends[1]);
    for (int i = 0; i < count; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            execl(argv[0], argv[0], "waits", end, (char *)NULL);
            _exit(127);
        }
        if (children[i] < 0)
            fail("fork");
    }
    for (int i = 0; i < count; i++)
        if (read(ends[0], &byte, 1) != 1)
            fail("a child is missing");
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        continue;
    for (int i = 0; i < count; i++)
        kill(children[i], SIGKILL);
    while (wait(NULL) > 0)
        continue;
    return 0;
}
