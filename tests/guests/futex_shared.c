/* Futexes in shared memory, waits for several at once, and words that a death clears.
 *
 * The part to show comes in; a line for each call goes out. Always true: a waiter says that it comes, and is
 * woken some milliseconds later. Waits within one process are in futexes.c. */
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define WAIT 0
#define WAKE 1
#define PRIVATE 128
#define SIZE_U32 2

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static long futex(void *word, int operation, uint32_t value, const void *timeout, void *other, uint32_t more) {
    return raw(SYS_futex, word, operation, value, timeout, other, more);
}
static void until(volatile int *flag) {
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
        pass_time(MS);
}
static void set(volatile int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }

/* Wake until somebody was there: a waiter that says it comes may not wait yet. */
static long wake(uint32_t *word, int flags) {
    pass_time(20 * MS);
    return futex(word, WAKE | flags, INT_MAX, NULL, NULL, 0);
}

struct page {
    uint32_t word, another;
    volatile int coming;
    long result;
    struct {
        void *next;
        long offset;
        void *pending;
    } head;
    struct {
        void *next;
        uint32_t word;
    } entry;
};

static struct page *share(void) {
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void processes(void) {
    struct page *page = share();
    struct timespec some = {1, 0};
    int status;
    pid_t child = fork();
    if (child == 0) {
        set(&page->coming);
        _exit(futex(&page->word, WAIT, 0, NULL, NULL, 0) != 0);
    }
    until(&page->coming);
    pass_time(20 * MS);
    TRY("a private wake", futex(&page->word, WAKE | PRIVATE, INT_MAX, NULL, NULL, 0));
    TRY("another word", wake(&page->another, 0));
    TRY("a shared wake", wake(&page->word, 0));
    waitpid(child, &status, 0);
    say("status %x", status);
    /* A wait that is private is found by nobody else. */
    page->coming = 0;
    child = fork();
    if (child == 0) {
        set(&page->coming);
        _exit(futex(&page->word, WAIT | PRIVATE, 0, &some, NULL, 0) == -ETIMEDOUT ? 3 : 4);
    }
    until(&page->coming);
    TRY("a private wait", wake(&page->word, 0));
    waitpid(child, &status, 0);
    say("status %x", status);
    /* Private memory is copied: the same address, another word. */
    uint32_t own = 0;
    child = fork();
    if (child == 0)
        _exit(wake(&own, 0));
    some = (struct timespec){0, 100 * MS};
    TRY("a wait in private memory", futex(&own, WAIT, 0, &some, NULL, 0));
    waitpid(child, &status, 0);
    say("status %x", status);
}

static uint32_t *first_place, *second_place;
static volatile int coming;
static void *wait_at_first(void *flags) {
    set(&coming);
    return (void *)futex(first_place, WAIT | (int)(intptr_t)flags, 0, NULL, NULL, 0);
}

static void show_places(const char *name) {
    pthread_t thread;
    void *result;
    say("%s", name);
    coming = 0;
    pthread_create(&thread, NULL, wait_at_first, NULL);
    until(&coming);
    TRY("private, elsewhere", wake(second_place, PRIVATE));
    TRY("another word there", wake(second_place + 1, 0));
    TRY("elsewhere", wake(second_place, 0));
    pthread_join(thread, &result);
    say("result %ld", (long)(intptr_t)result);
    coming = 0;
    pthread_create(&thread, NULL, wait_at_first, (void *)PRIVATE);
    until(&coming);
    TRY("elsewhere", wake(second_place, 0));
    TRY("here, shared", wake(first_place, 0));
    TRY("here", wake(first_place, PRIVATE));
    pthread_join(thread, &result);
    say("result %ld", (long)(intptr_t)result);
}

static void places(void) {
    int file = open("file", O_RDWR | O_CREAT, 0600), memory = memfd_create("m", 0);
    ftruncate(file, 8192), ftruncate(memory, 8192);
    first_place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 4096);
    second_place = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    second_place += 1024;
    show_places("a file");
    first_place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    second_place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    show_places("memory");
    int status, other = fork();
    if (other == 0) {
        coming = 0;
        _exit((int)(intptr_t)wait_at_first(NULL));
    }
    second_place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    while (wake(second_place, 0) != 1) {
    }
    waitpid(other, &status, 0);
    say("a child: status %x", status);
}

/* Several at once. */
struct waitv {
    uint64_t value, word;
    uint32_t flags, reserved;
};
static uint32_t words[130];
static struct waitv vector[130];
static volatile long found;

static long wait_for(unsigned number, unsigned flags, const void *at, int clock) {
    return raw(SYS_futex_waitv, vector, number, flags, at, clock);
}
static void *wait_vector(void *number) {
    set(&coming);
    found = wait_for((int)(intptr_t)number, 0, NULL, 0);
    return NULL;
}
static struct timespec in(clockid_t clock, int64_t ns) {
    int64_t at = clock_ns(clock) + ns;
    return (struct timespec){at / 1000000000, at % 1000000000};
}

