/* What futexes refuse: a case for each line of their pages.
 *
 * A part's name comes in, lines go out. Always true: words of threads that wait are at addresses of their own. Left
 * out: FUTEX_FD, which is no more, owners that are about to exit, which needs a race, and ENOMEM. */
#include "errors.h"
#include <sys/mman.h>

enum { WAIT, WAKE, FD, REQUEUE, CMP_REQUEUE, WAKE_OP, LOCK_PI, UNLOCK_PI, TRYLOCK_PI, WAIT_BITSET, WAKE_BITSET, WAIT_REQUEUE_PI, CMP_REQUEUE_PI, LOCK_PI2 };
enum { PRIVATE = 128, REALTIME = 256 };
enum { WAITV = 449, FUTEX2_WAKE = 454, FUTEX2_WAIT = 455, FUTEX2_REQUEUE = 456 };

static uint32_t word, other_word, third;
static struct timespec soon = {0, 1000000}, negative = {-1, 0}, much = {0, 1000000000}, less = {0, -1}, at_once;
static char *forbidden;

#define FUTEX_FAILS(error, ...) FAILS(error, raw(SYS_futex, __VA_ARGS__))

static void lay_out(void) {
    forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WORKS((long)forbidden);
}

static void waits(void) {
    lay_out();
    static const int operations[] = {WAIT, WAIT | PRIVATE, WAIT_BITSET, WAIT_BITSET | PRIVATE | REALTIME};
    for (unsigned i = 0; i < 4; i++) {
        int operation = operations[i];
        say("- %d", operation);
        FUTEX_FAILS(EAGAIN, &word, operation, 1, NULL, NULL, -1);
        FUTEX_FAILS(EAGAIN, &word, operation, 1, &soon, NULL, -1);
        FUTEX_FAILS(ETIMEDOUT, &word, operation, 0, &soon, NULL, -1);
        FUTEX_FAILS(ETIMEDOUT, &word, operation, 0, &at_once, NULL, -1);
        FUTEX_FAILS(EINVAL, &word, operation, 0, &negative, NULL, -1);
        FUTEX_FAILS(EINVAL, &word, operation, 1, &much, NULL, -1);
        FUTEX_FAILS(EINVAL, nowhere, operation, 1, &less, NULL, -1);
        FUTEX_FAILS(EFAULT, &word, operation, 0, nowhere, NULL, -1);
        FUTEX_FAILS(EINVAL, (char *)&word + 1, operation, 0, &soon, NULL, -1);
        FUTEX_FAILS(EFAULT, (void *)4, operation, 0, &soon, NULL, -1);
        FUTEX_FAILS(EFAULT, NULL, operation, 0, &soon, NULL, -1);
        FUTEX_FAILS(EFAULT, forbidden, operation, 0, &soon, NULL, -1);
        FUTEX_FAILS(EFAULT, 0xffffffff80000000, operation, 0, &soon, NULL, -1);
        INTERRUPTED(FUTEX_FAILS(EINTR, &word, operation, 0, NULL, NULL, -1));
    }
    FUTEX_FAILS(EINVAL, &word, WAIT_BITSET, 0, NULL, NULL, 0);
    FUTEX_FAILS(EINVAL, &word, WAIT_BITSET, 1, NULL, NULL, 0);
    FUTEX_FAILS(EINVAL, &word, WAKE_BITSET, 1, NULL, NULL, 0);
}

