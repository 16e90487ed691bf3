/*
 * Threads, a signal, processes and files, for each C library: musl's system calls are surrounded by other code
 * than glibc's. Prints the same with and without rewritten libraries.
 *
 * Always true: no line depends on addresses or on who is faster. The test is programs.rs. Cancellation is not here:
 * musl looks where a signal interrupted a call, and only a whole shim shows it the original's place.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int count;
static volatile sig_atomic_t handled;

static void *worker(void *number)
{
    struct timespec pause = {0, 1000000};
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&mutex);
        count++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
        nanosleep(&pause, 0);
    }
    return number;
}

static void note(int signal)
{
    (void)signal;
    handled++;
}

int main(void)
{
    pthread_t threads[4];
    struct sigaction action = {.sa_handler = note};
    int status;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], 0, worker, 0);
    pthread_mutex_lock(&mutex);
    while (count < 80)
        pthread_cond_wait(&condition, &mutex);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], 0);
    printf("count %d\n", count);

    sigaction(SIGALRM, &action, 0);
    alarm(1);
    errno = 0;
    printf("poll %d", poll(0, 0, 5000));
    printf(": %s, handled %d\n", strerror(errno), (int)handled);

    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(3);
    waitpid(child, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
    FILE *file = fopen("/proc/self/stat", "r");
    printf("file %d\n", file != 0 && fgetc(file) != EOF);
    fclose(file);
    char *memory = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory[5000] = 1;
    printf("memory %d\n", memory[5000]);
    printf("unmapped %d\n", munmap(memory, 8192));
    return 0;
}
