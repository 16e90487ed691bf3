/* A program for tests/whole.list, linked with jemalloc: allocations in several threads and in a child. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int mallctl(const char *, void *, size_t *, void *, size_t);

static void *work(void *seed) {
    unsigned state = *(unsigned *)seed, sum = 0;
    char *kept[64] = {0};
    for (int i = 0; i < 20000; i++) {
        state = state * 1103515245 + 12345;
        unsigned place = state >> 16 & 63, size = (state >> 8 & 8191) + 1;
        free(kept[place]);
        kept[place] = malloc(size);
        memset(kept[place], place, size);
        sum += kept[place][size / 2];
    }
    for (int i = 0; i < 64; i++)
        free(kept[i]);
    *(unsigned *)seed = sum;
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    unsigned seeds[] = {1, 2, 3, 4, 5}, narenas = 0;
    size_t size = sizeof narenas;
    printf("jemalloc: %d\n", mallctl("arenas.narenas", &narenas, &size, NULL, 0) == 0 && narenas > 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, work, &seeds[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("threads: %u %u %u %u\n", seeds[0], seeds[1], seeds[2], seeds[3]);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        work(&seeds[4]);
        printf("child: %u\n", seeds[4]);
        return 3;
    }
    int status;
    waitpid(child, &status, 0);
    printf("status %d\n", WEXITSTATUS(status));
    return 0;
}
