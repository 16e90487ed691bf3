/*
 * Steps through system calls instruction by instruction and unwinds from each one that stands in a stub: by the
 * image's call frame information, to the function whose site it is, and on to main.
 *
 * Always true: from every instruction of a stub the next frame is at the instruction of the original that the
 * image's table of places names. Prints one line, and fails where a frame is missing. The test is programs.rs,
 * which preloads guest.c.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

struct part {
    uint32_t offset, count;
};

struct place {
    int32_t place, original;
    uint32_t len_bytes;
};

/* The end of the image's header. */
struct parts {
    struct part stubs, places, displaced, traps, unwind;
};

extern void __register_frame(void *);

static const char *area;
static const struct parts *parts;
static char *in_main;
static unsigned stepped, failed, differing_places;

struct walk {
    uintptr_t stub, original;
    int is_next, has_original, has_main;
};

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *data)
{
    struct walk *walk = data;
    uintptr_t ip = _Unwind_GetIP(context);
    if (walk->is_next) {
        walk->has_original = ip == walk->original;
        walk->is_next = 0;
    }
    if (ip == walk->stub)
        walk->is_next = 1;
    if (_Unwind_FindEnclosingFunction((void *)(ip - 1)) == in_main)
        walk->has_main = 1;
    return _URC_NO_REASON;
}

static void on_step(int signal, siginfo_t *info, void *context)
{
    static uintptr_t last;
    uintptr_t rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    uintptr_t offset = rip - (uintptr_t)area;
    const struct place *places = (const void *)(area + parts->places.offset);
    (void)signal, (void)info;
    if (offset - parts->stubs.offset >= parts->stubs.count)
        return;
    struct walk walk = {.stub = rip};
    for (uint32_t i = 0; i < parts->places.count; i++)
        if (offset - places[i].place < places[i].len_bytes)
            walk.original = (uintptr_t)area + places[i].original;
    _Unwind_Backtrace(on_frame, &walk);
    stepped++;
    differing_places += walk.original != last;
    last = walk.original;
    if (!walk.has_original || !walk.has_main)
        failed++;
}

#define TRAP_FLAG "0x100"

static void step(void)
{
    __asm__ volatile("pushfq; orq $" TRAP_FLAG ", (%%rsp); popfq" ::: "memory", "cc");
}

static void walk_on(void)
{
    __asm__ volatile("pushfq; andq $~" TRAP_FLAG ", (%%rsp); popfq" ::: "memory", "cc");
}

int main(void)
{
    const char *const *areas = dlsym(RTLD_DEFAULT, "test_areas");
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    struct timespec zero = {0, 0};
    struct stat status;
    char buffer[8];
    pthread_barrier_t barrier;
    if (!areas || !areas[0])
        return puts("no image"), 1;
    in_main = _Unwind_FindEnclosingFunction(__builtin_extract_return_addr(&&here));
here:
    area = areas[0];
    parts = (const void *)(area + HEADER_BYTES - sizeof(*parts));
    __register_frame((void *)(area + parts->unwind.offset));
    sigaction(SIGTRAP, &action, 0);
    pthread_barrier_init(&barrier, 0, 1);
    int ends[2];
    if (pipe(ends) != 0)
        return 1;

    step();
    getppid();
    getuid();
    sched_yield();
    poll(0, 0, 0);
    nanosleep(&zero, 0);
    (void)!write(ends[1], "12345678", 8);
    (void)!read(ends[0], buffer, sizeof(buffer));
    (void)!pread(-1, buffer, 1, 0);
    fstat(0, &status);
    stat("/", &status);
    open("/nowhere", O_RDONLY);
    socket(-1, -1, -1);
    send(-1, 0, 0, 0);
    writev(-1, 0, 0);
    mprotect(0, 0, 0);
    fcntl(0, F_GETFL);
    sigprocmask(SIG_BLOCK, 0, 0);
    pthread_barrier_wait(&barrier);
    pthread_kill(pthread_self(), 0);
    sbrk(0);
    lseek(-1, 0, 0);
    fsync(-1);
    alarm(0);
    usleep(0);
    clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &zero, 0);
    walk_on();

    if (stepped < 60 || differing_places < 40)
        failed = 1000;
    printf("%s: %u steps, %u places, %u failed\n", failed ? "bad" : "good", stepped, differing_places,
           failed);
    return failed != 0;
}
