/* Operations of two threads of one process: taking turns, beginning and ending.
 *
 * Each is the same natively and as a guest; what one is, is said where it stands. The second thread lives
 * as long as the process. */
#include "../measure.h"

#include <linux/futex.h>
#include <pthread.h>

static void start(void *(*body)(void *)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, NULL)) {
        fprintf(stderr, "a thread cannot be made\n");
        exit(1);
    }
    pthread_detach(thread);
}

/* By a futex: wake the other, sleep until it has answered. */
static _Atomic uint32_t turn;

static void give(uint32_t to) {
    atomic_store(&turn, to);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await(uint32_t mine) {
    while (atomic_load(&turn) != mine)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, 1 - mine, NULL, NULL, 0);
}

static void *futex_partner(void *unused) {
    for (;;) {
        await(1);
        give(0);
    }
    return unused;
}

static void prepare_futex(void) {
    start(futex_partner);
}

static void futex_ping_pong(long count) {
    for (long i = 0; i < count; i++) {
        give(1);
        await(0);
    }
}

/* The same by a condition variable, as most programs do. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int owner;

static void pass_on(int mine) {
    pthread_mutex_lock(&mutex);
    while (owner != mine)
        pthread_cond_wait(&changed, &mutex);
    owner = 1 - mine;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mutex);
}

static void *condition_partner(void *unused) {
    for (;;)
        pass_on(1);
    return unused;
}

static void prepare_condition(void) {
    start(condition_partner);
}

static void condition_ping_pong(long count) {
    for (long i = 0; i < count; i++)
        pass_on(0);
    /* The last answer belongs to this batch. */
    pthread_mutex_lock(&mutex);
    while (owner != 0)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

/* A thread that does nothing, and waiting for its end. */
static void *nothing(void *unused) {
    return unused;
}

static void create_join(long count) {
    for (long i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
            abort();
    }
}

int main(int argc, char **argv) {
    static const struct operation operations[] = {
        {"futex", prepare_futex, futex_ping_pong, 0, 0},
        {"condition", prepare_condition, condition_ping_pong, 0, 0},
        {"create-join", NULL, create_join, 0, 0},
        {0},
    };
    return measure(argc, argv, operations);
}