static void operations(void) {
    FUTEX_FAILS(ENOSYS, &word, FD, 0, NULL, NULL, 0);
    FUTEX_FAILS(ENOSYS, &word, 14, 0, NULL, NULL, 0);
    FUTEX_FAILS(ENOSYS, &word, 127, 0, NULL, NULL, 0);
    FUTEX_FAILS(ENOSYS, nowhere, 77 | PRIVATE, 0, NULL, NULL, 0);
    FUTEX_FAILS(ENOSYS, &word, WAKE | REALTIME, 0, NULL, NULL, 0);
    FUTEX_FAILS(ENOSYS, &word, REQUEUE | REALTIME, 0, NULL, &other_word, 0);
    FUTEX_FAILS(ENOSYS, &word, CMP_REQUEUE | REALTIME, 0, NULL, &other_word, 0);
    FUTEX_FAILS(ENOSYS, &word, WAKE_OP | REALTIME, 0, NULL, &other_word, 0);
    FUTEX_FAILS(ENOSYS, &word, WAKE_BITSET | REALTIME, 0, NULL, NULL, 1);
    FUTEX_FAILS(ENOSYS, &word, LOCK_PI | REALTIME, 0, NULL, NULL, 0);
    FUTEX_FAILS(ENOSYS, &word, UNLOCK_PI | REALTIME, 0, NULL, NULL, 0);
    FUTEX_FAILS(ENOSYS, &word, TRYLOCK_PI | REALTIME, 0, NULL, NULL, 0);
    FUTEX_FAILS(ENOSYS, &word, CMP_REQUEUE_PI | REALTIME, 1, NULL, &other_word, 0);
    FUTEX_FAILS(ENOSYS, &word, WAKE | 512, 0, NULL, NULL, 0);
}

static void wakes(void) {
    lay_out();
    FUTEX_FAILS(EINVAL, (char *)&word + 2, WAKE, 1, NULL, NULL, 0);
    FUTEX_FAILS(EINVAL, (char *)&word + 3, WAKE | PRIVATE, 1, NULL, NULL, 0);
    FUTEX_FAILS(EFAULT, (void *)4, WAKE, 1, NULL, NULL, 0);
    FUTEX_FAILS(EFAULT, forbidden, WAKE, 1, NULL, NULL, 0);
    FUTEX_FAILS(EFAULT, 0xffffffff80000000, WAKE | PRIVATE, 1, NULL, NULL, 0);
    FUTEX_FAILS(EINVAL, &word, REQUEUE, -1, 0, &other_word, 0);
    FUTEX_FAILS(EINVAL, &word, REQUEUE, 1, (void *)-1L, &other_word, 0);
    FUTEX_FAILS(EINVAL, &word, REQUEUE, 1, (void *)1, (char *)&other_word + 1, 0);
    FUTEX_FAILS(EINVAL, (char *)&word + 1, REQUEUE | PRIVATE, 1, (void *)1, &other_word, 0);
    FUTEX_FAILS(EFAULT, (void *)4, REQUEUE, 1, (void *)1, &other_word, 0);
    FUTEX_FAILS(EFAULT, &word, REQUEUE, 1, (void *)1, (void *)8, 0);
    FUTEX_FAILS(EAGAIN, &word, CMP_REQUEUE, 1, (void *)1, &other_word, 1);
    FUTEX_FAILS(EINVAL, &word, CMP_REQUEUE, -1, (void *)1, &other_word, 1);
    FUTEX_FAILS(EFAULT, (void *)4, CMP_REQUEUE | PRIVATE, 1, (void *)1, &other_word, 0);
    FUTEX_FAILS(EINVAL, &word, WAKE_OP, 1, (void *)1, (char *)&other_word + 1, 0);
    FUTEX_FAILS(EINVAL, (char *)&word + 1, WAKE_OP, 1, (void *)1, &other_word, 0);
    FUTEX_FAILS(EFAULT, &word, WAKE_OP, 1, (void *)1, (void *)8, 0);
    FUTEX_FAILS(EFAULT, &word, WAKE_OP | PRIVATE, 1, (void *)1, forbidden, 0);
    FUTEX_FAILS(ENOSYS, &word, WAKE_OP, 1, (void *)1, &other_word, 5 << 28);
    FUTEX_FAILS(ENOSYS, &word, WAKE_OP, 1, (void *)1, &other_word, 6 << 24);
}

static struct gate gate;
/* Holds a lock until the gate closes. */
static void *holder(void *at) {
    WORKS(raw(SYS_futex, at, LOCK_PI, 0, NULL, NULL, 0));
    open_gate(gate);
    pass_time(400 * MS);
    WORKS(raw(SYS_futex, at, UNLOCK_PI, 0, NULL, NULL, 0));
    return NULL;
}

