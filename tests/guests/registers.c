/* Registers: what the program had in them, it finds in them, whatever it called and from wherever.
 *
 * A part's name comes in; a line for each call from each kind of site goes out, with its result and every register
 * that is not what it was. Always true: before the site, patterns stand in all general registers, the flags, the x87
 * and vector registers and their controls, as far as the processor has them (the first line tells), and below the
 * stack pointer; they are looked at right after, without a call in between. What is done about each site stands in
 * the part "places", which natively finds its code as the compiler wrote it. How registers are filled and compared is
 * in registers.h. */
#include "registers.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

/* Leave nothing in the registers as it was. */
static void clobber(void) {
    uint64_t ones = UINT64_MAX;
    if (level == 2)
        __asm__ volatile(".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
                         "vpbroadcastq %0, %%zmm\\n\n.endr\n"
                         ".irp n,0,1,2,3,4,5,6,7\nkxnorw %%k0, %%k0, %%k\\n\n.endr\nvzeroupper" ::"r"(ones));
    else if (level == 1)
        __asm__ volatile(".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
                         "vcmptrueps %%ymm\\n, %%ymm\\n, %%ymm\\n\n.endr\nvzeroupper" ::: "memory");
    __asm__ volatile(".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\npcmpeqd %%xmm\\n, %%xmm\\n\n.endr\n"
                     "fninit\n.rept 8\nfldpi\n.endr\nmovl $0x1fbf, -256(%%rsp)\nldmxcsr -256(%%rsp)" ::: "memory");
    raw(SYS_getppid);
}

static volatile int handled, changes;
static volatile uint64_t requests;
static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    static const int index[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    uint8_t *legacy = (uint8_t *)((ucontext_t *)context)->uc_mcontext.fpregs;
    /* It sees what stood there: not in functions, which have moved it. */
    if (site == (void (*)(void))hop) {
        for (int i = 0; i < 16; i++)
            if (i != RSP && !(changed_by[CALL] & 1 << i) && (uint64_t)registers[index[i]] != in.general[i])
                differs(" %s in the handler", names[i]);
        if (memcmp(legacy, in.legacy, 5) != 0 || memcmp(legacy + 160, in.legacy + 160, 256) != 0)
            differs(" vectors in the handler");
    }
    if (changes) {
        registers[REG_R12] = ~registers[REG_R12];
        legacy[160 + 3 * 16] ^= 0xff;
    }
    if (signal == SIGILL)
        registers[REG_RIP] += 2;
    if (signal == SIGALRM)
        requests = 1;
    handled++;
    clobber();
}

static int pipe_ends[2], own_file;
static char buffer[16];
static struct timespec short_time = {0, 1000}, long_time = {10, 0};
static uint64_t child_stack[8192];

/* Writes a byte a while after it is asked to. */
static void *write_later(void *argument) {
    for (;;) {
        pass_time(1000000);
        clobber();
        if (requests && (requests = 0, write(pipe_ends[1], "a", 1)) != 1)
            abort();
    }
    return argument;
}

static void alarm_soon(void) { setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 2000}}, NULL); }

enum before { NOTHING, REQUEST, WRITE, ALARM, CHANGES, FORKS, CLONES };
#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static const struct call {
    const char *name;
    long number;
    uint64_t arguments[5];
    int count;
    enum before before;
    /* The result is not the same in each run. */
    int is_id;
} calls[] = {
    {"local", SYS_getppid, {0}, 0, NOTHING, 1},
    {"clock", SYS_clock_gettime, {CLOCK_MONOTONIC, (uint64_t)buffer}, 2, NOTHING, 0},
    {"native", SYS_pread64, {7, (uint64_t)buffer, 16, 0}, 4, NOTHING, 0},
    {"native, bad address", SYS_pread64, {7, 1, 16, 0}, 4, NOTHING, 0},
    {"refused", 5000, {0}, 0, NOTHING, 0},
    {"forwarded", SYS_nanosleep, {(uint64_t)&short_time, 0}, 2, NOTHING, 0},
    {"forwarded, with data", SYS_read, {5, (uint64_t)buffer, 1}, 3, WRITE, 0},
    {"forwarded, bad address", SYS_read, {5, 1, 1}, 3, WRITE, 0},
    {"forwarded, the rest", SYS_read, {5, (uint64_t)buffer, 1}, 3, NOTHING, 0},
    {"blocked", SYS_read, {5, (uint64_t)buffer, 1}, 3, REQUEST, 0},
    {"signal", SYS_kill, {0, SIGUSR1}, 2, NOTHING, 0},
    {"signal that changes registers", SYS_kill, {0, SIGUSR1}, 2, CHANGES, 0},
    {"interrupted and resumed", SYS_read, {5, (uint64_t)buffer, 1}, 3, ALARM, 0},
    {"interrupted", SYS_nanosleep, {(uint64_t)&long_time, 0}, 2, ALARM, 0},
    {"fork", SYS_fork, {0}, 0, FORKS, 1},
    {"thread", SYS_clone, {THREAD, (uint64_t)(child_stack + 8191), 0, 0, 0}, 5, CLONES, 1},
};

