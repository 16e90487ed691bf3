/* Very many threads: at the same time, and one after the other.
 *
 * How many comes in, after "together" or "in turn"; what they did goes out. Always true: what the process
 * takes is compared with a bound that has room for a library's caches, never shown. What threads do is not
 * here. */
#include "check.h"
#include <pthread.h>

static pthread_barrier_t barrier;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile long counted, most, now;
static _Thread_local long own;

static void *meet(void *argument) {
    own = (intptr_t)argument;
    pthread_mutex_lock(&mutex);
    counted += own;
    now++;
    most = now > most ? now : most;
    pthread_mutex_unlock(&mutex);
    pthread_barrier_wait(&barrier);
    pthread_mutex_lock(&mutex);
    now--;
    pthread_mutex_unlock(&mutex);
    return (void *)own;
}

static void together(int number) {
    pthread_t *threads = calloc(number, sizeof *threads);
    long sum = 0;
    int failed = 0, error = 0;
    pthread_barrier_init(&barrier, NULL, number + 1);
    for (int i = 0; i < number; i++) {
        int result = pthread_create(&threads[i], NULL, meet, (void *)(intptr_t)i);
        failed += result != 0;
        error = result != 0 ? result : error;
    }
    say("failed %d, error %d", failed, error);
    if (failed)
        exit(1);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < number; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (intptr_t)result;
    }
    say("sum %ld, counted %ld, at the same time %ld, left %ld", sum, counted, most, now);
}

static void *count_up(void *argument) {
    counted++;
    return argument;
}

/* Sizes in kB, from /proc/self/statm, which counts pages. */
static void sizes(long kb[2]) {
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &kb[0], &kb[1]) != 2)
        abort();
    fclose(file);
    kb[0] *= 4, kb[1] *= 4;
}

static void in_turn(int number) {
    long before[2], after[2];
    for (int i = 0; i < number; i++) {
        pthread_t thread;
        void *result;
        if (i == number / 10)
            sizes(before);
        if (pthread_create(&thread, NULL, count_up, (void *)(intptr_t)i) != 0)
            abort();
        pthread_join(thread, &result);
        if (result != (void *)(intptr_t)i)
            abort();
    }
    sizes(after);
    say("counted %ld", counted);
    say("takes more memory: %d, more of it is used: %d", after[0] - before[0] > 20000, after[1] - before[1] > 4000);
}

int main(int count, char **words) {
    if (count != 3)
        return 2;
    if (strcmp(words[1], "together") == 0)
        together(atoi(words[2]));
    else
        in_turn(atoi(words[2]));
    return 0;
}
