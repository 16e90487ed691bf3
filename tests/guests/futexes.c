/* The futex call itself: waits, wakes, requeues, operations, and what it refuses.
 *
 * The part to show comes in; a line for each call goes out. Always true: each waiter says that it comes, and
 * the next one starts some milliseconds later, so that the queue is the same in every run; who was woken is
 * read when all that were woken have said so. Locks with priority inheritance are in futex_pi.c. */
#include "check.h"
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#define WAIT 0
#define WAKE 1
#define REQUEUE 3
#define CMP_REQUEUE 4
#define WAKE_OP 5
#define WAIT_BITSET 9
#define WAKE_BITSET 10
#define PRIVATE 128
#define ON_REALTIME 256

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static long futex(void *word, int operation, uint32_t value, const void *timeout, void *other, uint32_t more) {
    return raw(SYS_futex, word, operation, value, timeout, other, more);
}

static int64_t began;
static void begin(void) { began = clock_ns(CLOCK_MONOTONIC); }
static void end(const char *name, long result, int64_t expected) {
    int64_t took = clock_ns(CLOCK_MONOTONIC) - began;
    const char *verdict = took < expected ? "early" : took > expected + 5000 * MS ? "late" : "in time";
    say("%s = %ld, %s", name, result, verdict);
}
static struct timespec in(clockid_t clock, int64_t ns) {
    int64_t at = clock_ns(clock) + ns;
    return (struct timespec){at / 1000000000, at % 1000000000};
}

/* Waiters, each on a word and with a set of bits. */
static uint32_t words[2];
static struct waiter {
    pthread_t thread;
    uint32_t *word, bits;
    volatile int coming;
    long result;
} waiters[8];
static volatile int woken, order[8];

static void *wait_there(void *argument) {
    struct waiter *one = argument;
    __atomic_store_n(&one->coming, 1, __ATOMIC_RELEASE);
    one->result = futex(one->word, WAIT_BITSET | PRIVATE, 0, NULL, NULL, one->bits);
    int place = __atomic_fetch_add(&woken, 1, __ATOMIC_ACQ_REL);
    order[place] = (int)(one - waiters);
    return NULL;
}
static void start(int number, uint32_t *word, const uint32_t *bits) {
    woken = 0;
    for (int i = 0; i < number; i++) {
        waiters[i].word = word, waiters[i].bits = bits ? bits[i] : ~0u, waiters[i].coming = 0;
        pthread_create(&waiters[i].thread, NULL, wait_there, &waiters[i]);
        while (!__atomic_load_n(&waiters[i].coming, __ATOMIC_ACQUIRE))
            pass_time(MS);
        pass_time(20 * MS);
    }
}
static void until_woken(int number) {
    while (__atomic_load_n(&woken, __ATOMIC_ACQUIRE) < number)
        pass_time(MS);
    pass_time(5 * MS);
}
static void join(int number) {
    long sum = 0;
    for (int i = 0; i < number; i++) {
        pthread_join(waiters[i].thread, NULL);
        sum += waiters[i].result;
    }
    say("all woken %d, results %ld", woken, sum);
}

static void wakes(void) {
    TRY("nobody waits", futex(words, WAKE | PRIVATE, 1, NULL, NULL, 0));
    start(7, words, NULL);
    for (int i = 0; i < 3; i++) {
        TRY("wake one", futex(words, WAKE | PRIVATE, 1, NULL, NULL, 0));
        until_woken(i + 1);
        say("it was %d", order[i]);
    }
    TRY("wake none, which is one", futex(words, WAKE | PRIVATE, 0, NULL, NULL, 0));
    until_woken(4);
    say("it was %d", order[3]);
    TRY("wake two", futex(words, WAKE | PRIVATE, 2, NULL, NULL, 0));
    until_woken(6);
    say("they were %d", order[4] + order[5]);
    TRY("wake all", futex(words, WAKE | PRIVATE, INT_MAX, NULL, NULL, 0));
    join(7);
    start(3, words, NULL);
    TRY("wake a negative number", futex(words, WAKE | PRIVATE, -1, NULL, NULL, 0));
    until_woken(1);
    say("it was %d", order[0]);
    TRY("wake all", futex(words, WAKE | PRIVATE, 100, NULL, NULL, 0));
    join(3);
}

