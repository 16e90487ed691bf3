/* What a guest can read about itself, its machine and the simulation. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from src/capi/ by `cargo run -p shim-gen`; do not edit. */

#ifndef SHIM_SHMEM_H
#define SHIM_SHMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/export.h"

/**
 * The channel between one thread and the simulator. Opaque.
 */
typedef struct ShimIPC ShimIPC;

/**
 * One simulated machine. Opaque: read it with shim_host_*.
 */
typedef struct ShimShmemHost ShimShmemHost;

/**
 * What all hosts of a simulation have in common. Opaque: read it with shim_manager_*.
 */
typedef struct ShimShmemManager ShimShmemManager;

/**
 * One simulated process. Opaque: read it with shim_process_*.
 */
typedef struct ShimShmemProcess ShimShmemProcess;

/**
 * One simulated thread. Opaque: read it with shim_thread_*.
 */
typedef struct ShimShmemThread ShimShmemThread;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The manager block: what all hosts of the simulation have in common.
 *
 * Ownership: the library's; never freed by the caller, valid as long as the program runs.
 * Returns: the block, or NULL outside a simulation.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: NULL.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
const struct ShimShmemManager *shim_managerSharedMem(void);

/**
 * The host block: the simulated machine that this process runs on.
 *
 * Ownership: the library's; never freed by the caller, valid as long as the program runs.
 * Returns: the block, or NULL outside a simulation.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: NULL.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
const struct ShimShmemHost *shim_hostSharedMem(void);

/**
 * The process block: this process.
 *
 * Ownership: the library's; never freed by the caller, valid as long as the program runs. After fork
 * the child asks again: what its parent got is its parent's block.
 * Returns: the block, or NULL outside a simulation.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: NULL.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
const struct ShimShmemProcess *shim_processSharedMem(void);

/**
 * The thread block: the calling thread.
 *
 * Ownership: the library's; never freed by the caller, valid until the thread exits.
 * Returns: the block, or NULL outside a simulation.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: NULL.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
const struct ShimShmemThread *shim_threadSharedMem(void);

/**
 * The channel between the calling thread and the simulator.
 *
 * For libraries that are built together with the simulator; nothing in this API reads it.
 *
 * Ownership: the library's; never freed by the caller, valid until the thread exits.
 * Returns: the channel, or NULL outside a simulation.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: NULL.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
const struct ShimIPC *shim_thisThreadEventIPC(void);

/**
 * Calendar time at which the simulation starts.
 *
 * manager: as shim_managerSharedMem returned it, or NULL.
 * Returns: nanoseconds since 1970-01-01 00:00:00 UTC; negative before it. 0 if manager is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives 0.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int64_t shim_manager_start_realtime_ns(const struct ShimShmemManager *manager);

/**
 * Process id of the simulator, in the ids of the real machine.
 *
 * The guest cannot reach it: its own system calls know simulated ids only.
 *
 * manager: as shim_managerSharedMem returned it, or NULL.
 * Returns: the id. -1 if manager is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives -1.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int32_t shim_manager_simulator_pid(const struct ShimShmemManager *manager);

/**
 * Frequency of the time stamp counter that guests read.
 *
 * manager: as shim_managerSharedMem returned it, or NULL.
 * Returns: ticks per simulated second. 0 if manager is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives 0.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shim_manager_tsc_frequency_hz(const struct ShimShmemManager *manager);

/**
 * Simulated time that an answered system call costs.
 *
 * manager: as shim_managerSharedMem returned it, or NULL.
 * Returns: nanoseconds. 0 if manager is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives 0.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shim_manager_syscall_latency_ns(const struct ShimShmemManager *manager);

/**
 * Simulated time that a read of a clock without a system call costs.
 *
 * It holds for the functions of the vDSO and for the time stamp counter.
 *
 * manager: as shim_managerSharedMem returned it, or NULL.
 * Returns: nanoseconds. 0 if manager is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives 0.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shim_manager_vdso_latency_ns(const struct ShimShmemManager *manager);

/**
 * Number of the simulated machine in the simulation.
 *
 * host: as shim_hostSharedMem returned it, or NULL.
 * Returns: the number, from 0. -1 if host is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives -1.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int64_t shim_host_id(const struct ShimShmemHost *host);

/**
 * Copy the name of the simulated machine, as gethostname gives it.
 *
 * At most size_bytes - 1 bytes are stored, and a NUL after them; a longer name is cut. The name was
 * cut if what is returned is not smaller than size_bytes.
 *
 * host: as shim_hostSharedMem returned it, or NULL.
 * name: where the text goes; NULL only if size_bytes is 0.
 * size_bytes: size of that buffer; with 0 nothing is stored.
 * Ownership: the buffer is the caller's.
 * Returns: length of the whole name in bytes, without the NUL. 0, and an empty text, if host is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives an empty text.
 * Since: 0.1.
 */
