/* Every function of the C interface, asked natively and as a guest.
 *
 * The mode comes in as the argument: "native" or "guest" (then with the expected host name), and
 * "exit" for the end of a thread. What is wrong goes out to standard output, one line each; the exit
 * status is the number of lines. Always true: what the headers document is asserted here once. */
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <shim/shim.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The start-up steps are in no header. */
void _shim_load(void);
void _shim_parent_init_ipc(void);
void _shim_ipc_wait_for_start_event(void);
void _shim_preload_only_child_ipc_wait_for_start_event(void);
void _shim_parent_init_host_shm(void);
void _shim_parent_init_manager_shm(void);
void _shim_parent_close_stdin(void);
void _shim_init_signal_stack(void);

static int wrong;
#define CHECK(fact)                                                                                \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            printf("line %d: not true: %s\n", __LINE__, #fact);                                    \
            wrong++;                                                                               \
        }                                                                                          \
    } while (0)

static int64_t realtime_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void versions(void) {
    CHECK(shim_version() == SHIM_VERSION);
    CHECK(shim_protocol_version() ==
          SHIM_PROTOCOL_VERSION_MAJOR * 65536u + SHIM_PROTOCOL_VERSION_MINOR);
}

static void null_is_answered(void) {
    char name[4] = "abc";
    CHECK(shim_manager_start_realtime_ns(NULL) == 0);
    CHECK(shim_manager_simulator_pid(NULL) == -1);
    CHECK(shim_manager_tsc_frequency_hz(NULL) == 0);
    CHECK(shim_manager_syscall_latency_ns(NULL) == 0);
    CHECK(shim_manager_vdso_latency_ns(NULL) == 0);
    CHECK(shim_host_id(NULL) == -1);
    CHECK(shim_host_name(NULL, name, sizeof name) == 0 && name[0] == 0 && name[1] == 'b');
    CHECK(shim_host_name(NULL, NULL, 0) == 0);
    CHECK(shim_host_simtime_ns(NULL) == 0);
    CHECK(shim_host_log_level(NULL) == -1);
    CHECK(shim_host_ipv4(NULL) == 0);
    CHECK(shim_process_pid(NULL) == -1);
    CHECK(shim_process_parent_pid(NULL) == -1);
    CHECK(shim_process_native_pid(NULL) == -1);
    CHECK(shim_thread_tid(NULL) == -1);
    CHECK(shim_thread_native_tid(NULL) == -1);
    CHECK(shim_thread_charged_ns(NULL) == 0);
}

static void system_calls(void) {
    CHECK(shim_api_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0) == getpid());
    errno = 0;
    CHECK(shim_api_syscall(SYS_close, (uint64_t)-1, 0, 0, 0, 0, 0) == -1 && errno == EBADF);
    errno = 0;
    CHECK(shim_api_syscall(SYS_getcwd, 1, 4096, 0, 0, 0, 0) == -1 && errno == EFAULT);
    errno = 0;
    CHECK(shim_api_syscall(100000, 0, 0, 0, 0, 0, 0) == -1 && errno == ENOSYS);
}

/* Each step has been taken by the constructor; again it does nothing, and descriptors stay. */
static void start_up_steps(void) {
    char byte;
    _shim_load();
    _shim_parent_init_ipc();
    _shim_ipc_wait_for_start_event();
    _shim_preload_only_child_ipc_wait_for_start_event();
    _shim_parent_init_host_shm();
    _shim_parent_init_manager_shm();
    _shim_parent_close_stdin();
    _shim_init_signal_stack();
    CHECK(read(0, &byte, 1) == 1 && byte == 'i');
    CHECK(read(0, &byte, 1) == 0);
}