static void bitsets(void) {
    const uint32_t bits[] = {1, 2, 4, 2, 0x80000000, 7};
    start(6, words, bits);
    TRY("bit 8", futex(words, WAKE_BITSET | PRIVATE, INT_MAX, NULL, NULL, 8));
    TRY("bit 2, one", futex(words, WAKE_BITSET | PRIVATE, 1, NULL, NULL, 2));
    until_woken(1);
    say("it was %d", order[0]);
    TRY("bit 4", futex(words, WAKE_BITSET | PRIVATE, INT_MAX, NULL, NULL, 4));
    until_woken(3);
    say("they were %d", order[1] + order[2]);
    TRY("the highest bit", futex(words, WAKE_BITSET | PRIVATE, INT_MAX, NULL, NULL, 0x80000000));
    until_woken(4);
    say("it was %d", order[3]);
    TRY("no bits", futex(words, WAKE_BITSET | PRIVATE, INT_MAX, NULL, NULL, 0));
    TRY("wait for no bits", futex(words, WAIT_BITSET | PRIVATE, 0, NULL, NULL, 0));
    TRY("wake any", futex(words, WAKE | PRIVATE, INT_MAX, NULL, NULL, 0));
    join(6);
}

static void requeues(void) {
    void *two = (void *)2;
    start(6, &words[0], NULL);
    TRY("another value", futex(&words[0], CMP_REQUEUE | PRIVATE, 1, two, &words[1], 7));
    TRY("wake one, move two", futex(&words[0], CMP_REQUEUE | PRIVATE, 1, two, &words[1], 0));
    until_woken(1);
    say("it was %d", order[0]);
    TRY("wake one of the moved", futex(&words[1], WAKE | PRIVATE, 1, NULL, NULL, 0));
    until_woken(2);
    say("it was %d", order[1]);
    TRY("without a look", futex(&words[0], REQUEUE | PRIVATE, 0, two, &words[1], 0));
    TRY("wake the rest here", futex(&words[0], WAKE | PRIVATE, INT_MAX, NULL, NULL, 0));
    until_woken(3);
    say("it was %d", order[2]);
    for (int i = 3; i < 6; i++) {
        TRY("wake one of the moved", futex(&words[1], WAKE | PRIVATE, 1, NULL, NULL, 0));
        until_woken(i + 1);
        say("it was %d", order[i]);
    }
    join(6);
    start(2, &words[0], NULL);
    TRY("onto itself", futex(&words[0], CMP_REQUEUE | PRIVATE, 0, two, &words[0], 0));
    TRY("wake all, move all", futex(&words[0], CMP_REQUEUE | PRIVATE, INT_MAX, two, &words[1], 0));
    join(2);
    TRY("negative", futex(&words[0], CMP_REQUEUE | PRIVATE, -1, two, &words[1], 0));
    TRY("move a negative number", futex(&words[0], CMP_REQUEUE | PRIVATE, 1, (void *)-1L, &words[1], 0));
    TRY("bad first", futex((void *)8, CMP_REQUEUE | PRIVATE, 1, two, &words[1], 0));
    TRY("odd second", futex(&words[0], CMP_REQUEUE | PRIVATE, 1, two, (char *)&words[1] + 1, 0));
}

#define OPERATION(op, argument, comparison, with) \
    ((uint32_t)(op) << 28 | (comparison) << 24 | ((argument) & 0xfff) << 12 | ((with) & 0xfff))

