/* What a thread has of its own: values, data, masks, names, rounding; how it is joined and detached.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: threads are joined,
 * or say that they are done, before the first one goes on. How whole processes of threads end is in
 * thread_ends.c. */
#include "check.h"
#include <fenv.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <threads.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static void until(volatile int *flag) {
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
        pass_time(MS);
}
static void set(volatile int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }

static pthread_t start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, argument) != 0)
        abort();
    return thread;
}
static long run(void *(*body)(void *), void *argument) {
    void *result;
    if (pthread_join(start(body, argument), &result) != 0)
        abort();
    return (long)(intptr_t)result;
}

static volatile int go, done;

static void *give_back(void *argument) { return argument; }
static void *leave(void *argument) { pthread_exit(argument); }
static void *wait_for_go(void *argument) {
    until(&go);
    set(&done);
    return argument;
}
#ifdef __GLIBC__ /* musl's waits for ever */
static void *join_itself(void *argument) {
    (void)argument;
    return (void *)(intptr_t)pthread_join(pthread_self(), NULL);
}
#endif
static void *join_another(void *argument) {
    void *result;
    pthread_join(*(pthread_t *)argument, &result);
    return (char *)result + 1;
}

static void joins(void) {
    void *result = NULL;
    say("returned %ld, left with %ld", run(give_back, (void *)17), run(leave, (void *)18));
#ifdef __GLIBC__
    say("joins itself: %ld", run(join_itself, NULL));
#endif
    pthread_t thread = start(wait_for_go, (void *)5);
    TRY("tryjoin", pthread_tryjoin_np(thread, &result));
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += at.tv_nsec > 900000000;
    at.tv_nsec = (at.tv_nsec + 20 * MS) % 1000000000;
    TRY("timedjoin", pthread_timedjoin_np(thread, &result, &at));
    pthread_t other = start(join_another, &thread);
    set(&go);
    pthread_join(other, &result);
    say("joined by another: %ld", (long)(intptr_t)result);
    go = 0;
    thread = start(give_back, (void *)6);
    while (pthread_tryjoin_np(thread, &result) != 0)
        pass_time(MS);
    say("tried until it ended: %ld", (long)(intptr_t)result);
    thread = start(wait_for_go, NULL);
    done = 0;
    TRY("detach", pthread_detach(thread));
    set(&go);
    until(&done);
    pthread_attr_t attributes;
    int state = -1;
    pthread_attr_init(&attributes);
    TRY("born detached", pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED));
    pthread_attr_getdetachstate(&attributes, &state);
    say("state is set %d", state == PTHREAD_CREATE_DETACHED);
    done = 0;
    TRY("create", pthread_create(&thread, &attributes, wait_for_go, NULL));
    until(&done);
    TRY("odd state", pthread_attr_setdetachstate(&attributes, 77));
}

static void *where(void *argument) {
    char here;
    uintptr_t from = *(uintptr_t *)argument;
    return (void *)(intptr_t)((uintptr_t)&here - from < 1 << 20);
}
static long use_stack(int depth) {
    volatile char frame[1000];
    frame[depth % 1000] = depth;
    return depth == 0 ? frame[0] : use_stack(depth - 1) + (frame[depth % 1000] != (char)depth);
}
static void *deep(void *argument) { return (void *)use_stack((int)(intptr_t)argument); }

static void stacks(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    void *result;
    size_t size = 0;
    pthread_attr_init(&attributes);
    TRY("too small", pthread_attr_setstacksize(&attributes, 100));
    TRY("set size", pthread_attr_setstacksize(&attributes, 1 << 20));
    pthread_attr_getstacksize(&attributes, &size);
    say("size %zu", size);
    TRY("create", pthread_create(&thread, &attributes, deep, (void *)800));
    pthread_join(thread, &result);
    say("deep: %ld", (long)(intptr_t)result);
    TRY("guard", pthread_attr_setguardsize(&attributes, 64 << 10));
    TRY("create", pthread_create(&thread, &attributes, deep, (void *)800));
    pthread_join(thread, &result);
    void *own = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_init(&attributes);
    TRY("own stack", pthread_attr_setstack(&attributes, own, 1 << 20));
    TRY("create", pthread_create(&thread, &attributes, where, &own));
    pthread_join(thread, &result);
    say("runs on it: %ld", (long)(intptr_t)result);
    TRY("unmapped afterwards", got(munmap(own, 1 << 20)));
}