static void locks(void) {
    lay_out();
    gate = new_gate();
    uint32_t own = raw(SYS_gettid);
    static const int operations[] = {LOCK_PI, LOCK_PI2, TRYLOCK_PI};
    for (int i = 0; i < 3; i++) {
        int operation = operations[i];
        say("- %d", operation);
        word = own;
        FUTEX_FAILS(EDEADLK, &word, operation, 0, NULL, NULL, 0);
        word = NOBODY;
        FUTEX_FAILS(ESRCH, &word, operation, 0, NULL, NULL, 0);
        word = 0;
        FUTEX_FAILS(EINVAL, (char *)&word + 1, operation, 0, NULL, NULL, 0);
        FUTEX_FAILS(EFAULT, (void *)4, operation, 0, NULL, NULL, 0);
        FUTEX_FAILS(EFAULT, forbidden, operation, 0, NULL, NULL, 0);
        if (operation != TRYLOCK_PI) {
            FUTEX_FAILS(EINVAL, &word, operation, 0, &negative, NULL, 0);
            FUTEX_FAILS(EINVAL, &word, operation, 0, &much, NULL, 0);
            FUTEX_FAILS(EFAULT, &word, operation, 0, nowhere, NULL, 0);
        }
    }
    /* It says that there are waiters, but the kernel knows of none. */
    word = NOBODY | 0x80000000;
    FUTEX_FAILS(ESRCH, &word, LOCK_PI, 0, NULL, NULL, 0);
    word = 0;
    FUTEX_FAILS(EPERM, &word, UNLOCK_PI, 0, NULL, NULL, 0);
    word = 1;
    FUTEX_FAILS(EPERM, &word, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0);
    FUTEX_FAILS(EPERM, (char *)&word + 1, UNLOCK_PI, 0, NULL, NULL, 0);
    FUTEX_FAILS(EFAULT, (void *)4, UNLOCK_PI, 0, NULL, NULL, 0);
    FUTEX_FAILS(EFAULT, forbidden, UNLOCK_PI, 0, NULL, NULL, 0);
    word = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, holder, &word);
    pass_gate(gate);
    FUTEX_FAILS(EAGAIN, &word, TRYLOCK_PI, 0, NULL, NULL, 0);
    FUTEX_FAILS(EPERM, &word, UNLOCK_PI, 0, NULL, NULL, 0);
    FUTEX_FAILS(ETIMEDOUT, &word, LOCK_PI, 0, &at_once, NULL, 0);
    FUTEX_FAILS(ETIMEDOUT, &word, LOCK_PI2, 0, &soon, NULL, 0);
    pthread_join(thread, NULL);
}

/* Two threads, each of which waits for what the other one has. */
static uint32_t mine, theirs;
static void *crossing(void *unused) {
    WORKS(raw(SYS_futex, &theirs, LOCK_PI, 0, NULL, NULL, 0));
    open_gate(gate);
    WORKS(raw(SYS_futex, &mine, LOCK_PI, 0, NULL, NULL, 0));
    WORKS(raw(SYS_futex, &mine, UNLOCK_PI, 0, NULL, NULL, 0));
    WORKS(raw(SYS_futex, &theirs, UNLOCK_PI, 0, NULL, NULL, 0));
    return unused;
}

static void *waiter(void *at) {
    open_gate(gate);
    raw(SYS_futex, at, WAIT, 0, NULL, NULL, 0);
    return NULL;
}

static void *lock_waiter(void *at) {
    open_gate(gate);
    raw(SYS_futex, at, LOCK_PI, 0, NULL, NULL, 0);
    raw(SYS_futex, at, UNLOCK_PI, 0, NULL, NULL, 0);
    return NULL;
}

static void *requeue_waiter(void *to) {
    open_gate(gate);
    raw(SYS_futex, &third, WAIT_REQUEUE_PI, 0, NULL, to, 0);
    if (raw(SYS_futex, to, UNLOCK_PI, 0, NULL, NULL, 0) != 0)
        say("the waiter was never moved");
    return NULL;
}

static pthread_t started(void *(*run)(void *), void *at) {
    pthread_t thread;
    pthread_create(&thread, NULL, run, at);
    pass_gate(gate), pass_time(50 * MS);
    return thread;
}

