/* Breaks the rules of the memory that it shares with its simulator: writes over it, and says what nobody may say.
 *
 *   hostile garbage SEED PLACE BYTES PATTERN COUNT THEN
 *       overwrites so many bytes (COUNT 0), or COUNT words among them, from PLACE on: an address, or "thread+N" or
 *       "process+N", N bytes into the own block; with what PATTERN says, or is, if it is a number; then does what THEN says
 *   hostile forge SEED COUNT CONTROL REQUEST REPLY DATA BATON
 *       says COUNT things that its shim never says: the places of a thread block's parts, and the baton's address or 0
 *
 * A child and a thread of it wait meanwhile. Where the shared memory is laid out how is the test's to say. */
#include "check.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* Of <linux/futex.h>, which one of the C libraries does not have. */
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1 };

static uint64_t state;
static int waited_for[2];

/* SplitMix64. */
static uint64_t next(void) {
    uint64_t mixed = state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static uint64_t below(uint64_t end) { return next() % end; }

/* A function of the library that was loaded into this process. */
static void *of_library(const char *name) {
    void *function = dlsym(RTLD_DEFAULT, name);
    if (!function)
        abort();
    return function;
}

static char *block(const char *name) { return ((char *(*)(void))of_library(name))(); }

static char *place(const char *text) {
    const char *plus = strchr(text, '+');
    if (!plus)
        return (char *)(uintptr_t)strtoull(text, NULL, 0);
    return block(*text == 't' ? "shim_threadSharedMem" : "shim_processSharedMem") + strtoull(plus, NULL, 0);
}

/* A value that somebody may have forgotten. */
static uint64_t edge(void) {
    static const uint64_t edges[] = {0, 1, 2, 3, 7, 8, 64, 1023, 1024, 2048, 4095, 4096, 65536,
                                     0x7fffffff, 0x80000000, 0xffffffff, 0xffff, UINT64_C(1) << 32,
                                     UINT64_C(0x7fffffffffffffff), UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 7};
    return edges[below(sizeof edges / sizeof *edges)];
}

static uint64_t garbage(const char *pattern, uint64_t was) {
    if (*pattern >= '0' && *pattern <= '9')
        return strtoull(pattern, NULL, 10);
    if (!strcmp(pattern, "ones"))
        return UINT64_MAX;
    if (!strcmp(pattern, "zeros"))
        return 0;
    if (!strcmp(pattern, "flip"))
        return was ^ UINT64_C(1) << below(64);
    if (!strcmp(pattern, "edges"))
        return below(2) ? edge() : (edge() << 32) | (uint32_t)edge();
    return next();
}

static struct {
    char *at;
    size_t bytes;
    const char *pattern;
    long count;
} order;

static void spoil(long count) {
    volatile char *at = order.at;
    if (order.bytes < 8) {
        uint32_t word = *(volatile uint32_t *)at;
        *(volatile uint32_t *)at = (uint32_t)garbage(order.pattern, word);
        return;
    }
    size_t words = order.bytes / 8;
    volatile uint64_t *to = (volatile uint64_t *)at;
    for (size_t i = 0; count == 0 && i < words; i++)
        to[i] = garbage(order.pattern, to[i]);
    for (long i = 0; i < count; i++) {
        volatile uint64_t *word = &to[below(words)];
        *word = garbage(order.pattern, *word);
    }
}

/* Calls of all routes. */
static void calls(void) {
    int ends[2];
    char bytes[100] = {0};
    nanosleep(&(struct timespec){0, 10000}, NULL);
    if (pipe(ends) == 0) {
        (void)!write(ends[1], bytes, sizeof bytes);
        (void)!read(ends[0], bytes, sizeof bytes);
        close(ends[0]), close(ends[1]);
    }
    clock_ns(CLOCK_REALTIME);
    getppid(), getpgrp(), sched_yield();
    int file = open("garbage", O_CREAT | O_WRONLY | O_TRUNC, 0600);
    (void)!write(file, bytes, sizeof bytes);
    close(file), unlink("garbage");
    kill(getpid(), 0);
}

static void *waits(void *unused) {
    char byte;
    (void)!read(waited_for[0], &byte, 1);
    return unused;
}

/* A native thread that no simulator knows of writes all the time. */
static void spoils_for_ever(void) {
    for (;;) {
        spoil(1);
        for (volatile int i = 0; i < 300; i++)
            ;
    }
}

/* The shim's own place for system calls, from which they are native, whoever calls: "syscall; pop %rbx; ret". */
static uintptr_t gate;

static int look_for_gate(struct dl_phdr_info *object, size_t size, void *function) {
    static const unsigned char code[] = {0x0f, 0x05, 0x5b, 0xc3};
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) || (uintptr_t)function - start >= part->p_memsz)
            continue;
        gate = (uintptr_t)memmem((void *)start, part->p_memsz, code, sizeof code);
    }
    return gate != 0;
}

long native_at(uintptr_t gate, long number, long a, long b, long c, long d);
__asm__(".text\n"
        "native_at:\n"
        "mov %rdi, %r11\n"
        "mov %rsi, %rax\n"
        "mov %rdx, %rdi\n"
        "mov %rcx, %rsi\n"
        "mov %r8, %rdx\n"
        "mov %r9, %r10\n"
        "xor %r8d, %r8d\n"
        "push %rbx\n" /* which the gate takes back */
        "jmp *%r11\n");

