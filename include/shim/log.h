/* Records of the program's own in the log of the run. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from src/capi/ by `cargo run -p shim-gen`; do not edit. */

#ifndef SHIM_LOG_H
#define SHIM_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/export.h"

/**
 * Something failed.
 */
#define SHIM_LOG_ERROR 1

/**
 * Something is not as it should be.
 */
#define SHIM_LOG_WARNING 2

/**
 * Something worth knowing.
 */
#define SHIM_LOG_INFORMATION 3

/**
 * For whoever looks for a mistake.
 */
#define SHIM_LOG_DEBUGGING 4

/**
 * Every step.
 */
#define SHIM_LOG_EVERYTHING 5

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Write a record to the log of the run.
 *
 * In a simulation the simulator writes it with simulated time, host and process beside its own
 * records, if shim_host_log_level has reached the level. It costs no simulated time. Control
 * characters of the text are escaped there.
 *
 * level: one of SHIM_LOG_ERROR, SHIM_LOG_WARNING, SHIM_LOG_INFORMATION, SHIM_LOG_DEBUGGING,
 * SHIM_LOG_EVERYTHING.
 * text: UTF-8 that ends with a NUL and needs no newline; what follows its first 1000 bytes is cut.
 * Ownership: the text stays the caller's; nothing is kept.
 * Returns: 0, also if the level is not wanted and nothing is written, or a negated error number.
 * Errors: -EINVAL for another level. -EFAULT if text is NULL or not readable. errno is not touched.
 * Threads and signals: safe from any thread and in a signal handler.
 * Outside a simulation: a line "error: " and the text, or "warning: ", is written to standard error
 * at once; the other levels are not wanted.
 * Since: 0.1.
 */
SHIM_API
int shim_log(int32_t level,
             const char *text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHIM_LOG_H */
