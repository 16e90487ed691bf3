/* Threads: made, waited for, and taking turns.
 *
 * Work for several threads comes in; who has done what, and when, goes out. Always true: natively the results are the same,
 * but for what the runner compares between two runs (`order`). */
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>

static pthread_t start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, body, argument);
    expect("pthread_create", -error, 0);
    return thread;
}

static void *join(pthread_t thread) {
    void *result = NULL;
    expect("pthread_join", -pthread_join(thread, &result), 0);
    return result;
}

static void *ids_of(void *ids) {
    ((long *)ids)[0] = getpid(), ((long *)ids)[1] = syscall(SYS_gettid);
    return (void *)77;
}

static void create(void) {
    long ids[2] = {0, 0};
    expect("the result of a thread", (long)join(start(ids_of, ids)), 77);
    expect("getpid in a thread", ids[0], getpid());
    expect_true(ids[1] > 0 && ids[1] != getpid(), "a thread has an id of its own", "it has not");
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static long total;

static void *count(void *unused) {
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&mutex);
        long seen = total;
        if (i % 100 == 0)
            sched_yield();
        total = seen + 1;
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static void mutexes(void) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        threads[i] = start(count, NULL);
    for (int i = 0; i < 8; i++)
        join(threads[i]);
    expect("what 8 threads counted under a mutex", total, 8000);
}

static int turn;

static void *answer(void *unused) {
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 100; i++) {
        while (turn != 1)
            pthread_cond_wait(&turned, &mutex);
        turn = 0;
        pthread_cond_broadcast(&turned);
    }
    pthread_mutex_unlock(&mutex);
    return unused;
}

static void conditions(void) {
    pthread_t thread = start(answer, NULL);
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 100; i++) {
        turn = 1;
        pthread_cond_broadcast(&turned);
        while (turn != 0)
            pthread_cond_wait(&turned, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    join(thread);
}

static uint32_t word;

static void *wake_later(void *unused) {
    struct timespec wait = span(HOUR / 2);
    nanosleep(&wait, NULL);
    __atomic_store_n(&word, 2, __ATOMIC_SEQ_CST);
    total = R(syscall(SYS_futex, &word, FUTEX_WAKE, 10, NULL, NULL, 0));
    return unused;
}

static void futex(void) {
    struct timespec limit = span(HOUR);
    word = 1;
    expect("a futex wait for another value", R(syscall(SYS_futex, &word, FUTEX_WAIT, 5, &limit, NULL, 0)), -EAGAIN);
    int64_t from = clock_ns(CLOCK_MONOTONIC);
    expect("a futex wait for nobody", R(syscall(SYS_futex, &word, FUTEX_WAIT, 1, &limit, NULL, 0)), -ETIMEDOUT);
    expect_span("a futex wait of an hour", clock_ns(CLOCK_MONOTONIC) - from, HOUR);
    pthread_t thread = start(wake_later, NULL);
    from = clock_ns(CLOCK_MONOTONIC);
    expect("a futex wait that somebody ends", R(syscall(SYS_futex, &word, FUTEX_WAIT, 1, &limit, NULL, 0)), 0);
    expect_span("a futex wait for a thread that sleeps for half an hour", clock_ns(CLOCK_MONOTONIC) - from, HOUR / 2);
    join(thread);
    expect("the number of those woken", total, 1);
}

static char sequence[64];

static void *nap(void *which) {
    struct timespec wait = span((int64_t)(intptr_t)which * HOUR);
    nanosleep(&wait, NULL);
    pthread_mutex_lock(&mutex);
    sequence[strlen(sequence)] = (char)('0' + (intptr_t)which);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void sleepers(void) {
    static const intptr_t hours[] = {3, 1, 2};
    pthread_t threads[3];
    int64_t from = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < 3; i++)
        threads[i] = start(nap, (void *)hours[i]);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    expect_span("three threads that sleep for 3, 1 and 2 hours", clock_ns(CLOCK_MONOTONIC) - from, 3 * HOUR);
    if (strcmp(sequence, "123") != 0)
        fails("they wake in the order of their times: 1, 2, 3", "%s", sequence);
}

static void *contend(void *which) {
    for (int i = 0; i < 4; i++) {
        struct timespec wait = span(1);
        pthread_mutex_lock(&mutex);
        sequence[strlen(sequence)] = (char)('a' + (intptr_t)which);
        pthread_mutex_unlock(&mutex);
        if ((intptr_t)which % 2)
            sched_yield();
        else
            nanosleep(&wait, NULL);
    }
    return NULL;
}

static void order(void) {
    pthread_t threads[8];
    for (intptr_t i = 0; i < 8; i++)
        threads[i] = start(contend, (void *)i);
    for (int i = 0; i < 8; i++)
        join(threads[i]);
    value("the order of 8 threads", "%s", sequence);
    expect("their number of turns", (long)strlen(sequence), 32);
}

static void *end_all(void *unused) {
    (void)unused;
    report("holds");
    _exit(0);
}

static void ends_process(void) {
    static pthread_mutex_t never = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&never);
    start(end_all, NULL);
    pthread_mutex_lock(&never);
    fails("_exit of a thread ends the process", "the first thread went on");
}

const struct check thread_checks[] = {
    {"threads/create", create},     {"threads/mutexes", mutexes}, {"threads/conditions", conditions},
    {"threads/futex", futex},       {"threads/sleepers", sleepers}, {"threads/order", order},
    {"threads/exit", ends_process}, {NULL, NULL},
};
