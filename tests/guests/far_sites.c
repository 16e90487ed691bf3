/* Calls from twenty places of one program, which are as far apart as in the largest programs that there are.
 *
 * A part's name comes in; what the calls gave, or how many of the places are not as the compiler wrote them, goes out.
 * Always true: between the places is more code than a simulator wants to copy. */
#include "check.h"

enum { PLACES = 20, DISTANCE = 300 * 1024 };

/* mov $SYS_getppid, %eax; syscall; ret */
__asm__(".pushsection .text.far,\"ax\",@progbits\n"
        " .p2align 12\n.globl far\n.hidden far\nfar:\n"
        " .rept 20\n .cfi_startproc\n mov $110, %eax\n syscall\n ret\n .cfi_endproc\n .skip 300 * 1024 - 8, 0xc3\n .endr\n"
        ".popsection\n");
extern __attribute__((visibility("hidden"))) char far[];

static void calls(void) {
    long same = 0, parent = raw(SYS_getppid);
    for (int round = 0; round < 50; round++)
        for (int i = 0; i < PLACES; i++)
            same += ((long (*)(void))(far + i * DISTANCE))() == parent;
    say("%ld calls", same);
}

static void places(void) {
    int replaced = 0;
    for (int i = 0; i < PLACES; i++)
        replaced += memcmp(far + i * DISTANCE, "\xb8\x6e\0\0\0\x0f\x05\xc3", 8) != 0;
    say("%d replaced", replaced);
}

static const struct part parts[] = {{"calls", calls}, {NULL, NULL}};
/* Natively it is none. */
static const struct part others[] = {{"places", places}, {NULL, NULL}};

int main(int count, char **words) {
    return run_part(parts, count, words) == 0 || run_part(others, count, words) == 0 ? 0 : 2;
}
