/* Reading the processor's time stamp counter in every kind of code: the program's own, that of a library which is
 * loaded late, and code that the program writes itself, in several threads.
 *
 * The path of a library with a function read_counter() may come in; a line for each kind goes out. Always true: a
 * reading lies between the readings before and after it, whoever makes them. */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <x86intrin.h>

static uint64_t written_counter(void) {
    static const unsigned char code[] = {0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0xc3};
    static uint64_t (*function)(void);
    if (!function) {
        void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(memory, code, sizeof code);
        mprotect(memory, 4096, PROT_READ | PROT_EXEC);
        function = (uint64_t (*)(void))memory;
    }
    return function();
}

static uint64_t own_counter(void) { return __rdtsc(); }

static uint64_t own_counter_and_cpu(void) {
    unsigned cpu;
    return __rdtscp(&cpu);
}

static uint64_t serialized_counter(void) {
    unsigned a = 0, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return __rdtsc();
}

static int agree(uint64_t (*one)(void), uint64_t (*other)(void)) {
    uint64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t a = one(), b = other(), c = one();
        /* Counters of two processors may differ a little. */
        if (a + 100000 < last || b + 100000 < a || c + 100000 < b)
            return 0;
        last = c;
    }
    return 1;
}

static int passes(uint64_t (*counter)(void)) {
    uint64_t before = counter();
    pass_time(20000000);
    return counter() - before > 1000000;
}

static volatile int has_written;

static void *in_a_thread(void *unused) {
    (void)unused;
    while (!has_written)
        pass_time(1000000);
    return (void *)(long)(agree(own_counter, written_counter) && passes(own_counter));
}

int main(int argc, char **argv) {
    say("own: %d %d", agree(own_counter, own_counter_and_cpu), passes(own_counter));
    say("serialized: %d", agree(own_counter, serialized_counter));
    /* Again and again, at the same address. */
    for (int i = 0; argc > 1 && i < 3; i++) {
        void *library = dlopen(argv[1], RTLD_NOW);
        uint64_t (*late)(void) = library ? (uint64_t (*)(void))dlsym(library, "read_counter") : NULL;
        say("late: %d", late && agree(own_counter, late) && passes(late));
        say("closed: %d", library && dlclose(library) == 0);
    }
    pthread_t thread;
    pthread_create(&thread, NULL, in_a_thread, NULL);
    say("written: %d %d", agree(own_counter, written_counter), passes(written_counter));
    has_written = 1;
    void *is_right;
    pthread_join(thread, &is_right);
    say("in a thread: %ld", (long)is_right);
    if (fork() == 0)
        _exit(agree(own_counter, written_counter) && passes(written_counter) ? 7 : 1);
    int status;
    wait(&status);
    say("in a child: %d", WEXITSTATUS(status));
    return 0;
}
