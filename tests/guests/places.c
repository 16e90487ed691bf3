/* What a process gets from the machine by chance: random bytes and addresses.
 *
 * Nothing or "random" comes in; lines with bytes and, unless asked not to, addresses go out. Always true:
 * natively they differ from run to run, so a guest that prints the same twice has them from the simulation. */
#include "check.h"
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>

static void bytes(const char *name, const void *at, int count) {
    char text[64] = "";
    for (int i = 0; i < count; i++)
        snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)at)[i]);
    say("%s: %s", name, text);
}

static void from_file(const char *path) {
    char buffer[16];
    int fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, buffer, sizeof buffer) != sizeof buffer)
        abort();
    bytes(path, buffer, sizeof buffer);
    close(fd);
}

int main(int count, char **words) {
    char buffer[16];
    int local;
    bytes("AT_RANDOM", (void *)getauxval(AT_RANDOM), 16);
    for (int i = 0; i < 2; i++) {
        if (getrandom(buffer, sizeof buffer, 0) != sizeof buffer)
            abort();
        bytes("getrandom", buffer, sizeof buffer);
    }
    from_file("/dev/urandom");
    from_file("/dev/random");
    if (count == 2 && strcmp(words[1], "random") == 0)
        return 0;
    void *small = malloc(100), *large = malloc(1 << 20);
    void *mapped = mmap(NULL, 1 << 16, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("stack %p", (void *)&local);
    say("heap %p %p", small, large);
    say("break %p", sbrk(0));
    say("function %p", (void *)(uintptr_t)main);
    say("library %p", (void *)(uintptr_t)printf);
    say("mmap %p", mapped);
    say("vdso %lx", getauxval(AT_SYSINFO_EHDR));
    say("environment %p", (void *)environ);
    return 0;
}
