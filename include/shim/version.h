/* Which library this is, and which one is loaded. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from src/capi/ by `cargo run -p shim-gen`; do not edit. */

#ifndef SHIM_VERSION_H
#define SHIM_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/export.h"

/* Version of these headers; shim_version() tells that of the library that is loaded. */
#define SHIM_VERSION_MAJOR 0
#define SHIM_VERSION_MINOR 1
#define SHIM_VERSION_PATCH 0
#define SHIM_VERSION_STRING "0.1.0"

/* One number for a version, to compare: later versions have greater numbers. */
#define SHIM_VERSION_ENCODE(major, minor, patch) (((major) * 65536) + ((minor) * 256) + (patch))
#define SHIM_VERSION \
    SHIM_VERSION_ENCODE(SHIM_VERSION_MAJOR, SHIM_VERSION_MINOR, SHIM_VERSION_PATCH)

/* Protocol between library and simulator at the time of these headers. */
#define SHIM_PROTOCOL_VERSION_MAJOR 1
#define SHIM_PROTOCOL_VERSION_MINOR 0


/**
 * The program's system calls arrive at the simulation.
 */
#define SHIM_FEATURE_SYSCALLS 1ull

/**
 * The program's clocks show simulated time, also those that it reads without a system call.
 */
#define SHIM_FEATURE_CLOCKS 2ull

/**
 * The functions of names and interfaces know the simulation's hosts.
 */
#define SHIM_FEATURE_NAMES 4ull

/**
 * The time stamp counter shows simulated time.
 */
#define SHIM_FEATURE_TSC 8ull

/**
 * The instruction CPUID tells about the simulated machine.
 */
#define SHIM_FEATURE_CPUID 16ull

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Version of the library that is loaded, as SHIM_VERSION encodes it.
 *
 * A program compares it with SHIM_VERSION, the version of the headers that it was compiled with:
 * shim_version() >= SHIM_VERSION means that everything that those headers declare is there.
 *
 * Returns: major * 65536 + minor * 256 + patch.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: the same.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint32_t shim_version(void);

/**
 * Version of the protocol that the library speaks with a simulator.
 *
 * A simulator whose protocol does not fit refuses to start the program, so a guest needs this
 * number only for messages.
 *
 * Returns: major * 65536 + minor.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: the same.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint32_t shim_protocol_version(void);

/**
 * What this process has of a simulation.
 *
 * Some of it depends on the processor and on how the simulator was asked to run; a program that
 * needs it asks here, not for a version. Bits that these headers do not name may be set too.
 *
 * Returns: the SHIM_FEATURE_* bits that hold.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: 0.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shim_features(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHIM_VERSION_H */
