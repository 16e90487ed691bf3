/* Futexes that are locks with priority inheritance: the word holds the owner's number.
 *
 * The part to show comes in; a line for each call goes out, with the word compared to the numbers of the
 * threads. Always true: who is to wait says that it comes and waits some milliseconds later. Locks of the
 * library are in mutexes.c. */
#include "check.h"
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define LOCK_PI 6
#define UNLOCK_PI 7
#define TRYLOCK_PI 8
#define WAIT_REQUEUE_PI 11
#define CMP_REQUEUE_PI 12
#define LOCK_PI2 13
#define PRIVATE 128
#define ON_REALTIME 256
#define WAITERS 0x80000000u
#define OWNER_DIED 0x40000000u
#define NUMBER 0x3fffffffu

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static uint32_t word, condition;
static volatile int coming, go;
static volatile uint32_t other;

static long futex(void *at, int operation, uint32_t value, const void *timeout, void *second, uint32_t more) {
    return raw(SYS_futex, at, operation | PRIVATE, value, timeout, second, more);
}
static uint32_t own_number(void) { return (uint32_t)syscall(SYS_gettid); }
static long lock(void) { return futex(&word, LOCK_PI, 0, NULL, NULL, 0); }
static long unlock(void) { return futex(&word, UNLOCK_PI, 0, NULL, NULL, 0); }
static long trylock(void) { return futex(&word, TRYLOCK_PI, 0, NULL, NULL, 0); }

static void until(volatile int *flag) {
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
        pass_time(MS);
}
static void set(volatile int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }

static struct timespec in(clockid_t clock, int64_t ns) {
    int64_t at = clock_ns(clock) + ns;
    return (struct timespec){at / 1000000000, at % 1000000000};
}

static void show(const char *name) {
    uint32_t seen = __atomic_load_n(&word, __ATOMIC_ACQUIRE), number = seen & NUMBER;
    say("%s: %s%s%s", name, number == 0 ? "free" : number == own_number() ? "own" : number == other ? "other's" : "odd",
        seen & WAITERS ? ", waiters" : "", seen & OWNER_DIED ? ", owner died" : "");
}

static void alone(void) {
    struct timespec at = in(CLOCK_REALTIME, 20 * MS), odd = {0, -1};
    show("at first");
    TRY("lock", lock());
    show("locked");
    TRY("again", lock());
    TRY("trylock", trylock());
    TRY("unlock", unlock());
    show("unlocked");
    TRY("unlock the free", unlock());
    TRY("trylock", trylock());
    show("locked");
    TRY("unlock", unlock());
    word = own_number();
    TRY("locked without a call", unlock());
    show("unlocked");
    TRY("lock with a limit", futex(&word, LOCK_PI, 0, &at, NULL, 0));
    TRY("unlock", unlock());
    TRY("odd time", futex(&word, LOCK_PI, 0, &odd, NULL, 0));
    show("not locked");
    word = NUMBER;
    TRY("of nobody", lock());
    TRY("trylock of nobody", trylock());
    TRY("unlock of nobody", unlock());
    word = 1 << 29;
    TRY("of nobody", lock());
    word = 0;
    TRY("bad address", futex((void *)8, LOCK_PI, 0, NULL, NULL, 0));
    TRY("odd address", futex((char *)&word + 1, LOCK_PI, 0, NULL, NULL, 0));
    TRY("unlock at a bad address", futex((void *)8, UNLOCK_PI, 0, NULL, NULL, 0));
    TRY("bad time", futex(&word, LOCK_PI, 0, (void *)8, NULL, 0));
    TRY("another clock", futex(&word, LOCK_PI | ON_REALTIME, 0, NULL, NULL, 0));
    TRY("trylock with another clock", futex(&word, TRYLOCK_PI | ON_REALTIME, 0, NULL, NULL, 0));
    TRY("the second lock", futex(&word, LOCK_PI2, 0, NULL, NULL, 0));
    show("locked");
    TRY("unlock", unlock());
    TRY("of the calendar", futex(&word, LOCK_PI2 | ON_REALTIME, 0, NULL, NULL, 0));
    TRY("unlock", unlock());
}

