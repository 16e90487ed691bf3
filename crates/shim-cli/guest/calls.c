/* Calls: what a system call gives back, and from where it can be made.
 *
 * Calls that the simulator answers (nanosleep), that the guest's library answers (getpid) and that the real kernel answers
 * (files) come in; results, errors and memory go out. Always true: natively the results are the same. */
#include "check.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

static void results(void) {
    struct timespec wait = span(1000), bad = {0, -1};
    expect("nanosleep", R(nanosleep(&wait, NULL)), 0);
    expect("nanosleep of -1 ns", R(nanosleep(&bad, NULL)), -EINVAL);
    bad = span(0), bad.tv_nsec = SECOND;
    expect("nanosleep of 0 s and 10^9 ns", R(nanosleep(&bad, NULL)), -EINVAL);
    expect("clock_nanosleep by clock 77", -clock_nanosleep(77, 0, &wait, NULL), -EINVAL);
    expect("close of -1", R(close(-1)), -EBADF);
    expect("kill of signal 99", R(kill(getpid(), 99)), -EINVAL);
    expect("kill of signal 0", R(kill(getpid(), 0)), 0);
}

static void unknown(void) {
    long got = R(syscall(9999, 1, 2, 3, 4, 5, 6));
    if (got != -ENOSYS)
        fails("a call whose number Linux does not have gives ENOSYS", "%s", in_words(got));
}

static void native(void) {
    static const char text[] = "kept by the real machine";
    char back[64] = "";
    struct stat found;
    const char *path = scratch("native"), *other = scratch("renamed");
    int fd = (int)expect_success("open", R(open(path, O_RDWR | O_CREAT | O_TRUNC, 0640)));
    expect("write", R(write(fd, text, sizeof text)), sizeof text);
    expect("pread", R(pread(fd, back, sizeof back, 0)), sizeof text);
    expect_true(strcmp(text, back) == 0, "a file holds what was written", "something else");
    expect("lseek", R(lseek(fd, 5, SEEK_SET)), 5);
    expect("rename", R(rename(path, other)), 0);
    expect("stat", R(stat(other, &found)), 0);
    expect("st_size", (long)found.st_size, sizeof text);
    expect("unlink", R(unlink(other)), 0);
    expect("open of what is gone", R(open(other, O_RDONLY)), -ENOENT);
    expect("close", R(close(fd)), 0);
    expect("close again", R(close(fd)), -EBADF);
}

/* An address at which nothing is mapped, which no compiler knows. */
static void *nowhere(void) {
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page, 4096);
    return page;
}

static void bad_pointers(void) {
    void *bad = nowhere();
    int fd = (int)expect_success("open", R(open("/dev/zero", O_RDONLY)));
    expect("nanosleep of a bad pointer", R(syscall(SYS_nanosleep, bad, NULL)), -EFAULT);
    expect("nanosleep of address 8", R(syscall(SYS_nanosleep, 8, NULL)), -EFAULT);
    expect("read to a bad pointer", R(syscall(SYS_read, fd, bad, 100)), -EFAULT);
    expect("open of a bad pointer", R(syscall(SYS_open, bad, O_RDONLY)), -EFAULT);
    expect("clock_gettime to a bad pointer", R(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad)), -EFAULT);
    expect("uname to a bad pointer", R(syscall(SYS_uname, bad)), -EFAULT);
    expect("rt_sigprocmask from a bad pointer", R(syscall(SYS_rt_sigprocmask, SIG_SETMASK, bad, NULL, 8)), -EFAULT);
}

static unsigned char pattern(size_t at) { return (unsigned char)(at * 7 + at / 251); }

static void large(void) {
    enum { SIZE = 16 << 20 };
    unsigned char *out = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *in = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect_true(out != MAP_FAILED && in != MAP_FAILED, "32 MiB of memory can be had", "they cannot");
    for (size_t i = 0; i < SIZE; i++)
        out[i] = pattern(i);
    const char *path = scratch("large");
    int fd = (int)expect_success("open", R(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600)));
    unlink(path);
    expect("write of 16 MiB", R(write(fd, out, SIZE)), SIZE);
    expect("pread of 16 MiB", R(pread(fd, in, SIZE, 0)), SIZE);
    expect_true(memcmp(in, out, SIZE) == 0, "16 MiB come back as they were written", "with differences");
    struct iovec parts[2] = {{in, 1 << 20}, {in + (8 << 20), 1 << 20}};
    memset(in, 0, SIZE);
    expect("preadv of two MiB", R(preadv(fd, parts, 2, 12345)), 2 << 20);
    expect_true(in[0] == pattern(12345) && in[8 << 20] == pattern(12345 + (1 << 20)),
                "what preadv reads stands where it was asked to", "it stands elsewhere");
}

/* 48 89 f8: mov rax, rdi; 48 89 f7: mov rdi, rsi; 48 89 d6: mov rsi, rdx; 0f 05: syscall; c3: ret. */
static const unsigned char code[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x0f, 0x05, 0xc3};