static long native(long number, long a, long b, long c, long d) {
    if (!gate)
        dl_iterate_phdr(look_for_gate, of_library("shim_threadSharedMem"));
    if (!gate)
        abort();
    return native_at(gate, number, a, b, c, d);
}

static void race(void) {
    static uintptr_t stack[8192];
    int flags = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM;
    /* The gate takes a register from there, and returns to the function. */
    stack[8001] = (uintptr_t)spoils_for_ever;
    if (native(SYS_clone, flags, (long)&stack[8000], 0, 0) < 0)
        abort();
    for (int i = 0; i < 200; i++)
        calls();
}

static void then(const char *what) {
    if (!strcmp(what, "exit"))
        exit(0);
    if (!strcmp(what, "die"))
        native(SYS_kill, native(SYS_getpid, 0, 0, 0, 0), SIGKILL, 0, 0);
    if (!strcmp(what, "crash"))
        *(volatile int *)8 = 0;
    if (!strcmp(what, "wake"))
        (void)!write(waited_for[1], "ab", 2);
    if (!strcmp(what, "fork") && fork() == 0)
        _exit(0);
    pthread_t thread;
    if (!strcmp(what, "thread") && pthread_create(&thread, NULL, waits, NULL) == 0)
        (void)!write(waited_for[1], "a", 1), pthread_join(thread, NULL);
    if (!strcmp(what, "execute"))
        execl("/bin/true", "true", NULL);
    if (!strcmp(what, "race"))
        race();
    for (int i = 0; i < 20; i++)
        calls();
    exit(0);
}

/* Somebody else who waits: whose blocks are in use, too. */
static void make_company(void) {
    pthread_t thread;
    if (pipe(waited_for) || pthread_create(&thread, NULL, waits, NULL))
        abort();
    if (fork() == 0)
        waits(NULL), _exit(0);
    calls();
}

static uint64_t argument(char *memory) {
    switch (below(8)) {
    case 0: return (uint64_t)(uintptr_t)memory;
    case 1: return (uint64_t)(uintptr_t)memory + below(8192);
    case 2: return edge();
    case 3: return next();
    case 4: return below(70);
    case 5: return UINT64_MAX - below(200);
    default: return below(9);
    }
}

static void forge(char **words) {
    char *thread = block("shim_threadSharedMem");
    long count = atol(words[3]);
    _Atomic uint32_t *control = (void *)(thread + atol(words[4]));
    volatile uint64_t *request = (void *)(thread + atol(words[5])), *reply = (void *)(thread + atol(words[6]));
    volatile uint64_t *data = (void *)(thread + atol(words[7]));
    _Atomic uint32_t *baton = (void *)(uintptr_t)strtoull(words[8], NULL, 0);
    char *memory = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t answer = 0;
    for (long i = 0; i < count; i++) {
        for (int j = 0; j < 8192; j += 8)
            *(uint64_t *)(memory + j) = below(3) ? below(5) : below(2) ? edge() : next();
        uint64_t number = below(10) ? below(460) : UINT64_C(0x10000) + below(0x16);
        uint64_t tag = below(30) ? 2 : below(14);
        /* What was asked for is answered, more or less. */
        if ((answer & 0xffffffff) == 3 && below(4)) {
            if (answer >> 32 == 60 || answer >> 32 == 231)
                native(SYS_exit_group, 1, 0, 0, 0);
            tag = 3, number = 0;
        }
        if ((answer & 0xffffffff) == 4 && below(4))
            tag = 4, number = 0;
        if ((answer & 0xffffffff) == 5)
            native(SYS_exit_group, 2, 0, 0, 0);
        request[0] = tag | number << 32;
        for (int j = 1; j < 7; j++)
            request[j] = argument(memory);
        request[7] = below(60) ? 0 : below(2) ? below(40) * 8 : edge();
        for (int j = 0; j < 40; j++)
            data[j] = below(2) ? below(40) : argument(memory);
        atomic_exchange(control, 1);
        native(SYS_futex, (long)control, FUTEX_WAKE, 9, 0);
        if (baton) {
            atomic_fetch_or(baton, 1);
            native(SYS_futex, (long)baton, FUTEX_WAKE, 9, 0);
        }
        uint32_t seen;
        while ((seen = atomic_load(control)) & 1) {
            struct timespec pause = {0, 2000000};
            native(SYS_futex, (long)control, FUTEX_WAIT, seen, (long)&pause);
        }
        if (seen & 4)
            native(SYS_exit_group, 3, 0, 0, 0);
        answer = reply[0];
    }
    native(SYS_exit_group, 0, 0, 0, 0);
}

int main(int count, char **words) {
    if (count < 3)
        return 2;
    state = strtoull(words[2], NULL, 0);
    make_company();
    if (!strcmp(words[1], "forge") && count == 9)
        forge(words);
    if (strcmp(words[1], "garbage") || count != 8)
        return 2;
    order.at = place(words[3]);
    order.bytes = strtoull(words[4], NULL, 0);
    order.pattern = words[5];
    order.count = atol(words[6]);
    spoil(order.count);
    then(words[7]);
}
