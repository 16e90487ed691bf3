/* Mutexes of every kind, between threads and between processes.
 *
 * The part to show comes in; a line for each call goes out. Always true: a thread that is to wait says that
 * it comes, and some milliseconds later it waits, so that who has the mutex is the same in every run. Other
 * primitives are in conds.c. */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static void until(volatile int *flag) {
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
        pass_time(MS);
}
static void set(volatile int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }

static struct timespec in(int64_t ns) {
    int64_t at = clock_ns(CLOCK_REALTIME) + ns;
    return (struct timespec){at / 1000000000, at % 1000000000};
}

static void run(void *(*body)(void *), void *argument) {
    pthread_t thread;
    void *result;
    if (pthread_create(&thread, NULL, body, argument) != 0 || pthread_join(thread, &result) != 0)
        abort();
    say("the thread: %ld", (long)(intptr_t)result);
}

static void *trylock(void *mutex) { return (void *)(intptr_t)pthread_mutex_trylock(mutex); }
static void *unlock(void *mutex) { return (void *)(intptr_t)pthread_mutex_unlock(mutex); }
static void *timedlock(void *mutex) {
    struct timespec at = in(20 * MS);
    return (void *)(intptr_t)pthread_mutex_timedlock(mutex, &at);
}
static void *lock_and_leave(void *mutex) { return (void *)(intptr_t)pthread_mutex_lock(mutex); }

static pthread_mutex_t mutex;
static pthread_mutexattr_t attributes;

static void kinds(void) {
    const int kinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE};
    const char *names[] = {"normal", "errorcheck", "recursive"};
    for (int i = 0; i < 3; i++) {
        int kind = -1;
        say("%s", names[i]);
        pthread_mutexattr_init(&attributes);
        TRY("settype", pthread_mutexattr_settype(&attributes, kinds[i]));
        pthread_mutexattr_gettype(&attributes, &kind);
        say("type is set %d", kind == kinds[i]);
        TRY("init", pthread_mutex_init(&mutex, &attributes));
        TRY("lock", pthread_mutex_lock(&mutex));
        TRY("trylock", pthread_mutex_trylock(&mutex));
        if (kinds[i] != PTHREAD_MUTEX_NORMAL)
            TRY("lock again", pthread_mutex_lock(&mutex));
        struct timespec at = in(20 * MS);
        TRY("timedlock again", pthread_mutex_timedlock(&mutex, &at));
        run(trylock, &mutex);
        run(timedlock, &mutex);
        if (kinds[i] != PTHREAD_MUTEX_NORMAL)
            run(unlock, &mutex);
        if (kinds[i] == PTHREAD_MUTEX_RECURSIVE)
            for (int j = 0; j < 3; j++)
                TRY("unlock", pthread_mutex_unlock(&mutex));
        TRY("unlock", pthread_mutex_unlock(&mutex));
        if (kinds[i] != PTHREAD_MUTEX_NORMAL)
            TRY("unlock the free", pthread_mutex_unlock(&mutex));
        at = (struct timespec){0, 0};
        TRY("timedlock of the free", pthread_mutex_timedlock(&mutex, &at));
        TRY("unlock", pthread_mutex_unlock(&mutex));
        TRY("destroy", pthread_mutex_destroy(&mutex));
    }
    TRY("odd type", pthread_mutexattr_settype(&attributes, 77));
    TRY("odd sharing", pthread_mutexattr_setpshared(&attributes, 77));
    TRY("odd robustness", pthread_mutexattr_setrobust(&attributes, 77));
    TRY("odd protocol", pthread_mutexattr_setprotocol(&attributes, 77) != 0);
}

static long shared_count;
static volatile int coming;

static void *count_up(void *how) {
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&mutex);
        long seen = shared_count;
        if (i % 100 == 0 && how != NULL)
            pass_time(MS / 10);
        shared_count = seen + 1;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void contend(const char *name) {
    pthread_t threads[4];
    shared_count = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, count_up, "slowly");
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    say("%s: %ld", name, shared_count);
}

static void *wait_for_lock(void *argument) {
    (void)argument;
    set(&coming);
    int result = pthread_mutex_lock(&mutex);
    shared_count = 5;
    pthread_mutex_unlock(&mutex);
    return (void *)(intptr_t)result;
}

static void hand_over(const char *name) {
    pthread_t thread;
    void *result;
    coming = 0, shared_count = 0;
    pthread_mutex_lock(&mutex);
    pthread_create(&thread, NULL, wait_for_lock, NULL);
    until(&coming);
    pass_time(30 * MS);
    say("%s: waits, %ld", name, shared_count);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, &result);
    say("handed over %ld, %ld", (long)(intptr_t)result, shared_count);
}

static void contended(void) {
    const int kinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE};
    for (int i = 0; i < 3; i++) {
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes, kinds[i]);
        pthread_mutex_init(&mutex, &attributes);
        contend("counted");
        hand_over("lock");
        pthread_mutex_destroy(&mutex);
    }
#ifdef __GLIBC__
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&mutex, &attributes);
    contend("adaptive");
    hand_over("lock");
#endif
}