static void *hold(void *argument) {
    other = own_number();
    lock();
    set(&coming);
    until(&go);
    pass_time(20 * MS);
    unlock();
    return argument;
}
static void *take(void *argument) {
    (void)argument;
    set(&coming);
    long result = lock();
    other = own_number();
    set(&go);
    pass_time(20 * MS);
    unlock();
    return (void *)result;
}

static void between(void) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, hold, NULL);
    until(&coming);
    show("held");
    TRY("trylock", trylock());
    TRY("unlock", unlock());
    struct timespec at = in(CLOCK_REALTIME, 20 * MS);
    TRY("with a limit", futex(&word, LOCK_PI, 0, &at, NULL, 0));
    at = in(CLOCK_REALTIME, -20 * MS);
    TRY("that is over", futex(&word, LOCK_PI, 0, &at, NULL, 0));
    at = in(CLOCK_MONOTONIC, 20 * MS);
    TRY("of the other clock", futex(&word, LOCK_PI2, 0, &at, NULL, 0));
    set(&go);
    TRY("lock", lock());
    say("own %d", (word & NUMBER) == own_number());
    pthread_join(thread, NULL);
    coming = go = 0;
    pthread_create(&thread, NULL, take, NULL);
    until(&coming);
    pass_time(20 * MS);
    show("somebody waits");
    TRY("hand over", unlock());
    until(&go);
    show("handed over");
    TRY("lock", lock());
    TRY("unlock", unlock());
    show("free");
    pthread_join(thread, &result);
    say("result %ld", (long)(intptr_t)result);
}

/* In the order of their coming, for all have the same priority. */
static volatile int order[5], taken;
static void *take_in_turn(void *argument) {
    set(&coming);
    lock();
    order[taken++] = (int)(intptr_t)argument;
    pass_time(5 * MS);
    unlock();
    return NULL;
}
static void turns(void) {
    pthread_t threads[5];
    lock();
    for (int i = 0; i < 5; i++) {
        coming = 0;
        pthread_create(&threads[i], NULL, take_in_turn, (void *)(intptr_t)i);
        until(&coming);
        pass_time(20 * MS);
    }
    unlock();
    for (int i = 0; i < 5; i++)
        pthread_join(threads[i], NULL);
    say("order %d %d %d %d %d", order[0], order[1], order[2], order[3], order[4]);
    show("afterwards");
}

/* Who would wait for itself through another. */
static uint32_t second;
static void *cross(void *argument) {
    futex(&second, LOCK_PI, 0, NULL, NULL, 0);
    set(&coming);
    long result = lock();
    unlock();
    futex(&second, UNLOCK_PI, 0, NULL, NULL, 0);
    (void)argument;
    return (void *)result;
}
static void circles(void) {
    pthread_t thread;
    void *result;
    lock();
    pthread_create(&thread, NULL, cross, NULL);
    until(&coming);
    pass_time(20 * MS);
    TRY("a circle", futex(&second, LOCK_PI, 0, NULL, NULL, 0));
    TRY("unlock", unlock());
    pthread_join(thread, &result);
    say("result %ld", (long)(intptr_t)result);
    TRY("now it is free", futex(&second, LOCK_PI, 0, NULL, NULL, 0));
    TRY("unlock", futex(&second, UNLOCK_PI, 0, NULL, NULL, 0));
}

