/* A program for tests/whole.list, built with AddressSanitizer: threads, a fork, and an error on demand. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *work(void *number) {
    int sum = 0;
    for (int i = 0; i < 1000; i++) {
        char *text = malloc(i + 1);
        memset(text, 1, i + 1);
        sum += text[i];
        free(text);
    }
    *(int *)number = sum;
    return NULL;
}

int main(int count, char **words) {
    pthread_t threads[4];
    int sums[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, work, &sums[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("threads: %d %d %d %d\n", sums[0], sums[1], sums[2], sums[3]);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char *text = malloc(10);
        memset(text, 2, 10);
        _exit(text[count]);
    }
    int status;
    waitpid(child, &status, 0);
    printf("child: %d\n", WEXITSTATUS(status));
    fflush(stdout);
    char *volatile text = malloc(10);
    memset(text, 0, 10);
    if (count > 1 && strcmp(words[1], "overflow") == 0)
        text[atoi(words[2])] = 1;
    if (count > 1 && strcmp(words[1], "freed") == 0)
        free(text), text[0] = 1;
    free(text);
    return 0;
}
