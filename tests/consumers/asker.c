/* A guest that asks: getrusage(2) with numbers that mean something to bare.c alone, and no libraries but the C one.
   How it ends says what went wrong: 0 for nothing, else the number of the step. */

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;
static volatile int from_thread;

static void handle(int signal, siginfo_t *info, void *context)
{
    (void)context;
    handled = signal == SIGUSR1 && info->si_pid == 77 ? 1 : -1;
}

static long ask(long number, const void *about)
{
    return syscall(SYS_getrusage, number, about);
}

static void *thread(void *argument)
{
    from_thread = (int)ask(3, argument);
    return NULL;
}

int main(int count, char **words)
{
    char text[32] = "a question";
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    struct timespec now;
    pthread_t other;
    sigset_t set;
    int status;

    if (count > 1 && strcmp(words[1], "spin") == 0)
        for (;;)
            handled += 0;
    if (count > 1 && strcmp(words[1], "again") == 0)
        return ask(8, words[0]) == 80 ? 0 : 1;

    if (ask(1, text) != 42 || strcmp(text, "an answer") != 0)
        return 2;
    if (ask(2, (void *)8) != -1 || errno != EFAULT)
        return 3;

    /* A handler runs before the call returns, and when a blocked signal is let in. */
    sigaction(SIGUSR1, &action, NULL);
    if (ask(4, NULL) != -1 || errno != EINTR || handled != 1)
        return 4;
    handled = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (ask(5, NULL) != 0 || handled != 0)
        return 5;
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    if (handled != 1)
        return 6;

    /* The clock: a second, by looking at it again and again. */
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec < 200);

    if (pthread_create(&other, NULL, thread, text) != 0 || pthread_join(other, NULL) != 0)
        return 7;
    if (from_thread != 33)
        return 8;

    /* A process, which becomes another program. */
    switch (fork()) {
    case -1:
        return 9;
    case 0:
        execl(words[0], words[0], "again", (char *)NULL);
        _exit(10);
    }
    if (wait(&status) <= 0 || status != 0)
        return 11;
    ask(6, NULL); /* dies of it */
    return 12;
}