static pthread_key_t keys[3];
static volatile int destroyed;

static void destroy(void *value) {
    say("destroy %ld, own value now %d", (long)(intptr_t)value, pthread_getspecific(keys[0]) != NULL);
    destroyed++;
}
static void destroy_again(void *value) {
    say("destroy again %ld", (long)(intptr_t)value);
    pthread_setspecific(keys[1], (char *)value + 1);
}
static void *use_keys(void *argument) {
    say("unset: %d", pthread_getspecific(keys[0]) == NULL);
    pthread_setspecific(keys[0], argument);
    say("set: %ld", (long)(intptr_t)pthread_getspecific(keys[0]));
    return NULL;
}
static void *use_key_that_returns(void *argument) {
    pthread_setspecific(keys[1], argument);
    return NULL;
}

static void specifics(void) {
    TRY("create", pthread_key_create(&keys[0], destroy));
    TRY("create", pthread_key_create(&keys[1], destroy_again));
    TRY("create", pthread_key_create(&keys[2], NULL));
    pthread_setspecific(keys[0], (void *)1);
    run(use_keys, (void *)2);
    say("of the first: %ld, destroyed %d", (long)(intptr_t)pthread_getspecific(keys[0]), destroyed);
    run(use_key_that_returns, (void *)10);
    TRY("delete", pthread_key_delete(keys[1]));
    pthread_key_t many[PTHREAD_KEYS_MAX + 1];
    int count = 0;
    while (count <= PTHREAD_KEYS_MAX && pthread_key_create(&many[count], NULL) == 0)
        count++;
    say("more keys: %d", count > PTHREAD_KEYS_MAX - 10);
    pthread_exit(NULL);
}

static _Thread_local int started_at = 5;
static _Thread_local char zeroed[3000];
static _Thread_local _Alignas(64) long aligned = 7;
static __thread int *to_other;

static void *use_locals(void *argument) {
    int wrong = started_at != 5 || aligned != 7 || ((uintptr_t)&aligned & 63) != 0;
    for (size_t i = 0; i < sizeof zeroed; i++)
        wrong += zeroed[i] != 0;
    memset(zeroed, 1, sizeof zeroed);
    started_at = 100 + (int)(intptr_t)argument;
    to_other = &started_at;
    pass_time(5 * MS);
    wrong += started_at != 100 + (int)(intptr_t)argument || to_other != &started_at || zeroed[2999] != 1;
    errno = 33;
    close(-1);
    wrong += errno != EBADF;
    return (void *)(intptr_t)wrong;
}

static void locals(void) {
    pthread_t threads[8];
    long wrong = 0;
    void *result;
    started_at = 6;
    errno = 77;
    for (int i = 0; i < 8; i++)
        threads[i] = start(use_locals, (void *)(intptr_t)i);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], &result);
        wrong += (intptr_t)result;
    }
    say("wrong %ld, of the first %d, errno %d", wrong, started_at, errno);
}

static void *round_here(void *argument) {
    volatile double one = 1.0, three = 3.0;
    int inherited = fegetround() == (int)(intptr_t)argument;
    fesetround(FE_TOWARDZERO);
    return (void *)(intptr_t)(inherited + 2 * (one / three * three < 1.0));
}

static unsigned mxcsr(void) {
    unsigned value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value & ~0x3fu;
}
static unsigned short control_word(void) {
    unsigned short value;
    __asm__ volatile("fnstcw %0" : "=m"(value));
    return value;
}
static void *registers_of_units(void *argument) {
    (void)argument;
    return (void *)(((uintptr_t)mxcsr() << 16) + control_word());
}

static void rounding(void) {
    const int all[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (int i = 0; i < 4; i++) {
        fesetround(all[i]);
        say("in the thread %ld, afterwards %d", run(round_here, (void *)(intptr_t)all[i]), fegetround() == all[i]);
        say("units %lx", run(registers_of_units, NULL));
    }
}

static int blocked(int signal) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, signal);
}
static void *change_mask(void *argument) {
    sigset_t set;
    say("inherited %d %d", blocked(SIGUSR1), blocked(SIGUSR2));
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    say("own %d %d", blocked(SIGUSR1), blocked(SIGUSR2));
    return argument;
}

static void masks(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    run(change_mask, NULL);
    say("of the first %d %d", blocked(SIGUSR1), blocked(SIGUSR2));
    TRY("odd", pthread_sigmask(77, &set, NULL));
}