static void confusions(void) {
    gate = new_gate();
    WORKS(raw(SYS_futex, &mine, LOCK_PI, 0, NULL, NULL, 0));
    pthread_t thread = started(crossing, NULL);
    FUTEX_FAILS(EDEADLK, &theirs, LOCK_PI, 0, NULL, NULL, 0);
    /* A waiter for a lock is none for a wake, nor the other way round. */
    FUTEX_FAILS(EINVAL, &mine, WAKE, 1, NULL, NULL, 0);
    FUTEX_FAILS(EINVAL, &mine, WAKE_BITSET, 1, NULL, NULL, -1);
    FUTEX_FAILS(EINVAL, &mine, WAKE_OP, 1, (void *)1, &other_word, 0);
    FUTEX_FAILS(EINVAL, &other_word, WAKE_OP, 1, (void *)1, &mine, 4 << 28 /* add nothing, compare */ | 1 << 24 | 0xfff);
    FUTEX_FAILS(EINVAL, &mine, REQUEUE, 0, (void *)1, &other_word, 0);
    FUTEX_FAILS(EINVAL, &mine, CMP_REQUEUE, 0, (void *)1, &other_word, (int)mine);
    FUTEX_FAILS(EINVAL, &mine, CMP_REQUEUE_PI, 1, (void *)1, &other_word, (int)mine);
    WORKS(raw(SYS_futex, &mine, UNLOCK_PI, 0, NULL, NULL, 0));
    pthread_join(thread, NULL);
    word = 0;
    thread = started(waiter, &word);
    FUTEX_FAILS(EINVAL, &word, LOCK_PI, 0, NULL, NULL, 0);
    word = 0;
    WORKS(raw(SYS_futex, &word, WAKE, 1, NULL, NULL, 0));
    pthread_join(thread, NULL);
}

static void moves(void) {
    lay_out();
    gate = new_gate();
    FUTEX_FAILS(EAGAIN, &word, CMP_REQUEUE_PI, 1, (void *)1, &other_word, 1);
    FUTEX_FAILS(EINVAL, &word, CMP_REQUEUE_PI, 0, (void *)1, &other_word, 0);
    FUTEX_FAILS(EINVAL, &word, CMP_REQUEUE_PI, 2, (void *)1, &other_word, 0);
    FUTEX_FAILS(EINVAL, &word, CMP_REQUEUE_PI, 1, (void *)1, &word, 0);
    FUTEX_FAILS(EINVAL, (char *)&word + 1, CMP_REQUEUE_PI, 1, (void *)1, &other_word, 0);
    FUTEX_FAILS(EINVAL, &word, CMP_REQUEUE_PI, 1, (void *)1, (char *)&other_word + 1, 0);
    FUTEX_FAILS(EFAULT, &word, CMP_REQUEUE_PI, 1, (void *)1, (void *)8, 0);
    FUTEX_FAILS(EFAULT, forbidden, CMP_REQUEUE_PI, 1, (void *)1, &other_word, 0);
    FUTEX_FAILS(EAGAIN, &word, WAIT_REQUEUE_PI, 1, &soon, &other_word, 0);
    FUTEX_FAILS(ETIMEDOUT, &word, WAIT_REQUEUE_PI, 0, &soon, &other_word, 0);
    FUTEX_FAILS(EINVAL, &word, WAIT_REQUEUE_PI, 0, &soon, &word, 0);
    FUTEX_FAILS(EINVAL, &word, WAIT_REQUEUE_PI, 0, &much, &other_word, 0);
    FUTEX_FAILS(EINVAL, (char *)&word + 1, WAIT_REQUEUE_PI, 0, &soon, &other_word, 0);
    FUTEX_FAILS(EINVAL, &word, WAIT_REQUEUE_PI, 0, &soon, (char *)&other_word + 1, 0);
    FUTEX_FAILS(EFAULT, (void *)4, WAIT_REQUEUE_PI, 0, &soon, &other_word, 0);
    FUTEX_FAILS(EFAULT, &word, WAIT_REQUEUE_PI, 0, nowhere, &other_word, 0);
    /* One that waits for no lock, and one that waits for another. */
    pthread_t thread = started(waiter, &word);
    FUTEX_FAILS(EINVAL, &word, CMP_REQUEUE_PI, 1, (void *)1, &other_word, 0);
    WORKS(raw(SYS_futex, &word, WAKE, 1, NULL, NULL, 0));
    pthread_join(thread, NULL);
    thread = started(requeue_waiter, &mine);
    FUTEX_FAILS(EINVAL, &third, CMP_REQUEUE_PI, 1, (void *)1, &other_word, 0);
    FUTEX_FAILS(EINVAL, &third, WAKE, 1, NULL, NULL, 0);
    FUTEX_FAILS(EINVAL, &third, CMP_REQUEUE, 0, (void *)1, &other_word, 0);
    mine = NOBODY;
    FUTEX_FAILS(ESRCH, &third, CMP_REQUEUE_PI, 1, (void *)1, &mine, 0);
    mine = 0;
    WORKS(raw(SYS_futex, &third, CMP_REQUEUE_PI, 1, (void *)1, &mine, 0));
    pthread_join(thread, NULL);
    /* Where somebody waits for no lock, nobody can be moved to one. */
    pthread_t plain = started(waiter, &word);
    thread = started(requeue_waiter, &mine);
    FUTEX_FAILS(EINVAL, &third, CMP_REQUEUE_PI, 1, (void *)1, &word, 0);
    WORKS(raw(SYS_futex, &third, CMP_REQUEUE_PI, 1, (void *)1, &mine, 0));
    WORKS(raw(SYS_futex, &word, WAKE, 1, NULL, NULL, 0));
    pthread_join(thread, NULL), pthread_join(plain, NULL);
    /* Its owner would wait for itself. */
    WORKS(raw(SYS_futex, &mine, LOCK_PI, 0, NULL, NULL, 0));
    thread = started(lock_waiter, &mine);
    WORKS(raw(SYS_futex, &mine, UNLOCK_PI, 0, NULL, NULL, 0));
    pthread_join(thread, NULL);
}