static void instructions(void) {
    struct timespec wait = span(HOUR), bad = {0, -1};
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    expect("nanosleep by the C library", R(nanosleep(&wait, NULL)), 0);
    expect_span("nanosleep by the C library", clock_ns(CLOCK_MONOTONIC) - start, HOUR);
    long result = SYS_nanosleep;
    start = clock_ns(CLOCK_MONOTONIC);
    __asm__ volatile("syscall" : "+a"(result) : "D"(&wait), "S"(NULL) : "rcx", "r11", "memory");
    expect("nanosleep by an instruction of the program", result, 0);
    expect_span("nanosleep by an instruction of the program", clock_ns(CLOCK_MONOTONIC) - start, HOUR);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect_true(page != MAP_FAILED, "a page of memory can be had", "it cannot");
    memcpy(page, code, sizeof code);
    expect("mprotect", R(mprotect(page, 4096, PROT_READ | PROT_EXEC)), 0);
    long (*made)(long, void *, void *) = (long (*)(long, void *, void *))(uintptr_t)page;
    start = clock_ns(CLOCK_MONOTONIC);
    expect("nanosleep by an instruction that the program has written", made(SYS_nanosleep, &wait, NULL), 0);
    expect_span("nanosleep by an instruction that the program has written", clock_ns(CLOCK_MONOTONIC) - start, HOUR);
    expect("a wrong nanosleep by such an instruction", made(SYS_nanosleep, &bad, NULL), -EINVAL);
}

static void registers(void) {
    struct timespec wait = span(1000);
    uint64_t result = SYS_nanosleep, rbx = 1, rdx = 2, rsi = 0, rdi = (uint64_t)&wait, vector = 0x1234567887654321;
    register uint64_t r8 __asm__("r8") = 3, r9 __asm__("r9") = 4, r10 __asm__("r10") = 5;
    register uint64_t r12 __asm__("r12") = 6, r13 __asm__("r13") = 7, r14 __asm__("r14") = 8, r15 __asm__("r15") = 9;
    __asm__ volatile("movq %%rbx, %%xmm9\n\tmov $1, %%ebx\n\tsyscall\n\tmovq %%xmm9, %%rcx\n\t"
                     : "+a"(result), "+d"(rdx), "+S"(rsi), "+D"(rdi), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r12), "+r"(r13),
                       "+r"(r14), "+r"(r15), "+b"(vector), "=c"(rbx)
                     :
                     : "r11", "xmm9", "memory");
    expect("nanosleep", (long)result, 0);
    expect_true(vector == 1 && rdx == 2 && rsi == 0 && rdi == (uint64_t)&wait && r8 == 3 && r9 == 4 && r10 == 5 &&
                    r12 == 6 && r13 == 7 && r14 == 8 && r15 == 9 && rbx == 0x1234567887654321,
                "a call leaves all registers but rax, rcx and r11 as they were", "one has changed");
}

static void six_arguments(void) {
    const char *path = scratch("mapped");
    int fd = (int)expect_success("open", R(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600)));
    unlink(path);
    expect("ftruncate", R(ftruncate(fd, 8192)), 0);
    expect("pwrite", R(pwrite(fd, "sixth", 6, 4096)), 6);
    long at = syscall(SYS_mmap, NULL, 4096L, (long)PROT_READ, (long)MAP_SHARED, (long)fd, 4096L);
    expect_success("mmap", R(at));
    expect_true(strcmp((const char *)at, "sixth") == 0, "mmap's sixth argument, the offset, arrives", "other bytes");
}

static void by_the_api(void) {
    errno = 0;
    expect("shim_api_syscall of getpid", SHIM(shim_api_syscall)(SYS_getpid, 0, 0, 0, 0, 0, 0), getpid());
    struct timespec bad = {0, -1};
    long got = R(SHIM(shim_api_syscall)(SYS_nanosleep, (uint64_t)&bad, 0, 0, 0, 0, 0));
    expect("shim_api_syscall of a wrong nanosleep", got, -EINVAL);
}

static void native_section(void) {
    int32_t expected = SHIM(shim_process_native_pid)(SHIM(shim_processSharedMem)());
    __typeof__(shim_swapAllowNativeSyscalls) *swap = SHIM(shim_swapAllowNativeSyscalls);
    bool was = swap(true);
    long got = syscall(SYS_getpid);
    swap(was);
    expect("getpid where native calls are allowed", got, expected);
    expect("getpid afterwards", syscall(SYS_getpid), SHIM(shim_process_pid)(SHIM(shim_processSharedMem)()));
}

const struct check call_checks[] = {
    {"calls/results", results},
    {"calls/unknown", unknown},
    {"calls/native", native},
    {"calls/bad-pointers", bad_pointers},
    {"calls/large", large},
    {"calls/instructions", instructions},
    {"calls/registers", registers},
    {"calls/six-arguments", six_arguments},
    {"calls/api", by_the_api},
    {"calls/native-section", native_section},
    {NULL, NULL},
};
