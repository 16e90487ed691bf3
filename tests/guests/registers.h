/* What registers.c looks at registers with: patterns, sites, comparison.
 *
 * `in` holds what is to stand in the registers, fill() makes it; enter() has it there, calls a place, and `out` holds what
 * stands there afterwards; compare() tells the difference. Always true: everything that the processor has is loaded
 * right before a place is called and stored right after, in assembly, by no instruction that needs what it tests.
 *
 * Not here: the flag that makes unaligned accesses fault, with which no library works, and where the last x87
 * instruction stood, which some processors tell only after an exception. */
#ifndef REGISTERS_H
#define REGISTERS_H

#include "check.h"
#include <cpuid.h>
#include <stddef.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

#define ZONE 16

/* The assembly below knows these offsets. */
struct state {
    uint64_t general[16];
    uint64_t flags;
    uint64_t keys; /* PKRU */
    uint64_t unused[6];
    /* As fxsave stores it: x87 and its controls, MXCSR, sixteen vectors. */
    uint8_t legacy[512] __attribute__((aligned(64)));
    uint64_t vector[32][8];
    uint64_t mask[8];
    uint64_t zone[ZONE];
};
_Static_assert(offsetof(struct state, legacy) == 192 && offsetof(struct state, vector) == 704, "layout");
_Static_assert(offsetof(struct state, mask) == 2752 && offsetof(struct state, zone) == 2816, "layout");

#define HIDDEN __attribute__((visibility("hidden")))
/* What stands in the registers before a site, what after it, and what a new thread finds. */
HIDDEN struct state in, out, landed;
/* What is called, and where its call returns to. */
HIDDEN void (*site)(void);
HIDDEN uint64_t call_number, stack_before, has_landed, stops;
/* 0: xmm, 1: ymm, 2: zmm and masks. */
HIDDEN uint32_t level, has_wide_masks, has_keys;

/* rbp: a state. Everything but the general registers, the flags and the red zone. */
__asm__(".macro load_wide\n"
        " fxrstor64 192(%rbp)\n"
        " cmpl $0, has_keys(%rip)\n je 1f\n xor %ecx, %ecx\n xor %edx, %edx\n mov 136(%rbp), %eax\n wrpkru\n"
        "1: cmpl $1, level(%rip)\n jb 9f\n ja 2f\n"
        " .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu 704+64*\\n(%rbp), %ymm\\n\n .endr\n jmp 9f\n"
        "2: .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        " vmovdqu64 704+64*\\n(%rbp), %zmm\\n\n .endr\n"
        " cmpl $0, has_wide_masks(%rip)\n je 3f\n"
        " .irp n,0,1,2,3,4,5,6,7\n kmovq 2752+8*\\n(%rbp), %k\\n\n .endr\n jmp 9f\n"
        "3: .irp n,0,1,2,3,4,5,6,7\n kmovw 2752+8*\\n(%rbp), %k\\n\n .endr\n"
        "9:\n .endm\n"
        ".macro store_wide\n"
        " fxsave64 192(%rbp)\n"
        " cmpl $0, has_keys(%rip)\n je 1f\n xor %ecx, %ecx\n rdpkru\n mov %eax, 136(%rbp)\n"
        " mov $0x55555554, %eax\n xor %edx, %edx\n wrpkru\n"
        "1: cmpl $1, level(%rip)\n jb 9f\n ja 2f\n"
        " .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu %ymm\\n, 704+64*\\n(%rbp)\n .endr\n vzeroupper\n jmp 9f\n"
        "2: .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        " vmovdqu64 %zmm\\n, 704+64*\\n(%rbp)\n .endr\n vzeroupper\n"
        " cmpl $0, has_wide_masks(%rip)\n je 3f\n"
        " .irp n,0,1,2,3,4,5,6,7\n kmovq %k\\n, 2752+8*\\n(%rbp)\n .endr\n jmp 9f\n"
        "3: .irp n,0,1,2,3,4,5,6,7\n kmovw %k\\n, 2752+8*\\n(%rbp)\n .endr\n"
        "9:\n .endm\n"
        /* All registers and flags to a state; rbp is its address afterwards. */
        ".macro store where\n"
        " mov %rax, 0+\\where(%rip)\n mov %rcx, 8+\\where(%rip)\n mov %rdx, 16+\\where(%rip)\n"
        " mov %rbx, 24+\\where(%rip)\n mov %rsp, 32+\\where(%rip)\n mov %rbp, 40+\\where(%rip)\n"
        " mov %rsi, 48+\\where(%rip)\n mov %rdi, 56+\\where(%rip)\n mov %r8, 64+\\where(%rip)\n"
        " mov %r9, 72+\\where(%rip)\n mov %r10, 80+\\where(%rip)\n mov %r11, 88+\\where(%rip)\n"
        " mov %r12, 96+\\where(%rip)\n mov %r13, 104+\\where(%rip)\n mov %r14, 112+\\where(%rip)\n"
        " mov %r15, 120+\\where(%rip)\n"
        " lea \\where(%rip), %rbp\n"
        " lea -256(%rsp), %rsp\n pushfq\n popq 128(%rbp)\n lea 256(%rsp), %rsp\n cld\n .endm\n"
        ".pushsection .text.go,\"ax\",@progbits\n"
        "go: push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n sub $8, %rsp\n"
        " mov %rsp, stack_before(%rip)\n"
        " lea in(%rip), %rbp\n"
        " load_wide\n"
        " .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n mov 2816+8*\\n(%rbp), %rcx\n mov %rcx, -16-8*\\n(%rsp)\n .endr\n"
        " lea -256(%rsp), %rsp\n push 128(%rbp)\n popfq\n lea 256(%rsp), %rsp\n"
        " mov 0(%rbp), %rax\n mov 8(%rbp), %rcx\n mov 16(%rbp), %rdx\n mov 24(%rbp), %rbx\n mov 48(%rbp), %rsi\n"
        " mov 56(%rbp), %rdi\n mov 64(%rbp), %r8\n mov 72(%rbp), %r9\n mov 80(%rbp), %r10\n mov 88(%rbp), %r11\n"
        " mov 96(%rbp), %r12\n mov 104(%rbp), %r13\n mov 112(%rbp), %r14\n mov 120(%rbp), %r15\n mov 40(%rbp), %rbp\n"
        " call *site(%rip)\n"
        " store out\n"
        " .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n mov -16-8*\\n(%rsp), %rcx\n mov %rcx, 2816+8*\\n(%rbp)\n .endr\n"
        " store_wide\n"
        " mov stack_before(%rip), %rsp\n"
        " fninit\n movl $0x1f80, -8(%rsp)\n ldmxcsr -8(%rsp)\n"
        " add $8, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        /* Where a thread that a site has made returns to. */
        "lands: store landed\n store_wide\n movq $1, has_landed(%rip)\n"
        "1: xor %edi, %edi\n mov $60, %eax\n syscall\n jmp 1b\n"
        ".popsection\n");

