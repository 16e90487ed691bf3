/* Registers: what the program had in them, it finds in them, across calls and across handlers.
 *
 * Nothing comes in; one line for each way through the shim goes out. Always true: known values stand in
 * every general register, in the flags, the vector registers and below the stack pointer before, and are
 * looked at right after, without a call in between. */
#include "check.h"
#include <fenv.h>
#include <immintrin.h>
#include <signal.h>
#include <sys/time.h>

/* The values of rbx, rdx, rsi, rdi, r8 to r10, r12 to r15, flags; then sixteen vectors; then red zone. */
struct registers {
    uint64_t general[12];
    uint64_t red_zone[16];
    uint64_t vector[16][4] __attribute__((aligned(32)));
};

static int has_wide;

/* Load everything from `in`, execute `instruction` with rax as given, store everything to `out`. rcx and
 * r11 belong to the call. */
#define THROUGH(name, instruction) \
    __attribute__((naked, noinline)) static uint64_t name(uint64_t rax, const struct registers *in, \
                                                          struct registers *out) { \
        __asm__ volatile( \
            "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n" \
            "push %rdx\n" /* out, under the red zone that is tested */ \
            "mov %rdi, %rax\n mov %rsi, %rbp\n" \
            "cmpb $0, has_wide(%rip)\n je 1f\n" \
            ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu 224+32*\\n(%rbp), %ymm\\n\n .endr\n jmp 2f\n" \
            "1: .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n movups 224+32*\\n(%rbp), %xmm\\n\n .endr\n2:\n" \
            ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n mov 96+8*\\n(%rbp), %rcx\n mov %rcx, -8-8*\\n(%rsp)\n" \
            ".endr\n" \
            "sub $128, %rsp\n push 88(%rbp)\n popfq\n lea 128(%rsp), %rsp\n" \
            "mov 0(%rbp), %rbx; mov 8(%rbp), %rdx; mov 16(%rbp), %rsi; mov 24(%rbp), %rdi; mov 32(%rbp), %r8\n" \
            "mov 40(%rbp), %r9; mov 48(%rbp), %r10; mov 56(%rbp), %r12; mov 64(%rbp), %r13; mov 72(%rbp), %r14\n" \
            "mov 80(%rbp), %r15\n" \
            instruction "\n" \
            "mov 0(%rsp), %rcx\n" /* out; changes no flag */ \
            "mov %rbx, 0(%rcx); mov %rdx, 8(%rcx); mov %rsi, 16(%rcx); mov %rdi, 24(%rcx); mov %r8, 32(%rcx)\n" \
            "mov %r9, 40(%rcx); mov %r10, 48(%rcx); mov %r12, 56(%rcx); mov %r13, 64(%rcx); mov %r14, 72(%rcx)\n" \
            "mov %r15, 80(%rcx)\n" \
            ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n mov -8-8*\\n(%rsp), %rbx\n mov %rbx, 96+8*\\n(%rcx)\n" \
            ".endr\n" \
            "lea -128(%rsp), %rsp\n pushfq\n popq 88(%rcx)\n lea 128(%rsp), %rsp\n cld\n" \
            "cmpb $0, has_wide(%rip)\n je 3f\n" \
            ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu %ymm\\n, 224+32*\\n(%rcx)\n .endr\n" \
            "vzeroupper\n jmp 4f\n" \
            "3: .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n movups %xmm\\n, 224+32*\\n(%rcx)\n .endr\n4:\n" \
            "add $8, %rsp\n pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n ret\n"); \
    }

/* They are used by the assembly. */
#pragma GCC diagnostic ignored "-Wunused-parameter"
THROUGH(by_syscall, "syscall")
THROUGH(by_fault, "ud2")
THROUGH(by_counter, "mov %rdx, %rbx\n rdtsc\n mov %rbx, %rdx\n mov 0(%rbp), %rbx")
THROUGH(by_nothing, "nop")

static void fill(struct registers *r, uint64_t seed) {
    uint64_t *words = (uint64_t *)r;
    for (unsigned i = 0; i < sizeof *r / 8; i++)
        words[i] = (seed + i) * UINT64_C(0x9e3779b97f4a7c15);
    /* The flags that programs own: carry, parity, adjust, zero, sign, direction, overflow; interrupts are on. */
    r->general[11] = (words[3] & 0x8d5) | 0x202 | (seed % 2 ? 0x400 : 0);
}