static void operations(void) {
    const char *names[] = {"set", "add", "or", "andn", "xor"};
    for (int op = 0; op < 5; op++) {
        words[1] = 12;
        long result = futex(&words[0], WAKE_OP | PRIVATE, 1, NULL, &words[1], OPERATION(op, 10, 0, 0));
        say("%s 10 to 12 = %ld: %u", names[op], result, words[1]);
        words[1] = 12;
        futex(&words[0], WAKE_OP | PRIVATE, 1, NULL, &words[1], OPERATION(op, -1, 0, 0));
        say("%s -1: %x", names[op], words[1]);
        words[1] = 12;
        futex(&words[0], WAKE_OP | PRIVATE, 1, NULL, &words[1], OPERATION(op | 8, 5, 0, 0));
        say("%s 1 << 5: %u", names[op], words[1]);
    }
    const char *comparisons[] = {"==", "!=", "<", "<=", ">", ">="};
    for (int comparison = 0; comparison < 6; comparison++)
        for (int old = 4; old < 7; old++) {
            /* One waiter on the second word: woken if the old value compares. */
            words[1] = 0;
            start(1, &words[1], NULL);
            words[1] = old;
            long result = futex(&words[0], WAKE_OP | PRIVATE, 1, (void *)1, &words[1], OPERATION(0, 0, comparison, 5));
            say("%d %s 5: %ld", old, comparisons[comparison], result);
            futex(&words[1], WAKE | PRIVATE, 1, NULL, NULL, 0);
            pthread_join(waiters[0].thread, NULL);
        }
    words[0] = words[1] = 0;
    start(3, &words[0], NULL);
    TRY("wakes of the first word", futex(&words[0], WAKE_OP | PRIVATE, 2, (void *)5, &words[1], OPERATION(1, 1, 1, 0)));
    until_woken(2);
    TRY("both words", futex(&words[1], WAKE_OP | PRIVATE, 5, (void *)5, &words[0], OPERATION(1, 0, 0, 0)));
    join(3);
    TRY("odd operation", futex(&words[0], WAKE_OP | PRIVATE, 1, NULL, &words[1], OPERATION(5, 0, 0, 0)));
    TRY("odd comparison", futex(&words[0], WAKE_OP | PRIVATE, 1, NULL, &words[1], OPERATION(0, 0, 6, 0)));
    TRY("bad second", futex(&words[0], WAKE_OP | PRIVATE, 1, NULL, (void *)8, OPERATION(0, 0, 0, 0)));
    TRY("odd second", futex(&words[0], WAKE_OP | PRIVATE, 1, NULL, (char *)&words[1] + 2, OPERATION(0, 0, 0, 0)));
}

static void timeouts(void) {
    struct timespec some = {0, 20 * MS}, none = {0, 0};
    begin(), end("wait", futex(words, WAIT | PRIVATE, 0, &some, NULL, 0), 20 * MS);
    say("time untouched %ld", some.tv_nsec / (long)MS);
    begin(), end("no time", futex(words, WAIT | PRIVATE, 0, &none, NULL, 0), 0);
    begin(), end("another value", futex(words, WAIT | PRIVATE, 1, &some, NULL, 0), 0);
    begin(), end("realtime", futex(words, WAIT | PRIVATE | ON_REALTIME, 0, &some, NULL, 0), 20 * MS);
    begin();
    struct timespec at = in(CLOCK_MONOTONIC, 20 * MS);
    end("at an instant", futex(words, WAIT_BITSET | PRIVATE, 0, &at, NULL, ~0u), 20 * MS);
    begin(), end("that is over", futex(words, WAIT_BITSET | PRIVATE, 0, &at, NULL, ~0u), 0);
    begin();
    at = in(CLOCK_REALTIME, 20 * MS);
    end("of the calendar", futex(words, WAIT_BITSET | PRIVATE | ON_REALTIME, 0, &at, NULL, ~0u), 20 * MS);
    const struct timespec odd[] = {{-1, 0}, {0, -1}, {0, 1000000000}};
    for (int i = 0; i < 3; i++)
        say("odd time = %ld %ld", futex(words, WAIT | PRIVATE, 0, &odd[i], NULL, 0),
            futex(words, WAIT_BITSET | PRIVATE, 0, &odd[i], NULL, ~0u));
    TRY("odd time and another value", futex(words, WAIT | PRIVATE, 1, &odd[0], NULL, 0));
    TRY("bad time", futex(words, WAIT | PRIVATE, 0, (void *)8, NULL, 0));
    TRY("a wake has no time", futex(words, WAKE | PRIVATE, 0, (void *)8, NULL, 0));
}

