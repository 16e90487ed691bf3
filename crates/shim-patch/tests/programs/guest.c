/*
 * A guest's half of rewritten libraries, as small as it gets: it maps images over what it finds, and its entries
 * execute natively what the sites would have. A program that is preloaded with it must do what it does without.
 *
 * SHIM_TEST_IMAGES names the images, colons between them; SHIM_TEST_COUNTS a file that gets a line from each
 * process that ends: how many calls came in through stubs. The format is that of shim_abi::image; no function of
 * the C library is called that could be in the way of replacing it, and nothing is linked, so that the
 * same object serves glibc and musl. The test is programs.rs.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

struct part {
    uint32_t offset, count;
};

struct text {
    int64_t address;
    uint64_t len_bytes, image_offset, file_offset;
};

struct header {
    uint64_t magic;
    uint32_t version, area_bytes;
    int64_t area_address;
    uint64_t doors[4];
    uint8_t build_id[32];
    uint64_t text_count;
    struct text texts[16];
    struct part stubs, places, displaced, traps, unwind;
};

struct trap {
    int32_t at;
    uint32_t door;
};

_Static_assert(sizeof(struct header) == HEADER_BYTES, "shim_abi::image::ImageHeader has changed");

/* Where areas are mapped, for test programs too. */
#define MAX_AREAS 8
const struct header *test_areas[MAX_AREAS];
static unsigned area_count;
static struct sigaction other_action;
extern uint64_t test_entered;

/*
 * The entries. They keep what the processor and the kernel keep, leave the red zone alone, and say to unwinders
 * where they were called from. `call` is left by a jump, for a call may have given the thread another stack
 * pointer; none of the calls that do are replaced.
 */
__asm__(".pushsection .text\n"
        ".macro enter door, register, number\n"
        "\\door:\n"
        ".cfi_startproc\n"
        ".cfi_def_cfa rsp, 0\n"
        ".cfi_register 16, \\number\n"
        "    lea -128(%rsp), %rsp\n"
        ".cfi_adjust_cfa_offset 128\n"
        "    push \\register\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_offset 16, -136\n"
        "    pushfq\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    lock incq test_entered(%rip)\n"
        "    popfq\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".endm\n"
        "enter test_call, %rcx, 2\n"
        "    syscall\n"
        "    pop %rcx\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_register 16, 2\n"
        "    lea 128(%rsp), %rsp\n"
        ".cfi_adjust_cfa_offset -128\n"
        "    jmp *%rcx\n"
        ".cfi_endproc\n"
        "enter test_rdtsc, %rdx, 1\n"
        "    rdtsc\n"
        "    ret $128\n"
        ".cfi_endproc\n"
        "enter test_rdtscp, %rdx, 1\n"
        "    rdtscp\n"
        "    ret $128\n"
        ".cfi_endproc\n"
        "enter test_cpuid, %rdx, 1\n"
        "    cpuid\n"
        "    ret $128\n"
        ".cfi_endproc\n"
        ".popsection\n"
        ".pushsection .bss\n"
        ".globl test_entered\n"
        ".hidden test_entered\n"
        ".balign 8\n"
        "test_entered: .skip 8\n"
        ".popsection\n");

extern const char test_call[] __attribute__((visibility("hidden")));
extern const char test_rdtsc[] __attribute__((visibility("hidden")));
extern const char test_rdtscp[] __attribute__((visibility("hidden")));
extern const char test_cpuid[] __attribute__((visibility("hidden")));

static int has_build_id(const struct dl_phdr_info *info, const uint8_t wanted[32])
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_NOTE)
            continue;
        const char *at = (const char *)(info->dlpi_addr + segment->p_vaddr);
        const char *end = at + segment->p_memsz;
        while (at < end) {
            const ElfW(Nhdr) *note = (const void *)at;
            const char *content = at + sizeof(*note) + ((note->n_namesz + 3) & ~3u);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz <= 32)
                return memcmp(content, wanted, note->n_descsz) == 0;
            at = content + ((note->n_descsz + 3) & ~3u);
        }
    }
    return 0;
}

static void map_over(const struct dl_phdr_info *info, int fd, const struct header *image)
{
    char *area = (char *)(info->dlpi_addr + image->area_address);
    struct header *header = (struct header *)area;
    int where = MAP_PRIVATE | MAP_FIXED_NOREPLACE;
    if (mmap(area, image->area_bytes, PROT_READ | PROT_EXEC, where, fd, 0) != area)
        _exit(121);
    mprotect(area, 4096, PROT_READ | PROT_WRITE);
    header->doors[0] = (uint64_t)test_call;
    header->doors[1] = (uint64_t)test_rdtsc;
    header->doors[2] = (uint64_t)test_rdtscp;
    header->doors[3] = (uint64_t)test_cpuid;
    mprotect(area, 4096, PROT_READ);
    for (uint64_t i = 0; i < image->text_count; i++) {
        const struct text *text = &image->texts[i];
        char *address = (char *)(info->dlpi_addr + text->address);
        int prot = PROT_READ | PROT_EXEC;
        /* This very call's site may be in what is replaced: its return address is valid before and after. */
        if (mmap(address, text->len_bytes, prot, MAP_PRIVATE | MAP_FIXED, fd, text->image_offset) !=
            address)
            _exit(122);
    }
    test_areas[area_count++] = header;
}

struct opened {
    int fd;
    const struct header *image;
    int is_done;
};

static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
    struct opened *opened = data;
    (void)size;
    if (has_build_id(info, opened->image->build_id)) {
        map_over(info, opened->fd, opened->image);
        opened->is_done = 1;
        return 1;
    }
    return 0;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)info;
    for (unsigned i = 0; i < area_count; i++) {
        const char *area = (const char *)test_areas[i];
        const struct trap *traps = (const void *)(area + test_areas[i]->traps.offset);
        for (uint32_t j = 0; j < test_areas[i]->traps.count; j++) {
            if (area + traps[j].at == (const char *)registers[REG_RIP]) {
                unsigned low, high;
                __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
                if (traps[j].door == 3)
                    _exit(123); /* cpuid: only the dynamic linker's start asks, before this. */
                registers[REG_RAX] = low;
                registers[REG_RDX] = high;
                registers[REG_RIP] += traps[j].door == 2 ? 3 : 2;
                return;
            }
        }
    }
    sigaction(signal, &other_action, 0);
}

__attribute__((constructor)) static void start(void)
{
    const char *list = getenv("SHIM_TEST_IMAGES");
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, &other_action);
    while (list && *list) {
        char path[512];
        size_t len = 0;
        while (list[len] && list[len] != ':')
            len++;
        memcpy(path, list, len);
        path[len] = 0;
        list += len + (list[len] == ':');
        struct opened opened = {open(path, O_RDONLY | O_CLOEXEC), 0, 0};
        opened.image = mmap(0, 4096, PROT_READ, MAP_PRIVATE, opened.fd, 0);
        if (opened.image == MAP_FAILED || opened.image->version != 2)
            _exit(120);
        dl_iterate_phdr(on_object, &opened);
        munmap((void *)opened.image, 4096);
        close(opened.fd);
    }
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("SHIM_TEST_COUNTS");
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    char line[24];
    size_t at = sizeof(line);
    uint64_t count = test_entered;
    line[--at] = '\n';
    do {
        line[--at] = '0' + count % 10;
    } while (count /= 10);
    if (fd >= 0 && write(fd, line + at, sizeof(line) - at) < 0)
        _exit(124);
    close(fd);
}