static void compare(const char *name, const struct registers *in, const struct registers *out) {
    char wrong[200] = "";
    int used = 0, vectors = 0, zone = 0;
    for (int i = 0; i < 12; i++)
        if (in->general[i] != out->general[i])
            used += snprintf(wrong + used, sizeof wrong - used, " %d", i);
    for (int i = 0; i < 16; i++) {
        vectors += memcmp(in->vector[i], out->vector[i], has_wide ? 32 : 16) != 0;
        zone += in->red_zone[i] != out->red_zone[i];
    }
    static int shown;
    if ((used || vectors || zone) && shown++ < 20)
        say("%s: general registers%s, %d vectors, %d words below the stack differ", name, wrong, vectors, zone);
}

static void clobber(void) {
    if (has_wide)
        __asm__ volatile("vpcmpeqd %%xmm0, %%xmm0, %%xmm0; vmovdqa %%xmm0, %%xmm7; vmovdqa %%xmm0, %%xmm15" ::: "xmm0",
                         "xmm7", "xmm15");
    volatile double a = 1.5;
    for (int i = 0; i < 10; i++)
        a = a * a + i;
}

static volatile int handled;
static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)info, (void)signal;
    ((greg_t *)((ucontext_t *)context)->uc_mcontext.gregs)[REG_RIP] += 2;
    handled++;
    clobber();
    raw(SYS_getppid);
}
static void on_signal(int signal) {
    (void)signal;
    handled++;
    clobber();
    raw(SYS_getppid);
}

static void general_and_vector(void) {
    struct registers in, out;
    for (int i = 0; i < 50; i++) {
        fill(&in, 1000 + i), by_nothing(0, &in, &out), compare("nothing", &in, &out);
        /* A local call, a native one, a forwarded one that fails, and one that nobody knows. */
        fill(&in, 1100 + i), by_syscall(SYS_getppid, &in, &out), compare("getppid", &in, &out);
        fill(&in, 1200 + i), in.general[3] = 1 << 20;
        by_syscall(SYS_close, &in, &out), compare("close", &in, &out);
        fill(&in, 1300 + i), in.general[3] = 1, by_syscall(SYS_nanosleep, &in, &out), compare("nanosleep", &in, &out);
        fill(&in, 1400 + i), by_syscall(5000, &in, &out), compare("unknown", &in, &out);
        fill(&in, 1500 + i), by_fault(0, &in, &out), compare("fault with a handler", &in, &out);
        fill(&in, 1600 + i), by_counter(0, &in, &out), compare("rdtsc", &in, &out);
    }
    say("general, flags, vectors, red zone: compared, %d handled", handled);
    handled = 0;
    for (int i = 0; i < 50; i++) {
        /* A signal that the call itself brings. */
        fill(&in, 2000 + i), in.general[3] = getpid(), in.general[2] = SIGUSR1;
        by_syscall(SYS_kill, &in, &out), compare("kill", &in, &out);
    }
    say("around %d handlers", handled);
}

static void floating_point(void) {
    fesetround(FE_UPWARD), feclearexcept(FE_ALL_EXCEPT), feraiseexcept(FE_INEXACT);
    long double kept = 1.0L / 3;
    raw(SYS_getppid);
    say("rounding %d, inexact %d", fegetround() == FE_UPWARD, fetestexcept(FE_INEXACT) != 0);
    say("kept %.20Lf", kept);
    kill(getpid(), SIGUSR1);
    say("after a handler: rounding %d, inexact %d", fegetround() == FE_UPWARD, fetestexcept(FE_INEXACT) != 0);
    fesetround(FE_TONEAREST);
}

/* A loop that looks whether an alarm, which comes between any two of its instructions, disturbs it. */
static void between_instructions(void) {
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 2000}, {0, 2000}}, NULL);
    handled = 0;
    struct registers in, out;
    for (long i = 0; handled < 20 && i < 100000000; i++) {
        fill(&in, 3000 + i % 100), by_nothing(0, &in, &out), compare("loop", &in, &out);
        if (i % 16 == 0)
            clock_ns(CLOCK_MONOTONIC);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    say("alarms: %d", handled >= 20);
}

int main(void) {
    has_wide = __builtin_cpu_supports("avx") != 0;
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, other = {.sa_handler = on_signal};
    sigaction(SIGILL, &fault, NULL), sigaction(SIGUSR1, &other, NULL), sigaction(SIGALRM, &other, NULL);
    general_and_vector();
    floating_point();
    between_instructions();
    return 0;
}
