/* Condition variables, read-write locks, barriers, semaphores, spin locks and what runs once.
 *
 * The part to show comes in; a line for each call goes out. Always true: a thread that is to wait says that
 * it comes, and some milliseconds later it waits; threads count, the first one writes. Mutexes are in
 * mutexes.c. */
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static void until(volatile int *count, int wanted) {
    while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < wanted)
        pass_time(MS);
}
static void add(volatile int *count) { __atomic_fetch_add(count, 1, __ATOMIC_ACQ_REL); }

static struct timespec in(clockid_t clock, int64_t ns) {
    int64_t at = clock_ns(clock) + ns;
    return (struct timespec){at / 1000000000, at % 1000000000};
}

static int64_t began;
static void begin(void) { began = clock_ns(CLOCK_MONOTONIC); }
static void end(const char *name, long result, int64_t expected) {
    int64_t took = clock_ns(CLOCK_MONOTONIC) - began;
    const char *verdict = took < expected ? "early" : took > expected + 5000 * MS ? "late" : "in time";
    say("%s = %ld, %s", name, result, verdict);
}

static pthread_t threads[8];
static void start(int number, void *(*body)(void *)) {
    for (int i = 0; i < number; i++)
        if (pthread_create(&threads[i], NULL, body, (void *)(intptr_t)i) != 0)
            abort();
}
static long join(int number) {
    long sum = 0;
    for (int i = 0; i < number; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (intptr_t)result;
    }
    return sum;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static volatile int coming, woken, tokens;

static void *take_token(void *argument) {
    (void)argument;
    pthread_mutex_lock(&mutex);
    coming++;
    while (tokens == 0)
        pthread_cond_wait(&cond, &mutex);
    tokens--, woken++;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void give(int number, int to_all) {
    pthread_mutex_lock(&mutex);
    tokens += number;
    if (to_all)
        pthread_cond_broadcast(&cond);
    else
        pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
    pass_time(30 * MS);
}

static void conditions(void) {
    TRY("signal to nobody", pthread_cond_signal(&cond));
    start(4, take_token);
    until(&coming, 4);
    pass_time(20 * MS);
    say("woken %d", woken);
    give(1, 0);
    until(&woken, 1);
    say("woken %d", woken);
    give(1, 0);
    until(&woken, 2);
    say("woken %d", woken);
    give(2, 1);
    until(&woken, 4);
    say("woken %d, left %d", woken, tokens);
    join(4);
    pthread_condattr_t attributes;
    pthread_cond_t monotonic;
    clockid_t clock = -1;
    pthread_condattr_init(&attributes);
    TRY("setclock", pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    pthread_condattr_getclock(&attributes, &clock);
    say("clock %d", clock);
    TRY("setclock odd", pthread_condattr_setclock(&attributes, CLOCK_PROCESS_CPUTIME_ID));
    pthread_cond_init(&monotonic, &attributes);
    pthread_mutex_lock(&mutex);
    begin();
    struct timespec at = in(CLOCK_REALTIME, 20 * MS);
    end("timedwait", pthread_cond_timedwait(&cond, &mutex, &at), 20 * MS);
    begin();
    at = in(CLOCK_MONOTONIC, 20 * MS);
    end("monotonic timedwait", pthread_cond_timedwait(&monotonic, &mutex, &at), 20 * MS);
    at = in(CLOCK_MONOTONIC, -20 * MS);
    end("in the past", pthread_cond_timedwait(&monotonic, &mutex, &at), 0);
    at = (struct timespec){0, 1000000000};
    TRY("odd time", pthread_cond_timedwait(&cond, &mutex, &at));
#ifdef __GLIBC__
    begin();
    at = in(CLOCK_MONOTONIC, 20 * MS);
    end("clockwait", pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &at), 20 * MS);
#endif
    TRY("still locked", pthread_mutex_trylock(&mutex));
    pthread_mutex_unlock(&mutex);
    TRY("destroy", pthread_cond_destroy(&monotonic));
}

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static volatile int inside;

static void *read_along(void *argument) {
    (void)argument;
    pthread_rwlock_rdlock(&lock);
    add(&inside);
    until(&inside, 4);
    pthread_rwlock_unlock(&lock);
    return NULL;
}
static void *write_alone(void *argument) {
    (void)argument;
    for (int i = 0; i < 500; i++) {
        pthread_rwlock_wrlock(&lock);
        tokens = tokens + 1;
        pthread_rwlock_unlock(&lock);
    }
    return NULL;
}
static void *try_both(void *argument) {
    (void)argument;
    long result = pthread_rwlock_tryrdlock(&lock) * 1000;
    if (result == 0)
        pthread_rwlock_unlock(&lock);
    result += pthread_rwlock_trywrlock(&lock);
    return (void *)result;
}
static void *timed_both(void *argument) {
    struct timespec at = in(CLOCK_REALTIME, 10 * MS);
    (void)argument;
    long result = pthread_rwlock_timedrdlock(&lock, &at) * 1000;
    if (result == 0)
        pthread_rwlock_unlock(&lock);
    return (void *)(result + pthread_rwlock_timedwrlock(&lock, &at));
}

static void locks(void) {
    start(4, read_along);
    join(4);
    say("readers together: %d", inside);
    pthread_rwlock_rdlock(&lock);
    start(1, try_both);
    say("beside a reader: %ld", join(1));
    start(1, timed_both);
    say("with a limit: %ld", join(1));
    pthread_rwlock_unlock(&lock);
    pthread_rwlock_wrlock(&lock);
    start(1, try_both);
    say("beside a writer: %ld", join(1));
    start(1, timed_both);
    say("with a limit: %ld", join(1));
    pthread_rwlock_unlock(&lock);
    start(4, write_alone);
    join(4);
    say("written %d", tokens);
    TRY("destroy", pthread_rwlock_destroy(&lock));
}

static pthread_barrier_t barrier;
static volatile int rounds[3], wrong;

static void *meet(void *argument) {
    (void)argument;
    long serial = 0;
    for (int i = 0; i < 3; i++) {
        add(&rounds[i]);
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
        wrong += rounds[i] != 5;
    }
    return (void *)serial;
}

static void barriers(void) {
    TRY("of nobody", pthread_barrier_init(&barrier, NULL, 0));
    TRY("of five", pthread_barrier_init(&barrier, NULL, 5));
    start(5, meet);
    long serial = join(5);
    say("serial %ld, wrong %d", serial, wrong);
    TRY("destroy", pthread_barrier_destroy(&barrier));
    pthread_barrier_init(&barrier, NULL, 1);
    TRY("alone", pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD);
}

static sem_t semaphore;

static void *take_one(void *argument) {
    (void)argument;
    add(&coming);
    long result = got(sem_wait(&semaphore));
    add(&woken);
    return (void *)result;
}

static void semaphores(void) {
    int value = -1;
    TRY("init", got(sem_init(&semaphore, 0, 1)));
    TRY("wait", got(sem_wait(&semaphore)));
    TRY("trywait", got(sem_trywait(&semaphore)));
    begin();
    struct timespec at = in(CLOCK_REALTIME, 20 * MS);
    end("timedwait", got(sem_timedwait(&semaphore, &at)), 20 * MS);
    at.tv_nsec = 1000000000;
    TRY("odd time", got(sem_timedwait(&semaphore, &at)));
    start(3, take_one);
    until(&coming, 3);
    pass_time(20 * MS);
    say("woken %d", woken);
    for (int i = 0; i < 3; i++) {
        sem_post(&semaphore);
        until(&woken, i + 1);
        pass_time(10 * MS);
        say("woken %d", woken);
    }
    say("sum %ld", join(3));
    sem_post(&semaphore), sem_post(&semaphore);
    sem_getvalue(&semaphore, &value);
    say("value %d", value);
    TRY("too large", got(sem_init(&semaphore, 0, SEM_VALUE_MAX + 1u)));
    TRY("the largest", got(sem_init(&semaphore, 0, SEM_VALUE_MAX)));
    TRY("one more", got(sem_post(&semaphore)));
    TRY("destroy", got(sem_destroy(&semaphore)));
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void initialize(void) {
    pass_time(20 * MS);
    add(&tokens);
}
static void *initialize_once(void *argument) {
    (void)argument;
    pthread_once(&once, initialize);
    return (void *)(intptr_t)tokens;
}

static void onces(void) {
    start(4, initialize_once);
    say("all saw it: %ld", join(4));
    say("ran %d", tokens);
}

static pthread_spinlock_t spin;
static void *spin_up(void *argument) {
    (void)argument;
    for (int i = 0; i < 2000; i++) {
        pthread_spin_lock(&spin);
        tokens = tokens + 1;
        pthread_spin_unlock(&spin);
    }
    return NULL;
}
static void *try_spin(void *argument) {
    (void)argument;
    return (void *)(intptr_t)pthread_spin_trylock(&spin);
}

static void spins(void) {
    TRY("init", pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
    start(2, spin_up);
    join(2);
    say("counted %d", tokens);
    pthread_spin_lock(&spin);
    start(1, try_spin);
    say("trylock %ld", join(1));
    TRY("unlock", pthread_spin_unlock(&spin));
}

/* Threads that spin while the one they wait for sleeps: whoever runs them has to stop them. */
static void *spin_for(void *argument) {
    (void)argument;
    pthread_spin_lock(&spin);
    tokens = tokens + 1;
    pthread_spin_unlock(&spin);
    return NULL;
}
static void *spin_on_memory(void *argument) {
    (void)argument;
    while (!__atomic_load_n(&coming, __ATOMIC_ACQUIRE)) {
    }
    return (void *)1;
}

static void spinning(void) {
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    pthread_spin_lock(&spin);
    start(2, spin_for);
    pass_time(20 * MS);
    say("nobody yet %d", tokens);
    pthread_spin_unlock(&spin);
    join(2);
    say("both %d", tokens);
    start(1, spin_on_memory);
    pass_time(5 * MS);
    add(&coming);
    say("seen %ld", join(1));
}

/* The same in memory that two processes share. */
struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_barrier_t barrier;
    pthread_rwlock_t lock;
    sem_t semaphore, back;
    volatile int coming, tokens;
};

static int in_child(struct shared *both) {
    sem_wait(&both->semaphore);
    sem_post(&both->back);
    pthread_mutex_lock(&both->mutex);
    both->coming = 1;
    while (both->tokens == 0)
        pthread_cond_wait(&both->cond, &both->mutex);
    both->tokens = 5;
    pthread_mutex_unlock(&both->mutex);
    int serial = pthread_barrier_wait(&both->barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    pthread_rwlock_wrlock(&both->lock);
    pthread_barrier_wait(&both->barrier);
    pass_time(30 * MS);
    both->tokens = 6;
    pthread_rwlock_unlock(&both->lock);
    return serial;
}

static void processes(void) {
    struct shared *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t mutexes;
    pthread_condattr_t conds;
    pthread_barrierattr_t meetings;
    pthread_rwlockattr_t rwlocks;
    pthread_mutexattr_init(&mutexes), pthread_condattr_init(&conds);
    pthread_barrierattr_init(&meetings), pthread_rwlockattr_init(&rwlocks);
    TRY("mutexes", pthread_mutexattr_setpshared(&mutexes, PTHREAD_PROCESS_SHARED));
    TRY("conditions", pthread_condattr_setpshared(&conds, PTHREAD_PROCESS_SHARED));
    TRY("barriers", pthread_barrierattr_setpshared(&meetings, PTHREAD_PROCESS_SHARED));
    TRY("locks", pthread_rwlockattr_setpshared(&rwlocks, PTHREAD_PROCESS_SHARED));
    pthread_mutex_init(&both->mutex, &mutexes), pthread_cond_init(&both->cond, &conds);
    pthread_barrier_init(&both->barrier, &meetings, 2), pthread_rwlock_init(&both->lock, &rwlocks);
    sem_init(&both->semaphore, 1, 0), sem_init(&both->back, 1, 0);
    pid_t child = fork();
    if (child == 0)
        _exit(in_child(both));
    TRY("post", got(sem_post(&both->semaphore)));
    TRY("the child posts back", got(sem_wait(&both->back)));
    until(&both->coming, 1);
    pthread_mutex_lock(&both->mutex);
    both->tokens = 1;
    pthread_cond_signal(&both->cond);
    pthread_mutex_unlock(&both->mutex);
    int serial = pthread_barrier_wait(&both->barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    say("the child has %d", both->tokens);
    pthread_barrier_wait(&both->barrier);
    TRY("read lock", pthread_rwlock_rdlock(&both->lock));
    say("the child has %d", both->tokens);
    TRY("unlock", pthread_rwlock_unlock(&both->lock));
    int status;
    waitpid(child, &status, 0);
    say("one of both: %d", serial + WEXITSTATUS(status));
}

int main(int count, char **words) {
    const struct part parts[] = {{"conditions", conditions}, {"locks", locks},       {"barriers", barriers},
                 {"semaphores", semaphores}, {"onces", onces},       {"spins", spins},
                 {"spinning", spinning},     {"processes", processes}, {NULL, NULL}};
    return run_part(parts, count, words);
}