static void prepare(enum before before) {
    requests = before == REQUEST;
    changes = before == CHANGES;
    handled = 0, has_landed = 0;
    if (before == WRITE && write(pipe_ends[1], "a", 1) != 1)
        abort();
    if (before == ALARM)
        alarm_soon();
}

static void make(const struct place *place, const struct call *call) {
    static const int order[] = {RDI, RSI, RDX, R10, R8};
    char result[60];
    fill(CALL);
    call_number = in.general[RAX] = call->number;
    for (int i = 0; i < call->count; i++)
        in.general[order[i]] = call->arguments[i];
    if (call->number == SYS_kill)
        in.general[RDI] = getpid();
    child_stack[8191] = (uint64_t)lands;
    prepare(call->before);
    wrong[0] = 0;
    enter(place);
    long returned = out.general[RAX];
    if (call->before == FORKS && returned == 0) {
        compare(&out, CALL);
        _exit(wrong[0] ? say("the child:%s", wrong), 1 : 33);
    }
    if (changes) {
        in.general[R12] = ~in.general[R12];
        in.legacy[160 + 3 * 16] ^= 0xff;
        *(uint8_t *)in.vector[3] ^= 0xff;
    }
    int status = 0;
    if (call->before == FORKS && (waitpid(returned, &status, 0) != returned || WEXITSTATUS(status) != 33))
        say("the child ended with %#x", status);
    if (call->before == CLONES) {
        while (!__atomic_load_n(&has_landed, __ATOMIC_ACQUIRE))
            pass_time(100000);
        compare(&landed, CALL);
        if (wrong[0])
            say("the new thread:%s", wrong);
    }
    if (wrong[0])
        say("handler:%s", wrong);
    if (call->is_id)
        snprintf(result, sizeof result, returned > 0 ? "an id" : "%ld", returned);
    else
        snprintf(result, sizeof result, "%ld with %d handlers", returned, handled);
    visit(place, call->name, result);
}

static void every_call(const struct place *place) {
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        make(place, &calls[i]);
}

/* Code that only the program has. Not copied from its own, which need not be as the compiler wrote it. */
static char *anonymous(const char *code, int is_writable) {
    char *copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(copy, code);
    if (mprotect(copy, 4096, PROT_READ | PROT_EXEC | (is_writable ? PROT_WRITE : 0)) != 0)
        abort();
    return copy;
}

/* The program's own file once more, of which nobody sees that it is code until a call traps: where `code` is in it. */
static char *again(const char *code) {
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long start, end, offset;
    char line[600];
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx r-xp %lx", &start, &end, &offset) == 3 && (unsigned long)code - start < end - start)
            break;
    fclose(maps);
    size_t bytes = end - start;
    char *copy = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, own_file, offset);
    if (copy == MAP_FAILED || mprotect(copy, bytes, PROT_READ | PROT_EXEC) != 0)
        abort();
    return copy + ((unsigned long)code - start);
}

static void own_sites(void) {
    every_call(&(struct place){"an instruction before", by_load, by_load_back, CALL});
    every_call(&(struct place){"instructions before", by_moves, by_moves_back, CALL});
    every_call(&(struct place){"padding", hop, hop_back, CALL});
    every_call(&(struct place){"no room", left, left_back, CALL});
}
static void new_code(void) {
    char *copy = anonymous(SYSCALL, 0);
    every_call(&(struct place){"anonymous code", copy, copy + 2, CALL});
    copy = anonymous(SYSCALL, 1);
    every_call(&(struct place){"writable code", copy, copy + 2, CALL});
}
/* Each call is the one that traps first, and then one of many. */
static void first_and_later(void) {
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        char *copy = again(hop);
        for (int j = 0; j < 2; j++)
            make(&(struct place){j ? "later" : "first", copy, copy + (hop_back - hop), CALL}, &calls[i]);
    }
}

