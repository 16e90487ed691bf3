/* The C interface as programs of release 0.1 know it: constants, macros and the type of each function.
 *
 * The headers come in, a compiler's verdict goes out. Always true: this file only grows; a later release has
 * a file of its own beside it, and every one of them keeps compiling, as C and as C++, for as long as the
 * library is libshim.so.1. It is frozen: nothing makes it anew. */
#include <shim/shim.h>

#ifdef __cplusplus
#define FROZEN(fact) static_assert(fact, #fact)
#else
#define FROZEN(fact) _Static_assert(fact, #fact)
#endif

FROZEN(SHIM_VERSION >= SHIM_VERSION_ENCODE(0, 1, 0));
FROZEN(SHIM_VERSION_ENCODE(1, 2, 3) == 0x010203);
FROZEN(sizeof(SHIM_VERSION_STRING) >= sizeof("0.1.0"));
FROZEN(SHIM_PROTOCOL_VERSION_MAJOR >= 0 && SHIM_PROTOCOL_VERSION_MINOR >= 0);
FROZEN(SHIM_FEATURE_SYSCALLS == 1ull);
FROZEN(SHIM_FEATURE_CLOCKS == 2ull);
FROZEN(SHIM_FEATURE_NAMES == 4ull);
FROZEN(SHIM_FEATURE_TSC == 8ull);
FROZEN(SHIM_FEATURE_CPUID == 16ull);
FROZEN(SHIM_LOG_ERROR == 1);
FROZEN(SHIM_LOG_WARNING == 2);
FROZEN(SHIM_LOG_INFORMATION == 3);
FROZEN(SHIM_LOG_DEBUGGING == 4);
FROZEN(SHIM_LOG_EVERYTHING == 5);