SHIM_API
size_t shim_host_name(const struct ShimShmemHost *host,
                      char *name,
                      size_t size_bytes);

/**
 * Simulated time of the machine.
 *
 * It is the time at which the simulator last had control, and does not move while threads of the machine have it;
 * for the calling thread's own time, see shim_simtime_ns.
 *
 * host: as shim_hostSharedMem returned it, or NULL.
 * Returns: nanoseconds since the start of the simulation. 0 if host is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives 0.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shim_host_simtime_ns(const struct ShimShmemHost *host);

/**
 * Verbosity of the log records that guests of the machine write.
 *
 * host: as shim_hostSharedMem returned it, or NULL.
 * Returns: 0 off, 1 error, 2 warning, 3 information, 4 debugging, 5 everything. -1 if host is
 * NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives -1.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int32_t shim_host_log_level(const struct ShimShmemHost *host);

/**
 * IPv4 address of the machine's interface.
 *
 * host: as shim_hostSharedMem returned it, or NULL.
 * Returns: the address in network byte order, as in_addr.s_addr holds it. 0 if the machine has
 * none, and if host is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives 0.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint32_t shim_host_ipv4(const struct ShimShmemHost *host);

/**
 * Simulated id of the process: what getpid returns in it.
 *
 * process: as shim_processSharedMem returned it, or NULL.
 * Returns: the id. -1 if process is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives -1.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int32_t shim_process_pid(const struct ShimShmemProcess *process);

/**
 * Simulated id of the parent of the process.
 *
 * process: as shim_processSharedMem returned it, or NULL.
 * Returns: the id, or 0 if the parent is outside the simulation. -1 if process is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives -1.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int32_t shim_process_parent_pid(const struct ShimShmemProcess *process);

/**
 * Id of the process on the real machine, for tools outside the simulation.
 *
 * process: as shim_processSharedMem returned it, or NULL.
 * Returns: the id. -1 if process is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives -1.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int32_t shim_process_native_pid(const struct ShimShmemProcess *process);

/**
 * Simulated id of the thread: what gettid returns in it.
 *
 * thread: as shim_threadSharedMem returned it, or NULL.
 * Returns: the id. -1 if thread is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives -1.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int32_t shim_thread_tid(const struct ShimShmemThread *thread);

/**
 * Id of the thread on the real machine, for tools outside the simulation.
 *
 * thread: as shim_threadSharedMem returned it, or NULL.
 * Returns: the id. -1 if thread is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives -1.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int32_t shim_thread_native_tid(const struct ShimShmemThread *thread);

/**
 * Simulated time that has passed for the thread since shim_host_simtime_ns.
 *
 * It is what the latency model has charged, and what passed while threads of the machine waited for each other without
 * the simulator. Of a thread that waits it says nothing.
 *
 * thread: as shim_threadSharedMem returned it, or NULL.
 * Returns: nanoseconds. 0 if thread is NULL.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: there is no block to ask; NULL gives 0.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shim_thread_charged_ns(const struct ShimShmemThread *thread);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHIM_SHMEM_H */