/* More code than a short jump reaches, in which nothing may be placed and that no jump may replace. */
#define CROWD " .rept 70\n jmp .+2\n .endr\n"
#define ASSEMBLY(name, text) \
    ".globl " #name "\n.hidden " #name "\n .type " #name ",@function\n" #name ":\n .cfi_startproc\n" text " .cfi_endproc\n"

/* Sites for which the jump has room in different places, see "places". */
__asm__(".pushsection .text.sites,\"ax\",@progbits\n .p2align 6\n"
        ASSEMBLY(crowd, " ret\n" CROWD)
        /* An instruction that is long enough, and relative to where it stands. */
        ASSEMBLY(by_load, " mov call_number(%rip), %rax\n syscall\nby_load_back: ret\n" CROWD)
        /* Several short ones. */
        ASSEMBLY(by_moves, " mov %rax, %rax\n mov %rdi, %rdi\n syscall\nby_moves_back: ret\n" CROWD)
        /* None, and no padding in reach. */
        ASSEMBLY(left, " syscall\nleft_back: ret\n" CROWD)
        ASSEMBLY(counter, " rdtsc\n ret\n" CROWD)
        ASSEMBLY(counter_and_cpu, " rdtscp\n ret\n" CROWD)
        ASSEMBLY(name, " cpuid\n ret\n" CROWD)
        ASSEMBLY(spin, "spin_at: mov stops(%rip), %rcx\n jrcxz spin_at\n ret\n" CROWD)
        /* Padding in reach. */
        " .p2align 6\n"
        ASSEMBLY(hop, " syscall\nhop_back: ret\n") " .p2align 4\n"
        ASSEMBLY(counter_hop, " rdtsc\n ret\n") " .p2align 4\n"
        ASSEMBLY(counter_and_cpu_hop, " rdtscp\n ret\n") " .p2align 4\n"
        ASSEMBLY(name_hop, " cpuid\n ret\n") " .p2align 4\n"
        ".popsection\n");
#define CODE(...) extern HIDDEN char __VA_ARGS__
CODE(go[], lands[], spin[], by_load[], by_load_back[], by_moves[], by_moves_back[], left[], left_back[]);
CODE(hop[], hop_back[], counter[], counter_and_cpu[], name[], counter_hop[], counter_and_cpu_hop[], name_hop[]);

#define SYSCALL "\x0f\x05\xc3"
#define RDTSC "\x0f\x31\xc3"
#define RDTSCP "\x0f\x01\xf9\xc3"
#define CPUID "\x0f\xa2\xc3"
#define UD2 "\x0f\x0b\xc3"

/* What a site may change. */
enum kind { CALL, COUNTER, COUNTER_AND_CPU, NAME, FUNCTION, SPIN };
static const uint32_t changed_by[] = {
    [CALL] = 1 << RAX | 1 << RCX | 1 << R11,
    [COUNTER] = 1 << RAX | 1 << RDX,
    [COUNTER_AND_CPU] = 1 << RAX | 1 << RDX | 1 << RCX,
    [NAME] = 1 << RAX | 1 << RBX | 1 << RCX | 1 << RDX,
    [FUNCTION] = 1 << RAX | 1 << RCX | 1 << RDX | 1 << RSI | 1 << RDI | 1 << R8 | 1 << R9 | 1 << R10 | 1 << R11,
    [SPIN] = 1 << RCX,
};

