/* A small simulator of one host: what its two files share. See main.c. */

#ifndef MINIMAL_SIMULATOR_H
#define MINIMAL_SIMULATOR_H

#define _GNU_SOURCE
#include "protocol.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TASKS = 64 };
static const uint64_t SECOND = 1000000000, START = 946684800;

/* One process with its one thread; task i has process block i and thread block i. */
struct task {
    enum { UNUSED, READY, ASLEEP, WAITS_FOR_CHILD, WAITS_FOR_SIGNAL, WAITS_FOR_VFORK, DEAD } state;
    pid_t native;         /* 0: another task is about to make it */
    uint32_t pid, parent;
    int has_control;      /* it was launched, and has not said anything */
    int takes_signals;    /* the reply that it waits for may bring one */
    int is_vfork, status; /* status: as wait4(2) tells it */
    uint64_t order, wake_at, pending, wait_args[2];
    struct told {
        uint32_t sender;
        int32_t code;
        uint64_t value;
    } told[65]; /* what goes with the signals that are pending: see sigaction(2) */
    /* What it is told when it gets control; copy: a piece of its memory that goes along. */
    uint64_t reply[8], copy[3];
    struct shimproto_process_block *process;
    struct shimproto_thread_block *thread;
};

extern struct task tasks[MAX_TASKS];
extern struct shimproto_read_only_region *common;
extern uint64_t now, last_order;

/* mechanism.c */
void fail(const char *what);
void say(const char *format, ...);
void check_note(const char *path);
void make_memory(const char *library);
struct task *new_task(uint32_t parent, uint32_t control, uint32_t limit);
void hand_over(struct task *task);
void close_channel(struct task *task);
int is_dead(pid_t native);
int wait_for(struct task *task);
void drain(struct task *task);
int read_memory(struct task *task, const uint64_t *request, uint64_t at, void *out, size_t bytes);
void launch(struct task *task, const char *library, char **argv);

#endif