struct wanted {
    uint64_t value, at;
    uint32_t flags, unused;
};

static void vectors(void) {
    lay_out();
    struct wanted good = {0, (uint64_t)&word, 2, 0}, many[129];
    for (int i = 0; i < 129; i++)
        many[i] = good;
#define VECTOR_FAILS(error, ...) FAILS(error, raw(WAITV, &(struct wanted){__VA_ARGS__}, 1, 0, &at_once, CLOCK_MONOTONIC))
    FAILS(EINVAL, raw(WAITV, &good, 1, 1, NULL, 0));
    FAILS(EINVAL, raw(WAITV, &good, 0, 0, NULL, 0));
    FAILS(EINVAL, raw(WAITV, many, 129, 0, NULL, 0));
    FAILS(EINVAL, raw(WAITV, NULL, 1, 0, NULL, 0));
    FAILS(EINVAL, raw(WAITV, &good, 1, 0, &at_once, CLOCK_PROCESS_CPUTIME_ID));
    FAILS(EINVAL, raw(WAITV, &good, 1, 0, &much, CLOCK_MONOTONIC));
    FAILS(EINVAL, raw(WAITV, &good, 1, 0, &negative, CLOCK_REALTIME));
    FAILS(EFAULT, raw(WAITV, &good, 1, 0, nowhere, CLOCK_REALTIME));
    FAILS(EFAULT, raw(WAITV, nowhere, 1, 0, NULL, 0));
    FAILS(ETIMEDOUT, raw(WAITV, &good, 1, 0, &at_once, CLOCK_MONOTONIC));
    FAILS(ETIMEDOUT, raw(WAITV, many, 128, 0, &at_once, CLOCK_REALTIME));
    VECTOR_FAILS(EAGAIN, 1, (uint64_t)&word, 2, 0);
    VECTOR_FAILS(EINVAL, 0, (uint64_t)&word, 3, 0);
    VECTOR_FAILS(EINVAL, 0, (uint64_t)&word, 0x102, 0);
    VECTOR_FAILS(EINVAL, 0, (uint64_t)&word, 2, 1);
    VECTOR_FAILS(EINVAL, UINT64_C(1) << 32, (uint64_t)&word, 2, 0);
    VECTOR_FAILS(EINVAL, 0, (uint64_t)&word + 1, 2, 0);
    VECTOR_FAILS(EFAULT, 0, 4, 2, 0);
    VECTOR_FAILS(EFAULT, 0, (uint64_t)forbidden, 2 | 128, 0);
    INTERRUPTED(FAILS(EINTR, raw(WAITV, many, 2, 0, NULL, 0)));
    FAILS(EINVAL, raw(FUTEX2_WAKE, &word, -1, 1, 3));
    FAILS(EINVAL, raw(FUTEX2_WAKE, &word, 0, 1, 2));
    FAILS(EINVAL, raw(FUTEX2_WAKE, (char *)&word + 1, -1, 1, 2));
    FAILS(EFAULT, raw(FUTEX2_WAKE, (void *)4, -1, 1, 2));
    FAILS(EINVAL, raw(FUTEX2_WAIT, &word, 0, -1U, 3, NULL, 0));
    FAILS(EINVAL, raw(FUTEX2_WAIT, &word, 0, 0, 2, NULL, 0));
    FAILS(EINVAL, raw(FUTEX2_WAIT, &word, 0, -1U, 2, &at_once, CLOCK_PROCESS_CPUTIME_ID));
    FAILS(EINVAL, raw(FUTEX2_WAIT, &word, 0, -1U, 2, &much, CLOCK_MONOTONIC));
    FAILS(EINVAL, raw(FUTEX2_WAIT, &word, UINT64_C(1) << 32, -1U, 2, NULL, 0));
    FAILS(EAGAIN, raw(FUTEX2_WAIT, &word, 1, -1U, 2, NULL, 0));
    FAILS(ETIMEDOUT, raw(FUTEX2_WAIT, &word, 0, -1U, 2, &at_once, CLOCK_MONOTONIC));
    FAILS(EFAULT, raw(FUTEX2_WAIT, (void *)4, 0, -1U, 2, NULL, 0));
    INTERRUPTED(FAILS(EINTR, raw(FUTEX2_WAIT, &word, 0, -1U, 2, NULL, 0)));
    struct wanted pair[2] = {{0, (uint64_t)&word, 2, 0}, {0, (uint64_t)&other_word, 2, 0}};
    FAILS(EINVAL, raw(FUTEX2_REQUEUE, pair, 1, 1, 1));
    FAILS(EINVAL, raw(FUTEX2_REQUEUE, NULL, 0, 1, 1));
    FAILS(EFAULT, raw(FUTEX2_REQUEUE, nowhere, 0, 1, 1));
    FAILS(EINVAL, raw(FUTEX2_REQUEUE, pair, 0, -1, 1));
    pair[0].value = 1;
    FAILS(EAGAIN, raw(FUTEX2_REQUEUE, pair, 0, 1, 1));
}

static void robust_lists(void) {
    size_t length;
    void *head;
    FAILS(EINVAL, raw(SYS_set_robust_list, page, 23));
    FAILS(EINVAL, raw(SYS_set_robust_list, nowhere, 0));
    FAILS(ESRCH, raw(SYS_get_robust_list, NOBODY, &head, &length));
    FAILS(ESRCH, raw(SYS_get_robust_list, -1, &head, &length));
    FAILS(EFAULT, raw(SYS_get_robust_list, 0, nowhere, &length));
    FAILS(EFAULT, raw(SYS_get_robust_list, 0, &head, nowhere));
    pid_t own = getpid();
    AS_USER(
        FAILS(EPERM, raw(SYS_get_robust_list, own, &head, &length));
        FAILS(ESRCH, raw(SYS_get_robust_list, NOBODY, nowhere, nowhere)));
    FAILS(0, raw(SYS_set_tid_address, nowhere) - raw(SYS_gettid));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"wait", waits}, {"operations", operations}, {"wake", wakes}, {"lock", locks}, {"confusions", confusions}, {"requeue_pi", moves},
        {"waitv", vectors}, {"robust_list", robust_lists}, {NULL, NULL},
    };
    return run_parts_of_errors(parts, count, words);
}