/* A place in code, and where a call from it returns to. */
struct place {
    const char *name;
    char *code, *back;
    enum kind kind;
};

static uint64_t seed;
static uint64_t pattern(void) {
    uint64_t x = seed += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void put(void *where, uint64_t value, int bytes) { memcpy(where, &value, bytes); }

#define MXCSR_MASK 0xffff
static void fill(enum kind kind) {
    uint64_t *words = (uint64_t *)&in;
    for (unsigned i = 0; i < sizeof in / 8; i++)
        words[i] = pattern();
    /* The flags that programs own: carry, parity, adjust, zero, sign, direction, overflow and the one that says
     * that there is cpuid; interrupts are on. Functions want the direction to be upwards. */
    in.flags = (pattern() & (kind == FUNCTION ? 0x2008d5 : 0x200cd5)) | 0x202;
    /* Both sticky and controlling bits, but no exception that is not masked. */
    put(in.legacy, (pattern() & 0xf00) | 0x7f, 2);
    put(in.legacy + 2, pattern() & 0x787f, 2);
    put(in.legacy + 4, pattern() & 0xff, 2);
    memset(in.legacy + 6, 0, 18);
    put(in.legacy + 24, (pattern() & 0xe07f) | 0x1f80, 4);
    put(in.legacy + 28, MXCSR_MASK, 4);
    for (int i = 0; i < 8; i++)
        memset(in.legacy + 32 + 16 * i + 10, 0, 6);
    for (int i = 0; i < 16; i++)
        memcpy(in.legacy + 160 + 16 * i, in.vector[i], 16);
    /* Access to the memory that has no key stays. */
    in.keys = (pattern() & 0xfffffff0) | 4;
    memset(&out, 0, sizeof out);
}

/* A list of what differs, for a line. */
static char wrong[400];
__attribute__((format(printf, 1, 2))) static void differs(const char *format, ...) {
    size_t used = strlen(wrong);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wrong + used, sizeof wrong - used, format, arguments);
    va_end(arguments);
}

static void compare(const struct state *now, enum kind kind) {
    for (int i = 0; i < 16; i++)
        if (i != RSP && !(changed_by[kind] & 1 << i) && in.general[i] != now->general[i])
            differs(" %s", names[i]);
    uint64_t all_flags = kind == FUNCTION ? 0x400 : 0x200ed5;
    if ((in.flags & all_flags) != (now->flags & all_flags))
        differs(" flags (%#lx)", (in.flags ^ now->flags) & all_flags);
    if (memcmp(in.legacy, now->legacy, 5) != 0)
        differs(" x87 control");
    for (int i = 0; i < 8; i++)
        if (memcmp(in.legacy + 32 + 16 * i, now->legacy + 32 + 16 * i, 10) != 0)
            differs(" st%d", i);
    if (memcmp(in.legacy + 24, now->legacy + 24, 4) != 0)
        differs(" mxcsr");
    for (int i = 0; i < 16; i++)
        if (memcmp(in.vector[i], now->legacy + 160 + 16 * i, 16) != 0)
            differs(" xmm%d", i);
    for (int i = 0; i < 16 && level == 1; i++)
        if (memcmp(in.vector[i], now->vector[i], 32) != 0)
            differs(" ymm%d", i);
    for (int i = 0; i < 32 && level == 2; i++)
        if (memcmp(in.vector[i], now->vector[i], 64) != 0)
            differs(" zmm%d", i);
    for (int i = 0; i < 8 && level == 2; i++)
        if ((in.mask[i] ^ now->mask[i]) & (has_wide_masks ? UINT64_MAX : 0xffff))
            differs(" k%d", i);
    if (has_keys && (uint32_t)in.keys != (uint32_t)now->keys)
        differs(" pkru");
    if (now == &landed)
        return;
    for (int i = 0; i < ZONE && kind != FUNCTION; i++)
        if (in.zone[i] != now->zone[i])
            differs(" below the stack %d", i);
    if (now->general[RSP] != stack_before)
        differs(" rsp");
}

/* Call a place with what `in` holds and tell what has changed. */
static void visit(const struct place *place, const char *name, const char *result) {
    wrong[0] = 0;
    compare(&out, place->kind);
    if (place->kind == CALL && out.general[RCX] != (uint64_t)place->back)
        differs(" rcx is not the return address");
    if (place->kind == CALL && (out.general[R11] ^ in.flags) & 0x200ed5)
        differs(" r11 is not the flags");
    say("%s, %s = %s:%s", place->name, name, result, wrong[0] ? wrong : " all registers");
}
static void enter(const struct place *place) {
    site = (void (*)(void))place->code;
    ((void (*)(void))go)();
}

#endif
