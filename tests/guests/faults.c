/* Faults of the program's own: what its handlers see, change, and leave behind.
 *
 * Nothing comes in, or a fault to die of; lines go out. Always true: each fault is made by one known
 * instruction, and the handler, or a jump out of it, goes on. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

static sigjmp_buf out;
static char *page;
static volatile int is_on_stack;
static char *stack, *stack_end;

static const char *place(void *address) {
    if (address == NULL)
        return "null";
    if ((char *)address >= page && (char *)address < page + 4096)
        return "in the page";
    return "elsewhere";
}

static void jump_out(int signal, siginfo_t *info, void *context) {
    ucontext_t *saved = context;
    char here;
    is_on_stack = stack && &here >= stack && &here < stack_end;
    say("signal %d, code %d, address %s, trap %lld, error %llx", signal, info->si_code,
        signal == SIGSEGV || signal == SIGBUS ? place(info->si_addr) : "not compared",
        (long long)saved->uc_mcontext.gregs[REG_TRAPNO], (long long)saved->uc_mcontext.gregs[REG_ERR]);
    siglongjmp(out, 1);
}

static void catch(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigaction(signal, &action, NULL);
}

static void memory(void) {
    static int round;
    for (round = 0; round < 3; round++) {
        if (sigsetjmp(out, 1) == 0)
            *(volatile int *)NULL = 1;
        if (sigsetjmp(out, 1) == 0)
            page[100 + round] = 1;
        if (sigsetjmp(out, 1) == 0)
            say("read %d", *(volatile char *)(page + 5));
        if (sigsetjmp(out, 1) == 0)
            say("read %d", *(volatile char *)0x1234567890abcdef);
        if (sigsetjmp(out, 1) == 0)
            ((void (*)(void))(uintptr_t)(page + 8))();
    }
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    say("blocked afterwards: %d", sigismember(&mask, SIGSEGV));
    FILE *file = tmpfile();
    char *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    if (sigsetjmp(out, 1) == 0)
        say("read %d", map[0]);
}

static void divide(void) {
    volatile int one = 1, zero = 0;
    if (sigsetjmp(out, 1) == 0)
        say("divided %d", one / zero);
}
static void illegal(void) {
    if (sigsetjmp(out, 1) == 0)
        __asm__ volatile("ud2");
}
static void privileged(void) {
    if (sigsetjmp(out, 1) == 0)
        __asm__ volatile("hlt");
}

/* A breakpoint goes on behind the instruction. */
static void on_trap(int signal, siginfo_t *info, void *context) {
    (void)context;
    say("trap %d, code %d", signal, info->si_code);
}

/* The handler repairs what was wrong, or moves the program on. */
static void repair(int signal, siginfo_t *info, void *context) {
    (void)context;
    say("repairing after %d at %s", signal, place(info->si_addr));
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}
static void skip(int signal, siginfo_t *info, void *context) {
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    registers[REG_RIP] += 2; /* ud2 */
    registers[REG_RAX] = 0x1122334455667788;
    registers[REG_R12] = 99;
    registers[REG_EFL] |= 1; /* carry */
    say("skipping after %d", signal);
}

static void changes(void) {
    catch(SIGSEGV, repair, 0);
    page[7] = 7;
    say("written %d", page[7]);
    mprotect(page, 4096, PROT_NONE);
    catch(SIGSEGV, jump_out, 0);
    catch(SIGILL, skip, 0);
    uint64_t value = 0, other;
    unsigned char carry;
    __asm__ volatile("mov $5, %%r12\n clc\n ud2\n setc %2\n mov %%r12, %1"
                     : "+a"(value), "=r"(other), "=r"(carry) : : "r12", "cc", "memory");
    say("rax %lx, r12 %lu, carry %d", value, other, carry);
    catch(SIGILL, jump_out, 0);
}

static volatile int levels, limit = 1 << 30;
static __attribute__((noinline)) int overflow(int n) {
    volatile char space[4096];
    space[0] = n, levels = n;
    return n < limit ? overflow(n + 1) + space[0] : 0;
}