static void robust(void) {
    pthread_mutexattr_init(&attributes);
    TRY("setrobust", pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
    pthread_mutex_init(&mutex, &attributes);
    contend("counted");
    TRY("consistent without need", pthread_mutex_consistent(&mutex));
    run(lock_and_leave, &mutex);
    TRY("the owner has died", pthread_mutex_lock(&mutex));
    TRY("made consistent", pthread_mutex_consistent(&mutex));
    TRY("unlock", pthread_mutex_unlock(&mutex));
    TRY("lock", pthread_mutex_lock(&mutex));
    TRY("unlock", pthread_mutex_unlock(&mutex));
    run(lock_and_leave, &mutex);
    TRY("trylock", pthread_mutex_trylock(&mutex));
    TRY("unlock, not consistent", pthread_mutex_unlock(&mutex));
    TRY("lost", pthread_mutex_lock(&mutex));
    TRY("lost", pthread_mutex_trylock(&mutex));
    run(trylock, &mutex);
    TRY("destroy", pthread_mutex_destroy(&mutex));
}

/* An owner that dies while another waits. */
static void *lock_then_die(void *argument) {
    pthread_mutex_lock(argument);
    set(&coming);
    pass_time(30 * MS);
    return NULL;
}

static void robust_waiter(void) {
    pthread_t thread;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attributes);
    pthread_create(&thread, NULL, lock_then_die, &mutex);
    until(&coming);
    TRY("the owner dies meanwhile", pthread_mutex_lock(&mutex));
    TRY("made consistent", pthread_mutex_consistent(&mutex));
    TRY("unlock", pthread_mutex_unlock(&mutex));
    pthread_join(thread, NULL);
}

static void inherit(void) {
    int protocol = -1;
    pthread_mutexattr_init(&attributes);
    TRY("setprotocol", pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT));
    pthread_mutexattr_getprotocol(&attributes, &protocol);
    say("protocol is set %d", protocol == PTHREAD_PRIO_INHERIT);
    TRY("init", pthread_mutex_init(&mutex, &attributes));
    TRY("lock", pthread_mutex_lock(&mutex));
    run(trylock, &mutex);
    run(timedlock, &mutex);
    TRY("unlock", pthread_mutex_unlock(&mutex));
    contend("counted");
    hand_over("lock");
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attributes);
    run(lock_and_leave, &mutex);
    TRY("the owner has died", pthread_mutex_lock(&mutex));
    TRY("lock again", pthread_mutex_lock(&mutex));
    TRY("made consistent", pthread_mutex_consistent(&mutex));
    TRY("unlock", pthread_mutex_unlock(&mutex));
    TRY("unlock", pthread_mutex_unlock(&mutex));
    contend("counted");
}

/* In memory that two processes share. */
struct shared {
    pthread_mutex_t mutex;
    volatile int coming, tried;
    long count;
};

static void between(const char *name, int is_robust, int protocol) {
    struct shared *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    say("%s", name);
    pthread_mutexattr_init(&attributes);
    TRY("setpshared", pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED));
    pthread_mutexattr_setrobust(&attributes, is_robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    pthread_mutex_init(&both->mutex, &attributes);
    pid_t child = fork();
    if (child == 0) {
        pthread_mutex_lock(&both->mutex);
        set(&both->coming);
        until(&both->tried);
        pass_time(30 * MS);
        both->count = 7;
        pthread_mutex_unlock(&both->mutex);
        for (int i = 0; i < 1000; i++) {
            pthread_mutex_lock(&both->mutex);
            both->count++;
            pthread_mutex_unlock(&both->mutex);
        }
        _exit(0);
    }
    until(&both->coming);
    TRY("trylock", pthread_mutex_trylock(&both->mutex));
    set(&both->tried);
    TRY("lock", pthread_mutex_lock(&both->mutex));
    say("the child was first: %d", both->count >= 7);
    TRY("unlock", pthread_mutex_unlock(&both->mutex));
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&both->mutex);
        both->count++;
        pthread_mutex_unlock(&both->mutex);
    }
    waitpid(child, &status, 0);
    say("counted %ld, status %x", both->count, status);
    if (!is_robust)
        return;
    both->coming = 0;
    child = fork();
    if (child == 0) {
        pthread_mutex_lock(&both->mutex);
        set(&both->coming);
        pass_time(30 * MS);
        raise(SIGKILL);
    }
    until(&both->coming);
    TRY("the child dies meanwhile", pthread_mutex_lock(&both->mutex));
    TRY("made consistent", pthread_mutex_consistent(&both->mutex));
    TRY("unlock", pthread_mutex_unlock(&both->mutex));
    waitpid(child, &status, 0);
    say("status %x", status);
}

static void processes(void) {
    between("plain", 0, PTHREAD_PRIO_NONE);
    between("robust", 1, PTHREAD_PRIO_NONE);
    between("inheriting", 0, PTHREAD_PRIO_INHERIT);
    between("inheriting and robust", 1, PTHREAD_PRIO_INHERIT);
}

static volatile int enough;

static void *greedy(void *mutex) {
    while (!enough) {
        pthread_mutex_lock(mutex);
        raw(SYS_getppid);
        pthread_mutex_unlock(mutex);
    }
    return NULL;
}

static void *modest(void *mutex) {
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(mutex);
        pthread_mutex_unlock(mutex);
    }
    return NULL;
}

/* Somebody who makes all his calls with the mutex locked starves nobody. */
static void starving(void) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_t first, others[3];
    pthread_create(&first, NULL, greedy, &mutex);
    pass_time(10 * MS);
    for (int i = 0; i < 3; i++)
        pthread_create(&others[i], NULL, modest, &mutex);
    for (int i = 0; i < 3; i++)
        TRY("a modest one", pthread_join(others[i], NULL));
    enough = 1;
    TRY("the greedy one", pthread_join(first, NULL));
}

int main(int count, char **words) {
    const struct part parts[] = {{"kinds", kinds},         {"contended", contended}, {"inherit", inherit},
                                 {"robust", robust},       {"robust waiter", robust_waiter},
                                 {"processes", processes}, {"starving", starving},   {NULL, NULL}};
    return run_part(parts, count, words);
}