/* Both ways of asking for names; freeing what is not there does nothing. */
static void names(const char *expected_name) {
    struct addrinfo hints = {0}, *list = NULL;
    struct ifaddrs *interfaces = NULL;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_CANONNAME;
    CHECK(shim_api_getaddrinfo("127.1", "80", &hints, &list) == 0);
    CHECK(list != NULL && list->ai_family == AF_INET && list->ai_next == NULL);
    CHECK(((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(((struct sockaddr_in *)list->ai_addr)->sin_port == htons(80));
    CHECK(strcmp(list->ai_canonname, "127.1") == 0);
    shim_api_freeaddrinfo(list);
    CHECK(shim_api_getaddrinfo("localhost", NULL, &hints, &list) == 0);
    shim_api_freeaddrinfo(list);
    shim_api_freeaddrinfo(NULL);
    list = NULL;
    CHECK(shim_api_getaddrinfo(NULL, NULL, NULL, &list) == EAI_NONAME && list == NULL);
    hints.ai_flags = -1;
    CHECK(shim_api_getaddrinfo("127.1", NULL, &hints, &list) == EAI_BADFLAGS && list == NULL);
    errno = 0;
    CHECK(shim_api_getaddrinfo("127.1", NULL, NULL, NULL) == EAI_SYSTEM && errno == EFAULT);
    errno = 0;
    CHECK(shim_api_getifaddrs(NULL) == -1 && errno == EFAULT);
    CHECK(shim_api_getifaddrs(&interfaces) == 0 && interfaces != NULL);
    CHECK(interfaces->ifa_name != NULL);
    shim_api_freeifaddrs(interfaces);
    shim_api_freeifaddrs(NULL);
    if (expected_name != NULL) {
        CHECK(shim_api_getaddrinfo(expected_name, NULL, NULL, &list) == 0);
        CHECK(((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr ==
              shim_host_ipv4(shim_hostSharedMem()));
        shim_api_freeaddrinfo(list);
    }
    /* The C library's own lists are freed by the C library. */
    CHECK(getaddrinfo("127.0.0.1", NULL, NULL, &list) == 0);
    shim_api_freeaddrinfo(list);
    CHECK(getifaddrs(&interfaces) == 0);
    shim_api_freeifaddrs(interfaces);
}

static void natively(void) {
    CHECK(!shim_is_managed());
    CHECK(shim_simtime_ns() == 0);
    CHECK(!shim_interpositionEnabled());
    CHECK(shim_swapAllowNativeSyscalls(true));
    CHECK(shim_swapAllowNativeSyscalls(false));
    CHECK(shim_swapAllowNativeSyscalls(false));
    CHECK(!shim_interpositionEnabled());
    CHECK(shim_managerSharedMem() == NULL);
    CHECK(shim_hostSharedMem() == NULL);
    CHECK(shim_processSharedMem() == NULL);
    CHECK(shim_threadSharedMem() == NULL);
    CHECK(shim_thisThreadEventIPC() == NULL);
}

static void blocks(const char *expected_name) {
    const struct ShimShmemManager *manager = shim_managerSharedMem();
    const struct ShimShmemHost *host = shim_hostSharedMem();
    const struct ShimShmemProcess *process = shim_processSharedMem();
    const struct ShimShmemThread *thread = shim_threadSharedMem();
    CHECK(manager != NULL && host != NULL && process != NULL && thread != NULL);
    CHECK(shim_thisThreadEventIPC() != NULL);

    CHECK(shim_manager_simulator_pid(manager) > 1);
    CHECK(shim_manager_tsc_frequency_hz(manager) > 0);
    CHECK(shim_manager_syscall_latency_ns(manager) > 0);
    CHECK(shim_manager_vdso_latency_ns(manager) > 0);

    char name[65], cut[4] = "zzz";
    CHECK(shim_host_id(host) == 0);
    CHECK(shim_host_name(host, name, sizeof name) == strlen(expected_name));
    CHECK(strcmp(name, expected_name) == 0);
    CHECK(shim_host_name(host, cut, 3) == strlen(expected_name));
    CHECK(strncmp(cut, expected_name, 2) == 0 && cut[2] == 0);
    CHECK(shim_host_name(host, NULL, 0) == strlen(expected_name));
    CHECK(shim_host_log_level(host) >= 0 && shim_host_log_level(host) <= 5);
    CHECK(shim_host_simtime_ns(host) <= shim_simtime_ns());

    CHECK(shim_process_pid(process) == getpid());
    CHECK(shim_process_parent_pid(process) == getppid());
    CHECK(shim_process_native_pid(process) > 0);
    CHECK(shim_thread_tid(thread) == (int)syscall(SYS_gettid));
    CHECK(shim_thread_native_tid(thread) == shim_process_native_pid(process));

    uint64_t charged = shim_thread_charged_ns(thread);
    CHECK(shim_simtime_ns() == shim_host_simtime_ns(host) + charged);
    CHECK(shim_simtime_ns() == shim_host_simtime_ns(host) + charged); /* reading costs nothing */
    int64_t now = realtime_ns();
    int64_t simulated = shim_manager_start_realtime_ns(manager) + (int64_t)shim_simtime_ns();
    CHECK(now <= simulated && simulated - now < 100000);
}

static void time_passes(void) {
    struct timespec hour = {3600, 0};
    uint64_t before = shim_simtime_ns();
    CHECK(shim_api_syscall(SYS_nanosleep, (uint64_t)&hour, 0, 0, 0, 0, 0) == 0);
    uint64_t slept = shim_simtime_ns() - before;
    CHECK(slept >= UINT64_C(3600000000000) && slept < UINT64_C(3600001000000));
}

static void native_toggle(void) {
    int virtual_pid = getpid(), native_pid = shim_process_native_pid(shim_processSharedMem());
    CHECK(shim_interpositionEnabled());
    CHECK(!shim_swapAllowNativeSyscalls(true));
    CHECK(!shim_interpositionEnabled());
    CHECK(syscall(SYS_getpid) == native_pid);
    CHECK(realtime_ns() > INT64_C(1700000000000000000)); /* no machine shows 2023 any more */
    CHECK(shim_api_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0) == virtual_pid);
    CHECK(shim_swapAllowNativeSyscalls(true));
    CHECK(shim_swapAllowNativeSyscalls(false));
    CHECK(shim_interpositionEnabled());
    CHECK(syscall(SYS_getpid) == virtual_pid);
    CHECK(realtime_ns() < INT64_C(1700000000000000000));
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "exit") == 0) {
        shim_freeSignalStack();
        shim_freeSignalStack();
        shim_release_and_exit_current_thread(7);
    }
    versions();
    null_is_answered();
    system_calls();
    start_up_steps();
    if (strcmp(mode, "native") == 0) {
        natively();
        names(NULL);
    } else if (strcmp(mode, "guest") == 0 && argc > 2) {
        CHECK(shim_is_managed());
        blocks(argv[2]);
        names(argv[2]);
        time_passes();
        native_toggle();
        blocks(argv[2]);
    } else {
        puts("usage: capi native | guest NAME | exit");
        return 2;
    }
    return wrong;
}