static void other_stack(void) {
    size_t bytes = 64 * 1024;
    stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_end = stack + bytes;
    stack_t mine = {.ss_sp = stack, .ss_size = bytes}, old;
    say("sigaltstack = %ld", got(sigaltstack(&mine, &old)));
    say("before: flags %d", old.ss_flags);
    catch(SIGSEGV, jump_out, SA_ONSTACK);
    for (int i = 0; i < 2; i++) {
        if (sigsetjmp(out, 1) == 0)
            overflow(0);
        say("on its stack %d, deep %d", is_on_stack, levels > 100);
    }
    sigaltstack(NULL, &old);
    say("afterwards: flags %d, same %d", old.ss_flags, old.ss_sp == stack && old.ss_size == bytes);
    stack_t small = {.ss_sp = stack, .ss_size = 100}, odd = {.ss_sp = stack, .ss_size = bytes, .ss_flags = 77};
    say("odd = %ld %ld", got(sigaltstack(&small, NULL)), got(sigaltstack(&odd, NULL)));
    stack_t off = {.ss_flags = SS_DISABLE};
    say("disable = %ld", got(sigaltstack(&off, &old)));
    sigaltstack(NULL, &old);
    say("disabled: flags %d", old.ss_flags);
    catch(SIGSEGV, jump_out, 0);
}

static void in_handler(int signal, siginfo_t *info, void *context) {
    (void)info, (void)signal;
    stack_t now, mine = {.ss_sp = stack, .ss_size = stack_end - stack};
    ucontext_t *saved = context;
    sigaltstack(NULL, &now);
    say("in the handler: flags %d, change %ld, saved size %zu", now.ss_flags, got(sigaltstack(&mine, NULL)),
        saved->uc_stack.ss_size);
}

static void alternate_by_kill(void) {
    stack_t mine = {.ss_sp = stack, .ss_size = stack_end - stack};
    sigaltstack(&mine, NULL);
    catch(SIGUSR1, in_handler, SA_ONSTACK), raise(SIGUSR1);
    catch(SIGUSR1, in_handler, 0), raise(SIGUSR1);
    mine.ss_flags = (int)(1u << 31); /* SS_AUTODISARM */
    say("sigaltstack = %ld", got(sigaltstack(&mine, NULL)));
    catch(SIGUSR1, in_handler, SA_ONSTACK), raise(SIGUSR1);
    sigaltstack(NULL, &mine);
    say("rearmed: flags %x, size %zu", (unsigned)mine.ss_flags, mine.ss_size);
}

static int die(const char *how) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    sigset_t set;
    sigfillset(&set);
    volatile int one = 1, zero = 0;
    if (strcmp(how, "null") == 0)
        *(volatile int *)NULL = 1;
    if (strcmp(how, "divide") == 0)
        return one / zero;
    if (strcmp(how, "illegal") == 0)
        __asm__ volatile("ud2");
    if (strcmp(how, "trap") == 0)
        __asm__ volatile("int3");
    if (strcmp(how, "ignored") == 0)
        signal(SIGSEGV, SIG_IGN);
    if (strcmp(how, "blocked") == 0) {
        catch(SIGSEGV, jump_out, 0);
        sigprocmask(SIG_BLOCK, &set, NULL);
    }
    if (strcmp(how, "overflow") == 0) {
        catch(SIGSEGV, jump_out, 0); /* there is no room for the handler */
        overflow(0);
    }
    page[1] = 1;
    return 0;
}

int main(int count, char **words) {
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (count == 2)
        return die(words[1]);
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (int i = 0; i < 4; i++)
        catch(signals[i], jump_out, 0);
    memory();
    divide();
    illegal();
    privileged();
    catch(SIGTRAP, on_trap, 0);
    __asm__ volatile("int3");
    say("behind the breakpoint");
    changes();
    other_stack();
    alternate_by_kill();
    return 0;
}