static void visit_instruction(const char *name, char *code, enum kind kind) {
    struct place place = {name, code, NULL, kind};
    fill(kind);
    /* The leaf that names the processor's maker. */
    if (kind == NAME)
        in.general[RAX] = in.general[RCX] = 0;
    enter(&place);
    int is_wide = (out.general[RAX] | out.general[RDX]) >> 32 != 0;
    visit(&place, "executed", is_wide ? "more than 32 bits" : "32 bits each");
}
static void instructions(void) {
    visit_instruction("counter, padding", counter_hop, COUNTER);
    visit_instruction("counter and processor, padding", counter_and_cpu_hop, COUNTER_AND_CPU);
    visit_instruction("name, padding", name_hop, NAME);
    visit_instruction("counter, no room", counter, COUNTER);
    visit_instruction("counter and processor, no room", counter_and_cpu, COUNTER_AND_CPU);
    visit_instruction("name, no room", name, NAME);
    visit_instruction("counter, anonymous code", anonymous(RDTSC, 0), COUNTER);
    visit_instruction("counter and processor, anonymous code", anonymous(RDTSCP, 0), COUNTER_AND_CPU);
    visit_instruction("name, anonymous code", anonymous(CPUID, 0), NAME);
}

static const struct function {
    const char *name;
    void *code;
    uint64_t arguments[4];
    int count;
    enum before before;
    int is_id;
} functions[] = {
    {"getppid", getppid, {0}, 0, NOTHING, 1},
    {"clock_gettime", clock_gettime, {CLOCK_MONOTONIC, (uint64_t)buffer}, 2, NOTHING, 0},
    {"clock_gettime of a processor", clock_gettime, {CLOCK_PROCESS_CPUTIME_ID, (uint64_t)buffer}, 2, NOTHING, 0},
    {"gettimeofday", gettimeofday, {(uint64_t)buffer, 0}, 2, NOTHING, 0},
    {"time", time, {0}, 1, NOTHING, 1},
    {"sched_getcpu", sched_getcpu, {0}, 0, NOTHING, 1},
    {"pread", pread, {7, (uint64_t)buffer, 16, 0}, 4, NOTHING, 0},
    {"nanosleep", nanosleep, {(uint64_t)&short_time, 0}, 2, NOTHING, 0},
    {"read", read, {5, (uint64_t)buffer, 1}, 3, WRITE, 0},
    {"read, blocked", read, {5, (uint64_t)buffer, 1}, 3, REQUEST, 0},
    {"raise", raise, {SIGUSR1}, 1, NOTHING, 0},
    {"read, interrupted and resumed", read, {5, (uint64_t)buffer, 1}, 3, ALARM, 0},
    {"nanosleep, interrupted", nanosleep, {(uint64_t)&long_time, 0}, 2, ALARM, 0},
    {"syscall", syscall, {SYS_close, 1000}, 2, NOTHING, 0},
};

static void library(void) {
    static const int order[] = {RDI, RSI, RDX, RCX};
    for (const struct function *f = functions; f < functions + sizeof functions / sizeof *functions; f++) {
        struct place place = {"function", f->code, NULL, FUNCTION};
        char result[60];
        fill(FUNCTION);
        for (int i = 0; i < f->count; i++)
            in.general[order[i]] = f->arguments[i];
        prepare(f->before);
        enter(&place);
        int returned = out.general[RAX];
        if (f->is_id)
            snprintf(result, sizeof result, returned >= 0 ? "a number" : "%d", returned);
        else
            snprintf(result, sizeof result, "%d with %d handlers", returned, handled);
        visit(&place, f->name, result);
    }
}

