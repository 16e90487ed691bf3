/* Does everything at the same time, so that whoever is killed is in the middle of something: processes that fork,
 * execute and wait, threads that hand a mutex over, pipes that fill and empty, signals that interrupt. Nobody
 * counts on anybody else being alive; only main counts rounds.
 *
 *   chaos ROUNDS    ends with 0 after so many rounds
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;

static void on_signal(int number) {
    (void)number;
}

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

/* Wait for one child, or for any; its number, -1 if there is none. */
static pid_t reap(pid_t child) {
    pid_t ended;
    do
        ended = waitpid(child, NULL, 0);
    while (ended < 0 && errno == EINTR);
    return ended;
}

/* Two threads take turns until there have been enough. */
static void *take_turns(void *own) {
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 20; i++) {
        while (turn % 2 != *(int *)own)
            pthread_cond_wait(&turned, &mutex);
        turn++;
        pthread_cond_broadcast(&turned);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void threads(void) {
    static int sides[2] = {0, 1};
    pthread_t both[2];
    int made = 0;
    turn = 0;
    while (made < 2 && pthread_create(&both[made], NULL, take_turns, &sides[made]) == 0)
        made++;
    if (made < 2)
        _exit(3);
    for (int i = 0; i < 2; i++)
        pthread_join(both[i], NULL);
}

/* A child writes more than a pipe holds. */
static void flow(void) {
    static char bytes[200000];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    pid_t writer = fork();
    if (writer == 0) {
        close(ends[0]);
        for (size_t at = 0; at < sizeof bytes;) {
            ssize_t count = write(ends[1], bytes + at, sizeof bytes - at);
            if (count > 0)
                at += (size_t)count;
        }
        _exit(0);
    }
    close(ends[1]);
    char part[5000];
    while (read(ends[0], part, sizeof part) != 0)
        ;
    close(ends[0]);
    reap(writer);
}

static void programs(void) {
    if (fork() == 0) {
        execl("/bin/sh", "sh", "-c", "echo one | cat | cat > /dev/null; /bin/true & wait", NULL);
        _exit(127);
    }
    pid_t quick = vfork();
    if (quick == 0) {
        execl("/bin/true", "true", NULL);
        _exit(127);
    }
    while (reap(-1) > 0)
        ;
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 1;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
    pid_t first = getpid();
    /* A nag, which signals until main has gone; it is left to main's end. */
    pid_t nag = fork();
    if (nag == 0)
        while (kill(first, SIGUSR1) == 0 && getppid() == first)
            pause_ms(3);
    if (nag == 0)
        _exit(0);
    for (int i = 0; i < rounds; i++) {
        flow();
        threads();
        pid_t one = fork();
        if (one == 0) {
            threads();
            flow();
            _exit(0);
        }
        pid_t other = fork();
        if (other == 0) {
            programs();
            _exit(0);
        }
        reap(one);
        reap(other);
    }
    kill(nag, SIGKILL);
    while (reap(-1) > 0)
        ;
    return 0;
}
