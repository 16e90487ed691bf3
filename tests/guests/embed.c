/* What embedders use: native sections, log records, features; as C, and as C++ (compiled with -x c++).
 *
 * "native" or "guest" comes in as the argument; what is wrong goes out to standard output, and the
 * number of wrong lines is the exit status. Always true: the same assertions hold in both languages.
 * What the log looks like is asserted by the test that runs this. */
#include <errno.h>
#include <shim/shim.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef __cplusplus
#include <stdexcept>
#endif

static int wrong;
#define CHECK(fact)                                                                                \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            printf("line %d: not true: %s\n", __LINE__, #fact);                                    \
            wrong++;                                                                               \
        }                                                                                          \
    } while (0)

static void sections(bool is_guest) {
    CHECK(shim_interpositionEnabled() == is_guest);
    SHIM_NATIVE_BEGIN(outer);
    CHECK(!shim_interpositionEnabled());
    SHIM_NATIVE_BEGIN(inner);
    CHECK(!shim_interpositionEnabled());
    CHECK(time(NULL) > 1700000000);
    SHIM_NATIVE_END(inner);
    CHECK(!shim_interpositionEnabled());
    SHIM_NATIVE_END(outer);
    CHECK(shim_interpositionEnabled() == is_guest);
#ifdef __cplusplus
    {
        shim::native_section native;
        CHECK(!shim_interpositionEnabled());
        {
            shim::native_section simulated(false);
            CHECK(shim_interpositionEnabled() == is_guest);
        }
        CHECK(!shim_interpositionEnabled());
    }
    try {
        shim::native_section native;
        throw std::runtime_error("out of the section");
    } catch (const std::runtime_error &) {
        CHECK(shim_interpositionEnabled() == is_guest);
    }
#endif
}

static void records(void) {
    static char text[2000];
    uint64_t before = shim_simtime_ns();
    long page_bytes = sysconf(_SC_PAGESIZE);
    char *pages = (char *)mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *last = pages + page_bytes - 5; /* what follows it is not readable */

    errno = 77;
    CHECK(shim_log(SHIM_LOG_ERROR, "one \x1b[31m red") == 0);
    CHECK(shim_log(SHIM_LOG_WARNING, "two") == 0);
    CHECK(shim_log(SHIM_LOG_INFORMATION, "three") == 0);
    CHECK(shim_log(SHIM_LOG_DEBUGGING, "four") == 0);
    CHECK(shim_log(SHIM_LOG_EVERYTHING, "five") == 0);
    CHECK(shim_log(0, "none") == -EINVAL);
    CHECK(shim_log(6, "none") == -EINVAL);
    CHECK(shim_log(-1, "none") == -EINVAL);
    CHECK(shim_log(INT32_MAX, NULL) == -EINVAL);
    CHECK(shim_log(SHIM_LOG_ERROR, NULL) == -EFAULT);
    CHECK(shim_log(SHIM_LOG_EVERYTHING, (const char *)1) == -EFAULT);
    CHECK(shim_log(SHIM_LOG_ERROR, (const char *)UINTPTR_MAX) == -EFAULT);
    CHECK(errno == 77);

    CHECK(mprotect(pages + page_bytes, page_bytes, PROT_NONE) == 0);
    memcpy(last, "edge", 5);
    CHECK(shim_log(SHIM_LOG_ERROR, last) == 0);
    last[4] = '!';
    CHECK(shim_log(SHIM_LOG_ERROR, last) == -EFAULT);

    memset(text, 'x', sizeof text - 1);
    CHECK(shim_log(SHIM_LOG_ERROR, text) == 0);
    CHECK(shim_log(SHIM_LOG_ERROR, "not \xff\xfe text") == 0);
    CHECK(shim_simtime_ns() - before < 1000000); /* the calls to the C library, not the records */
}

static void many_records(void) {
    char text[32];
    uint64_t before = shim_simtime_ns();
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof text, "record %d", i);
        if (shim_log(SHIM_LOG_INFORMATION, text) != 0)
            wrong++;
    }
    CHECK(shim_simtime_ns() == before);
}

int main(int argc, char **argv) {
    bool is_guest = argc > 1 && strcmp(argv[1], "guest") == 0;
    uint64_t features = shim_features(), always = SHIM_FEATURE_SYSCALLS | SHIM_FEATURE_CLOCKS | SHIM_FEATURE_NAMES;
    CHECK(shim_is_managed() == is_guest);
    CHECK(is_guest ? (features & always) == always : features == 0);
    sections(is_guest);
    records();
    if (argc > 2)
        many_records();
    return wrong;
}
