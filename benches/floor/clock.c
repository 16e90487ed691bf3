/* Floor: a simulated clock, read through the C library, whose vDSO function was replaced by a jump.
 *
 * One operation is one clock_gettime as programs call it. It is the least because the C library finds the
 * vDSO's function through a pointer and has to be led elsewhere by the function's first bytes, the time has
 * to come from memory that the simulator writes, what the thread was charged has to be added and counted on,
 * and the seconds have to be divided off. */
#include "../measure.h"

#include <elf.h>
#include <sys/auxv.h>

static volatile uint64_t now_ns = 1234567890, charged_ns;

static int simulated(clockid_t clock, struct timespec *time) {
    (void)clock;
    uint64_t now = now_ns + (charged_ns += 10);
    time->tv_sec = (time_t)(now / 1000000000);
    time->tv_nsec = (long)(now % 1000000000);
    return 0;
}

/* The mapping cannot be split: its protection is changed as a whole. */
static bool make_writable(uintptr_t vdso) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)vdso;
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(vdso + header->e_phoff);
    size_t bytes = 0;
    for (int i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_LOAD)
            bytes = segments[i].p_vaddr + segments[i].p_memsz;
    return mprotect((void *)vdso, bytes, PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
}

/* `movabs $simulated, %r11; jmp *%r11` over the function's beginning. */
static void prepare(void) {
    unsigned char jump[13] = {0x49, 0xbb, [10] = 0x41, 0xff, 0xe3};
    uintptr_t target = (uintptr_t)simulated;
    memcpy(jump + 2, &target, sizeof target);
    void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
    char *function = vdso ? dlsym(vdso, "__vdso_clock_gettime") : NULL;
    if (!function) {
        errno = ENOENT;
        unavailable("the vDSO's clock_gettime");
    }
    if (!make_writable(getauxval(AT_SYSINFO_EHDR)))
        unavailable("writing to the vDSO");
    memcpy(function, jump, sizeof jump);
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    if (time.tv_sec != 1)
        abort();
}

static void run(long count) {
    struct timespec time;
    for (long i = 0; i < count; i++)
        clock_gettime(CLOCK_MONOTONIC, &time);
}

int main(int argc, char **argv) {
    static const struct operation operations[] = {{"clock", prepare, run, 0, 0}, {0}};
    return measure(argc, argv, operations);
}