static pid_t first;
static void *show_ids(void *argument) {
    (void)argument;
    long own = raw(SYS_gettid);
    say("same process %d, another thread %d", getpid() == first, own != first);
    TRY("tgkill itself", raw(SYS_tgkill, first, own, 0));
    TRY("tgkill itself as a process", raw(SYS_tgkill, own, own, 0));
    TRY("tkill itself", raw(SYS_tkill, own, 0));
    TRY("kill by its number", raw(SYS_kill, own, 0));
    char name[16] = "";
    TRY("prctl", raw(SYS_prctl, 16 /* PR_GET_NAME */, name, 0, 0, 0));
    say("name has come along: %d", strcmp(name, "renamed") == 0);
    raw(SYS_prctl, 15 /* PR_SET_NAME */, "of the thread", 0, 0, 0);
    return NULL;
}

static void identities(void) {
    first = getpid();
    say("the first is the process: %d", raw(SYS_gettid) == first);
    TRY("setname", pthread_setname_np(pthread_self(), "renamed"));
    TRY("too long", pthread_setname_np(pthread_self(), "a name of sixteen"));
    run(show_ids, NULL);
    char name[16] = "";
    raw(SYS_prctl, 16, name, 0, 0, 0);
    say("name is still %s", name);
    say("itself %d", pthread_equal(pthread_self(), pthread_self()) != 0);
    struct sched_param parameter = {.sched_priority = -1};
    int policy = -1;
    TRY("getschedparam", pthread_getschedparam(pthread_self(), &policy, &parameter));
    say("policy %d, priority %d", policy, parameter.sched_priority);
    TRY("yield", got(sched_yield()));
    TRY("thread 0", raw(SYS_tgkill, first, 0, 0));
    TRY("a thread that is none", raw(SYS_tgkill, first, 1 << 29, 0));
}

/* Threads are named by others before they have run. */
static void baptisms(void) {
    enum { COUNT = 64 };
    pthread_t threads[COUNT];
    int unnamed = 0;
    for (int i = 0; i < COUNT; i++) {
        threads[i] = start(wait_for_go, NULL);
        unnamed += pthread_setname_np(threads[i], "young") != 0;
    }
    set(&go);
    for (int i = 0; i < COUNT; i++)
        pthread_join(threads[i], NULL);
    say("without a name %d", unnamed);
}

static mtx_t mtx;
static cnd_t cnd;
static tss_t tss;
static once_flag flag = ONCE_FLAG_INIT;
static void once_only(void) { say("once"); }
static void drop_tss(void *value) { say("dropped %ld", (long)(intptr_t)value); }

static int c11_body(void *argument) {
    call_once(&flag, once_only);
    tss_set(tss, argument);
    mtx_lock(&mtx);
    go = 1;
    cnd_signal(&cnd);
    mtx_unlock(&mtx);
    until(&done);
    thrd_exit(42);
}

static void c11(void) {
    thrd_t thread;
    int result = -1;
    TRY("mtx_init", mtx_init(&mtx, mtx_timed | mtx_recursive));
    TRY("cnd_init", cnd_init(&cnd));
    TRY("tss_create", tss_create(&tss, drop_tss));
    call_once(&flag, once_only);
    mtx_lock(&mtx);
    TRY("thrd_create", thrd_create(&thread, c11_body, (void *)9));
    while (!go)
        cnd_wait(&cnd, &mtx);
    TRY("mtx_trylock", mtx_trylock(&mtx));
    mtx_unlock(&mtx), mtx_unlock(&mtx);
    set(&done);
    TRY("thrd_join", thrd_join(thread, &result));
    say("result %d", result);
    struct timespec at = {1, 0};
    mtx_lock(&mtx);
    TRY("cnd_timedwait", cnd_timedwait(&cnd, &mtx, &at) == thrd_timedout);
    TRY("thrd_sleep", thrd_sleep(&(struct timespec){0, MS}, NULL));
    thrd_yield();
    say("itself %d", thrd_equal(thrd_current(), thrd_current()) != 0);
}

int main(int count, char **words) {
    const struct part parts[] = {{"joins", joins},       {"stacks", stacks}, {"specifics", specifics},   {"locals", locals},
                 {"rounding", rounding}, {"masks", masks},   {"identities", identities}, {"baptisms", baptisms},
                 {"c11", c11},           {NULL, NULL}};
    return run_part(parts, count, words);
}