/* Waits on a condition that end with the lock taken. */
static volatile int done;
static void *wait_for_condition(void *argument) {
    struct timespec at = in(CLOCK_MONOTONIC, 10000 * MS);
    __atomic_fetch_add(&coming, 1, __ATOMIC_ACQ_REL);
    long result = futex(&condition, WAIT_REQUEUE_PI, 0, &at, &word, 0);
    int is_owner = (word & NUMBER) == own_number();
    order[done++] = (int)(intptr_t)argument;
    unlock();
    return (void *)(result * 10 + is_owner);
}
static void conditions(void) {
    pthread_t threads[3];
    void *result;
    void *one = (void *)1, *all = (void *)(intptr_t)INT_MAX;
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, wait_for_condition, (void *)(intptr_t)i);
        while (coming != i + 1)
            pass_time(MS);
        pass_time(20 * MS);
    }
    TRY("another value", futex(&condition, CMP_REQUEUE_PI, 1, one, &word, 7));
    TRY("wake two", futex(&condition, CMP_REQUEUE_PI, 2, one, &word, 0));
    TRY("onto itself", futex(&condition, CMP_REQUEUE_PI, 1, one, &condition, 0));
    TRY("onto another lock", futex(&condition, CMP_REQUEUE_PI, 1, one, &second, 0));
    lock();
    TRY("while it is locked", futex(&condition, CMP_REQUEUE_PI, 1, NULL, &word, 0));
    pass_time(20 * MS);
    say("nobody yet %d", done);
    TRY("unlock", unlock());
    pthread_join(threads[0], &result);
    say("result %ld, order %d", (long)(intptr_t)result, order[0]);
    lock();
    TRY("the others", futex(&condition, CMP_REQUEUE_PI, 1, all, &word, 0));
    TRY("unlock", unlock());
    for (int i = 1; i < 3; i++) {
        pthread_join(threads[i], &result);
        say("result %ld, order %d", (long)(intptr_t)result, order[i]);
    }
    TRY("nobody left", futex(&condition, CMP_REQUEUE_PI, 1, all, &word, 0));
    struct timespec at = in(CLOCK_MONOTONIC, 20 * MS);
    TRY("wait in vain", futex(&condition, WAIT_REQUEUE_PI, 0, &at, &word, 0));
    TRY("another value", futex(&condition, WAIT_REQUEUE_PI, 5, &at, &word, 0));
    at = in(CLOCK_REALTIME, 20 * MS);
    TRY("of the calendar", futex(&condition, WAIT_REQUEUE_PI | ON_REALTIME, 0, &at, &word, 0));
    TRY("wait onto itself", futex(&condition, WAIT_REQUEUE_PI, 0, &at, &condition, 0));
}

/* In memory that two processes share, and across the death of the owner. */
static void processes(void) {
    uint32_t *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile int *flags = (volatile int *)(both + 4);
    int status;
    pid_t child = fork();
    if (child == 0) {
        raw(SYS_futex, both, LOCK_PI, 0, NULL, NULL, 0);
        set(&flags[0]);
        until(&flags[1]);
        pass_time(20 * MS);
        _exit(raw(SYS_futex, both, UNLOCK_PI, 0, NULL, NULL, 0) != 0);
    }
    until(&flags[0]);
    say("the child's %d", (*both & NUMBER) == (uint32_t)child);
    TRY("trylock", raw(SYS_futex, both, TRYLOCK_PI, 0, NULL, NULL, 0));
    set(&flags[1]);
    TRY("lock", raw(SYS_futex, both, LOCK_PI, 0, NULL, NULL, 0));
    say("own %d", (*both & NUMBER) == own_number());
    waitpid(child, &status, 0);
    say("status %x", status);
    TRY("unlock", raw(SYS_futex, both, UNLOCK_PI, 0, NULL, NULL, 0));
    flags[0] = flags[1] = 0;
    child = fork();
    if (child == 0) {
        raw(SYS_futex, both, LOCK_PI, 0, NULL, NULL, 0);
        set(&flags[0]);
        while (!(__atomic_load_n(both, __ATOMIC_ACQUIRE) & WAITERS))
            pass_time(MS);
        pass_time(20 * MS);
        _exit(0);
    }
    until(&flags[0]);
    TRY("the owner dies meanwhile", raw(SYS_futex, both, LOCK_PI, 0, NULL, NULL, 0));
    say("own %d, owner died %d", (*both & NUMBER) == own_number(), (*both & OWNER_DIED) != 0);
    waitpid(child, &status, 0);
    say("status %x", status);
    TRY("unlock", raw(SYS_futex, both, UNLOCK_PI, 0, NULL, NULL, 0));
}

int main(int count, char **arguments) {
    const struct part parts[] = {{"alone", alone},     {"between", between},       {"turns", turns},
                 {"circles", circles}, {"conditions", conditions}, {"processes", processes}, {NULL, NULL}};
    return run_part(parts, count, arguments);
}
