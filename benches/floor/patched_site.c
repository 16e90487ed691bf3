/* Floor: a system call whose instructions were replaced by a jump, answered from memory.
 *
 * One operation is getpid as a C library calls it: a call through a pointer to a function that was `mov
 * $39, %eax; syscall; ret` and is `jmp rel32` and the same `ret` now. It is the least because the site has
 * room for five bytes only, so there is a stub of its own that says which call it is and where it goes on;
 * because the program's stack may be of any kind, so the stack is changed for a private one, found through
 * %gs; because the call may change rax, rcx and r11 only, so what C code may change is saved; and because
 * who answers is looked up by the number. Vector registers are not saved: code need not use any. */
#include "../measure.h"

#include <asm/prctl.h>

/* What %gs points to: offsets 0 and 8 are known to the assembly. */
struct block {
    void *private_stack;
    void *program_stack;
    volatile long id;
};

static struct block block;
static char stack[16384] __attribute__((aligned(16)));

static long answer_id(struct block *of) {
    return of->id;
}

static long (*const answers[64])(struct block *) = {[SYS_getpid] = answer_id};

/* Called by the assembly. */
__attribute__((used, noinline, target("general-regs-only"))) long dispatch(unsigned long number) {
    return number < 64 ? answers[number](&block) : -ENOSYS;
}

long site(void);

__asm__(".text\n"
        ".balign 16\n"
        "site:\n"
        "    jmp stub\n"
        "    xchg %ax, %ax\n"
        "after_site:\n"
        "    ret\n"
        ".balign 16\n"
        "stub:\n"
        "    mov $39, %eax\n"
        "    lea after_site(%rip), %rcx\n"
        "    mov %rsp, %gs:8\n"
        "    mov %gs:0, %rsp\n"
        "    push %rax\n"
        "    push %rcx\n"
        "    push %rdi\n"
        "    push %rsi\n"
        "    push %rdx\n"
        "    push %r8\n"
        "    push %r9\n"
        "    push %r10\n"
        "    mov %rax, %rdi\n"
        "    call dispatch\n"
        "    pop %r10\n"
        "    pop %r9\n"
        "    pop %r8\n"
        "    pop %rdx\n"
        "    pop %rsi\n"
        "    pop %rdi\n"
        "    pop %rcx\n"
        "    mov %gs:8, %rsp\n"
        "    jmp *%rcx\n");

static long (*volatile getpid_function)(void) = site;

static void prepare(void) {
    block = (struct block){.private_stack = stack + sizeof stack, .id = 1000};
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, &block))
        unavailable("ARCH_SET_GS");
}

static void run(long count) {
    for (long i = 0; i < count; i++)
        if (getpid_function() != 1000)
            abort();
}

int main(int argc, char **argv) {
    static const struct operation operations[] = {{"patched-site", prepare, run, 0, 0}, {0}};
    return measure(argc, argv, operations);
}