/* A function whose type has changed does not fit its pointer. */
extern uint32_t (*const use_shim_version)(void);
uint32_t (*const use_shim_version)(void) = shim_version;
extern uint32_t (*const use_shim_protocol_version)(void);
uint32_t (*const use_shim_protocol_version)(void) = shim_protocol_version;
extern uint64_t (*const use_shim_features)(void);
uint64_t (*const use_shim_features)(void) = shim_features;
extern int64_t (*const use_shim_api_syscall)(long n, uint64_t arg1, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5, uint64_t arg6);
int64_t (*const use_shim_api_syscall)(long n, uint64_t arg1, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5, uint64_t arg6) = shim_api_syscall;
extern int (*const use_shim_api_getaddrinfo)(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result);
int (*const use_shim_api_getaddrinfo)(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) = shim_api_getaddrinfo;
extern void (*const use_shim_api_freeaddrinfo)(struct addrinfo *list);
void (*const use_shim_api_freeaddrinfo)(struct addrinfo *list) = shim_api_freeaddrinfo;
extern int (*const use_shim_api_getifaddrs)(struct ifaddrs **result);
int (*const use_shim_api_getifaddrs)(struct ifaddrs **result) = shim_api_getifaddrs;
extern void (*const use_shim_api_freeifaddrs)(struct ifaddrs *list);
void (*const use_shim_api_freeifaddrs)(struct ifaddrs *list) = shim_api_freeifaddrs;
extern bool (*const use_shim_is_managed)(void);
bool (*const use_shim_is_managed)(void) = shim_is_managed;
extern uint64_t (*const use_shim_simtime_ns)(void);
uint64_t (*const use_shim_simtime_ns)(void) = shim_simtime_ns;
extern bool (*const use_shim_swapAllowNativeSyscalls)(bool allow);
bool (*const use_shim_swapAllowNativeSyscalls)(bool allow) = shim_swapAllowNativeSyscalls;
extern bool (*const use_shim_interpositionEnabled)(void);
bool (*const use_shim_interpositionEnabled)(void) = shim_interpositionEnabled;
extern const struct ShimShmemManager *(*const use_shim_managerSharedMem)(void);
const struct ShimShmemManager *(*const use_shim_managerSharedMem)(void) = shim_managerSharedMem;
extern const struct ShimShmemHost *(*const use_shim_hostSharedMem)(void);
const struct ShimShmemHost *(*const use_shim_hostSharedMem)(void) = shim_hostSharedMem;
extern const struct ShimShmemProcess *(*const use_shim_processSharedMem)(void);
const struct ShimShmemProcess *(*const use_shim_processSharedMem)(void) = shim_processSharedMem;
extern const struct ShimShmemThread *(*const use_shim_threadSharedMem)(void);
const struct ShimShmemThread *(*const use_shim_threadSharedMem)(void) = shim_threadSharedMem;
extern const struct ShimIPC *(*const use_shim_thisThreadEventIPC)(void);
const struct ShimIPC *(*const use_shim_thisThreadEventIPC)(void) = shim_thisThreadEventIPC;
extern int64_t (*const use_shim_manager_start_realtime_ns)(const struct ShimShmemManager *manager);
int64_t (*const use_shim_manager_start_realtime_ns)(const struct ShimShmemManager *manager) = shim_manager_start_realtime_ns;
extern int32_t (*const use_shim_manager_simulator_pid)(const struct ShimShmemManager *manager);
int32_t (*const use_shim_manager_simulator_pid)(const struct ShimShmemManager *manager) = shim_manager_simulator_pid;
extern uint64_t (*const use_shim_manager_tsc_frequency_hz)(const struct ShimShmemManager *manager);
uint64_t (*const use_shim_manager_tsc_frequency_hz)(const struct ShimShmemManager *manager) = shim_manager_tsc_frequency_hz;
extern uint64_t (*const use_shim_manager_syscall_latency_ns)(const struct ShimShmemManager *manager);
uint64_t (*const use_shim_manager_syscall_latency_ns)(const struct ShimShmemManager *manager) = shim_manager_syscall_latency_ns;
extern uint64_t (*const use_shim_manager_vdso_latency_ns)(const struct ShimShmemManager *manager);
uint64_t (*const use_shim_manager_vdso_latency_ns)(const struct ShimShmemManager *manager) = shim_manager_vdso_latency_ns;
extern int64_t (*const use_shim_host_id)(const struct ShimShmemHost *host);
int64_t (*const use_shim_host_id)(const struct ShimShmemHost *host) = shim_host_id;
extern size_t (*const use_shim_host_name)(const struct ShimShmemHost *host, char *name, size_t size_bytes);
size_t (*const use_shim_host_name)(const struct ShimShmemHost *host, char *name, size_t size_bytes) = shim_host_name;
extern uint64_t (*const use_shim_host_simtime_ns)(const struct ShimShmemHost *host);
uint64_t (*const use_shim_host_simtime_ns)(const struct ShimShmemHost *host) = shim_host_simtime_ns;
extern int32_t (*const use_shim_host_log_level)(const struct ShimShmemHost *host);
int32_t (*const use_shim_host_log_level)(const struct ShimShmemHost *host) = shim_host_log_level;
extern uint32_t (*const use_shim_host_ipv4)(const struct ShimShmemHost *host);
uint32_t (*const use_shim_host_ipv4)(const struct ShimShmemHost *host) = shim_host_ipv4;
extern int32_t (*const use_shim_process_pid)(const struct ShimShmemProcess *process);
int32_t (*const use_shim_process_pid)(const struct ShimShmemProcess *process) = shim_process_pid;
extern int32_t (*const use_shim_process_parent_pid)(const struct ShimShmemProcess *process);
int32_t (*const use_shim_process_parent_pid)(const struct ShimShmemProcess *process) = shim_process_parent_pid;
extern int32_t (*const use_shim_process_native_pid)(const struct ShimShmemProcess *process);
int32_t (*const use_shim_process_native_pid)(const struct ShimShmemProcess *process) = shim_process_native_pid;
extern int32_t (*const use_shim_thread_tid)(const struct ShimShmemThread *thread);
int32_t (*const use_shim_thread_tid)(const struct ShimShmemThread *thread) = shim_thread_tid;
extern int32_t (*const use_shim_thread_native_tid)(const struct ShimShmemThread *thread);
int32_t (*const use_shim_thread_native_tid)(const struct ShimShmemThread *thread) = shim_thread_native_tid;
extern uint64_t (*const use_shim_thread_charged_ns)(const struct ShimShmemThread *thread);
uint64_t (*const use_shim_thread_charged_ns)(const struct ShimShmemThread *thread) = shim_thread_charged_ns;
extern void (*const use_shim_release_and_exit_current_thread)(int status);
void (*const use_shim_release_and_exit_current_thread)(int status) = shim_release_and_exit_current_thread;
extern void (*const use_shim_freeSignalStack)(void);
void (*const use_shim_freeSignalStack)(void) = shim_freeSignalStack;
extern int (*const use_shim_log)(int32_t level, const char *text);
int (*const use_shim_log)(int32_t level, const char *text) = shim_log;

/* Native sections keep their form. */
static inline bool a_section(void) {
    bool is_simulated;
    SHIM_NATIVE_BEGIN(was);
    is_simulated = shim_interpositionEnabled();
    SHIM_NATIVE_END(was);
    return is_simulated;
}
extern bool (*const use_a_section)(void);
bool (*const use_a_section)(void) = a_section;