static void vectors(void) {
    for (int i = 0; i < 130; i++)
        vector[i] = (struct waitv){0, (uintptr_t)&words[i], SIZE_U32 | PRIVATE, 0};
    const int numbers[] = {1, 3, 128}, turns[] = {0, 1, 100};
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        coming = 0;
        pthread_create(&thread, NULL, wait_vector, (void *)(intptr_t)numbers[i]);
        until(&coming);
        say("of %d = %ld", numbers[i], wake(&words[turns[i]], PRIVATE));
        pthread_join(thread, NULL);
        say("it was %ld", found);
        TRY("none is left", wake(&words[0], PRIVATE));
    }
    struct timespec at = in(CLOCK_MONOTONIC, 20 * MS), odd = {0, -1};
    int64_t began = clock_ns(CLOCK_MONOTONIC);
    TRY("until an instant", wait_for(3, 0, &at, CLOCK_MONOTONIC));
    say("not early %d", clock_ns(CLOCK_MONOTONIC) - began >= 15 * MS);
    at = in(CLOCK_REALTIME, 20 * MS);
    TRY("of the calendar", wait_for(3, 0, &at, CLOCK_REALTIME));
    TRY("odd clock", wait_for(3, 0, &at, CLOCK_BOOTTIME));
    TRY("odd time", wait_for(3, 0, &odd, CLOCK_MONOTONIC));
    TRY("bad time", wait_for(3, 0, (void *)8, CLOCK_MONOTONIC));
    TRY("odd flags", wait_for(3, 1, &at, CLOCK_MONOTONIC));
    TRY("none", wait_for(0, 0, &at, CLOCK_MONOTONIC));
    TRY("too many", wait_for(129, 0, &at, CLOCK_MONOTONIC));
    TRY("no list", raw(SYS_futex_waitv, NULL, 3, 0, NULL, 0));
    TRY("bad list", raw(SYS_futex_waitv, 8, 3, 0, NULL, 0));
    words[1] = 5;
    TRY("another value", wait_for(3, 0, NULL, 0));
    words[1] = 0;
    vector[2].reserved = 1;
    TRY("reserved", wait_for(3, 0, NULL, 0));
    vector[2].reserved = 0, vector[2].flags = PRIVATE;
    TRY("another size", wait_for(3, 0, NULL, 0));
    vector[2].flags = SIZE_U32 | 1 << 20;
    TRY("unknown flags", wait_for(3, 0, NULL, 0));
    vector[2].flags = SIZE_U32, vector[2].word = 8;
    TRY("bad address", wait_for(3, 0, NULL, 0));
    vector[2].word = (uintptr_t)words + 1;
    TRY("odd address", wait_for(3, 0, NULL, 0));
}

/* A thread without a library: its word is cleared and woken when it ends. */
static long start_bare(unsigned long flags, void *top, void (*body)(void *), void *argument, int *word) {
    void **stack = top;
    long result;
    *--stack = argument;
    *--stack = (void *)body;
    register int *child_word __asm__("r10") = word;
    __asm__ volatile("syscall\n\t"
                     "test %%eax, %%eax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "pop %%rax\n\t"
                     "pop %%rdi\n\t"
                     "call *%%rax\n\t"
                     "xor %%edi, %%edi\n\t"
                     "mov $60, %%eax\n\t"
                     "syscall\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone), "D"(flags), "S"(stack), "d"(word), "r"(child_word)
                     : "rcx", "r11", "memory");
    return result;
}

static volatile int bare_ran;
static void bare_body(void *argument) {
    /* No thread-local data of its own: nothing of the library's but plain calls. */
    pass_time(20 * MS);
    bare_ran = (int)(intptr_t)argument;
}

static void cleared(void) {
    const unsigned long thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int word = 77;
    const unsigned long flags = thread | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    long tid = start_bare(flags, stack + 65536, bare_body, (void *)5, &word);
    say("started %d, the word is its number %d", tid > 0, word == tid || word == 0);
    long seen = word;
    while (word != 0)
        futex(&word, WAIT, seen, NULL, NULL, 0);
    say("cleared, ran %d", bare_ran);
    TRY("set_tid_address", raw(SYS_set_tid_address, &word) == raw_result(syscall(SYS_gettid)));
    int *both = (int *)share();
    *both = 9;
    if (fork() == 0) {
        /* Nobody shares the memory map: nothing is cleared. */
        raw(SYS_set_tid_address, both);
        _exit(0);
    }
    wait(NULL);
    say("of a process that shares no memory map: %d", *both);
}

int main(int count, char **arguments) {
    const struct part parts[] = {{"processes", processes}, {"places", places}, {"vectors", vectors}, {"cleared", cleared},
                                 {NULL, NULL}};
    return run_part(parts, count, arguments);
}