/* Interrupted between two instructions: by a fault of its own, and by whoever waits for the processor. */
static void *stop(void *argument) {
    pass_time(1000000);
    clobber();
    stops = 1;
    return argument;
}
static void faults(void) {
    struct place place = {"undefined instruction", anonymous(UD2, 0), NULL, SPIN};
    for (changes = 0; changes < 2; changes++) {
        fill(SPIN);
        handled = 0;
        enter(&place);
        if (changes) {
            in.general[R12] = ~in.general[R12];
            in.legacy[160 + 3 * 16] ^= 0xff;
            *(uint8_t *)in.vector[3] ^= 0xff;
        }
        visit(&place, changes ? "changed by the handler" : "handled", handled == 1 ? "once" : "not once");
    }
}
static void computing(void) {
    struct place place = {"a loop without calls", spin, NULL, SPIN};
    pthread_t other;
    fill(SPIN);
    if (pthread_create(&other, NULL, stop, NULL) != 0)
        abort();
    enter(&place);
    visit(&place, "ended", "by another thread");
}

/* A loop whose calls are interrupted now and then, and the code between them. */
static void alarms(void) {
    struct place place = {"alarms", by_load, by_load_back, CALL};
    int bad = 0;
    wrong[0] = 0, requests = 0, handled = 0;
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 2000}, {0, 2000}}, NULL);
    for (long i = 0; handled < 20 && i < 100000000; i++) {
        fill(CALL);
        call_number = in.general[RAX] = SYS_getppid;
        enter(&place);
        compare(&out, CALL);
        if (wrong[0] && bad++ < 10)
            say("alarms:%s", wrong);
        wrong[0] = 0;
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    say("%d times something differs, %s", bad, handled >= 20 ? "twenty handlers" : "too few handlers");
}

/* Which code is not as the compiler wrote it. */
static void places(void) {
    char *copy = anonymous(SYSCALL, 0), *other = again(hop);
    struct {
        const char *name;
        char *code;
        const char *bytes;
    } all[] = {
        {"an instruction before", by_load, "\x48\x8b\x05"}, {"instructions before", by_moves, "\x48\x89\xc0"},
        {"padding", hop, SYSCALL},                         {"no room", left, SYSCALL},
        {"anonymous code", copy, SYSCALL},                 {"first", other, SYSCALL},
        {"later", other, SYSCALL},                         {"counter, padding", counter_hop, RDTSC},
        {"counter, no room", counter, RDTSC},              {"name, no room", name, CPUID},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        say("%s: %s", all[i].name, memcmp(all[i].code, all[i].bytes, 3) == 0 ? "as it was" : "replaced");
        if (strcmp(all[i].name, "first") == 0) {
            fill(CALL);
            in.general[RAX] = SYS_getppid;
            enter(&(struct place){"", other, NULL, CALL});
        }
    }
}

static const struct part parts[] = {
    {"own sites", own_sites}, {"new code", new_code}, {"first and later", first_and_later},
    {"instructions", instructions}, {"library", library}, {"faults", faults},
    {"alarms", alarms}, {NULL, NULL},
};
/* Those that are not the same natively, or without patience. */
static const struct part others[] = {{"places", places}, {"computing", computing}, {NULL, NULL}};

static void look_at_processor(void) {
    unsigned a, b, c, d;
    level = __builtin_cpu_supports("avx512f") ? 2 : __builtin_cpu_supports("avx") ? 1 : 0;
    has_wide_masks = level == 2 && __builtin_cpu_supports("avx512bw");
    __cpuid_count(7, 0, a, b, c, d);
    has_keys = c >> 4 & 1;
    say("general, flags, x87, mxcsr, xmm%s%s%s%s", level ? " ymm" : "", level == 2 ? " zmm k" : "",
        has_wide_masks ? " wide" : "", has_keys ? " pkru" : "");
}

int main(int count, char **words) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGILL, &action, NULL), sigaction(SIGUSR1, &action, NULL), sigaction(SIGALRM, &action, NULL);
    int ends[2];
    if (pipe(ends) != 0 || dup2(ends[0], 5) != 5 || dup2(ends[1], 6) != 6)
        abort();
    pipe_ends[1] = 6;
    own_file = dup2(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 7);
    if (count == 2 && strcmp(words[1], "list") != 0) {
        pthread_t other;
        look_at_processor();
        if (pthread_create(&other, NULL, write_later, NULL) != 0)
            abort();
    }
    return run_part(parts, count, words) == 0 || run_part(others, count, words) == 0 ? 0 : 2;
}