static void errors(void) {
    uint32_t *hole = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct timespec none = {0, 0};
    mprotect(hole, 4096, PROT_NONE);
    munmap(hole + 1024, 4096);
    TRY("odd address", futex((char *)words + 1, WAIT | PRIVATE, 0, &none, NULL, 0));
    TRY("wake at an odd address", futex((char *)words + 2, WAKE | PRIVATE, 1, NULL, NULL, 0));
    TRY("low address", futex((void *)8, WAIT | PRIVATE, 0, &none, NULL, 0));
    TRY("wake at a low address", futex((void *)8, WAKE | PRIVATE, 1, NULL, NULL, 0));
    TRY("wake at a low address, shared", futex((void *)8, WAKE, 1, NULL, NULL, 0));
    TRY("nowhere", futex(hole + 1024, WAIT | PRIVATE, 0, &none, NULL, 0));
    TRY("nowhere, shared", futex(hole + 1024, WAIT, 0, &none, NULL, 0));
    TRY("not readable", futex(hole, WAIT | PRIVATE, 0, &none, NULL, 0));
    TRY("not readable, shared", futex(hole, WAIT, 0, &none, NULL, 0));
    TRY("the kernel's", futex((void *)-4096L, WAIT | PRIVATE, 0, &none, NULL, 0));
    TRY("wake at the kernel's", futex((void *)-4096L, WAKE | PRIVATE, 1, NULL, NULL, 0));
    mprotect(hole, 4096, PROT_READ);
    TRY("readable", futex(hole, WAIT | PRIVATE, 0, &none, NULL, 0));
    TRY("readable, shared", futex(hole, WAIT, 0, &none, NULL, 0));
    const int odd[] = {2, 14, 127, WAKE | ON_REALTIME, CMP_REQUEUE | ON_REALTIME, WAKE | 512, 1 << 30};
    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++)
        say("operation %d = %ld", odd[i], futex(words, odd[i], 0, &none, words, 0));
}

static volatile int alarms;
static void on_alarm(int signal) { alarms += signal == SIGALRM; }
static void *wake_late(void *argument) {
    (void)argument;
    pass_time(70 * MS);
    /* While the handler runs, nobody waits. */
    while (futex(words, WAKE | PRIVATE, 1, NULL, NULL, 0) == 0)
        pass_time(MS);
    return NULL;
}
static void alarms_at(int interval_us, int flags) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, interval_us}, {0, interval_us}}, NULL);
}

static void interrupted(void) {
    struct timespec some = {1000, 0};
    alarms_at(20000, 0);
    TRY("wait", futex(words, WAIT | PRIVATE, 0, NULL, NULL, 0));
    TRY("wait with a time", futex(words, WAIT | PRIVATE, 0, &some, NULL, 0));
    alarms_at(20000, SA_RESTART);
    TRY("with a time, never restarted", futex(words, WAIT | PRIVATE, 0, &some, NULL, 0));
    alarms_at(0, SA_RESTART);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGALRM);
    pthread_t thread;
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    pthread_create(&thread, NULL, wake_late, NULL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    alarms = 0;
    alarms_at(20000, SA_RESTART);
    TRY("restarted", futex(words, WAIT | PRIVATE, 0, NULL, NULL, 0));
    alarms_at(0, 0);
    say("alarms %d", alarms > 0);
    pthread_join(thread, NULL);
}

int main(int count, char **arguments) {
    const struct part parts[] = {{"wakes", wakes},           {"bitsets", bitsets},   {"requeues", requeues},
                 {"operations", operations}, {"timeouts", timeouts}, {"errors", errors},
                 {"interrupted", interrupted}, {NULL, NULL}};
    return run_part(parts, count, arguments);
}
