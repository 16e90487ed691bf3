/* System calls as the guest makes them, and simulated time. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from src/capi/ by `cargo run -p shim-gen`; do not edit. */

#ifndef SHIM_API_H
#define SHIM_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/export.h"

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Make system call number n as the program itself would.
 *
 * In a simulation the call is simulated, also while the calling thread's native system calls are
 * allowed (shim_swapAllowNativeSyscalls). Simulated time may pass, and the guest's signal handlers
 * may run before the function returns, as with any system call.
 *
 * n: the number, a SYS_* constant of <sys/syscall.h>.
 * arg1 to arg6: the arguments, in the order of the call's manual page; unused ones are ignored.
 * Ownership: memory that arguments point to stays the caller's; the call reads and writes it as its
 * manual page says.
 * Returns: the call's result, or -1 with errno set, as syscall(2) does.
 * Errors: those of the call. ENOSYS for a call that the simulation does not have; it is then named
 * in the summary of the run. A bad pointer is EFAULT.
 * Threads and signals: as safe as the call itself. errno belongs to the calling thread.
 * Outside a simulation: the real kernel executes the call.
 * Since: 0.1.
 */
SHIM_API
int64_t shim_api_syscall(long n,
                         uint64_t arg1,
                         uint64_t arg2,
                         uint64_t arg3,
                         uint64_t arg4,
                         uint64_t arg5,
                         uint64_t arg6);

/**
 * Whether this process is a guest, that is, runs in a simulation.
 *
 * Returns: true from the first instruction of the program on if a simulator started it, else false.
 * It never changes while a program runs.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: false.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
bool shim_is_managed(void);

/**
 * Simulated time of the calling thread.
 *
 * It is the time that the program's own clocks are made from: what the host's clock showed when the
 * thread was last given control, plus what the latency model has charged the thread since. Reading
 * it costs no simulated time.
 *
 * Returns: nanoseconds since the start of the simulation.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: 0.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shim_simtime_ns(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHIM_API_H */
