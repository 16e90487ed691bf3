/* Prints much, of all kinds of things of which none may change because of what other hosts do: times, random numbers,
 * process ids, what went through pipes, and how children ended.
 *
 *   witness ROUNDS    about a millisecond each
 */
#include <pthread.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "check.h"

static int there[2], back[2];

static void *echoes(void *unused) {
    char bytes[64];
    ssize_t count;
    while ((count = read(there[0], bytes, sizeof bytes)) > 0)
        if (write(back[1], bytes, (size_t)count) != count)
            abort();
    return unused;
}

int main(int count, char **words) {
    int rounds = count > 1 ? atoi(words[1]) : 1;
    pthread_t echo;
    if (pipe(there) || pipe(back) || pthread_create(&echo, NULL, echoes, NULL))
        abort();
    for (int i = 0; i < rounds; i++) {
        uint64_t random = 0;
        char line[64], answer[64];
        if (getrandom(&random, sizeof random, 0) != sizeof random)
            abort();
        int length = snprintf(line, sizeof line, "%d %llx", i, (unsigned long long)random);
        if (write(there[1], line, (size_t)length) != length || read(back[0], answer, sizeof answer) != length)
            abort();
        say("%.*s %lld", length, answer, (long long)clock_ns(CLOCK_MONOTONIC));
        if (i % 8 == 0) {
            int status;
            pid_t child = fork();
            if (child == 0)
                _exit(i % 100);
            pid_t ended = waitpid(child, &status, 0);
            say("child %d %d ended %d", child, ended, WEXITSTATUS(status));
        }
        pass_time(1000000);
    }
    say("witness done");
    return 0;
}
