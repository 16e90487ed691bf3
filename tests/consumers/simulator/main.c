/* A small simulator of one host, written from docs/protocol.md and docs/protocol.h alone.

   It runs one program and what that makes by fork(2), moves a clock of its own from event to event, and tells at
   the end how far it came. It knows processes, waiting for them, sleeping and signals; no threads, no descriptors
   of its own, no network: what it does not know is -ENOSYS, and named.

       cc -std=c11 -I docs main.c mechanism.c -o simulator
       ./simulator /usr/lib/libshim.so.1 /usr/bin/sleep 5 */

#include "simulator.h"

#include <linux/sched.h>

static const uint64_t SLICE = 1000000;

/* ---- Signals. ---- */

static const uint64_t IGNORED = 1ULL << (SIGCHLD - 1) | 1ULL << (SIGCONT - 1) | 1ULL << (SIGURG - 1) |
                                1ULL << (SIGWINCH - 1);

/* The lowest signal that does something to the task now; what does nothing is forgotten. */
static int deliverable(struct task *task) {
    for (int signal = 1; signal <= 64; signal++) {
        uint64_t bit = 1ULL << (signal - 1), handler = task->process->actions[signal - 1].handler;
        if (!(task->pending & bit & ~task->thread->signal_mask))
            continue;
        if (handler > 1 || (handler == 0 && !(IGNORED & bit)))
            return signal;
        task->pending &= ~bit;
    }
    return 0;
}

static void become_ready(struct task *task, int64_t result) {
    memset(task->reply, 0, sizeof task->reply);
    task->reply[0] = SHIMPROTO_REPLY_COMPLETE | SHIMPROTO_COMPLETE_CLOCK_ADVANCED;
    task->reply[1] = (uint64_t)result;
    task->state = READY;
    task->order = ++last_order;
}

static void send_signal(struct task *task, int signal, struct told told) {
    task->pending |= 1ULL << (signal - 1);
    task->told[signal] = told;
    int is_waiting = task->state == ASLEEP || task->state == WAITS_FOR_CHILD || task->state == WAITS_FOR_SIGNAL;
    if (is_waiting && deliverable(task))
        become_ready(task, task->state == WAITS_FOR_CHILD ? -(int64_t)SHIMPROTO_ERESTARTSYS : -EINTR);
}

/* Say what there is to say, and give the task control. */
static void give(struct task *task) {
    uint64_t *reply = task->reply;
    int signal = task->takes_signals && (uint32_t)reply[0] == SHIMPROTO_REPLY_COMPLETE ? deliverable(task) : 0;
    task->takes_signals = 0;
    if (signal && task->process->actions[signal - 1].handler == 0) {
        memset(reply, 0, sizeof task->reply);
        reply[0] = SHIMPROTO_REPLY_DIE | (uint64_t)signal << 32;
    } else if (signal) {
        task->pending &= ~(1ULL << (signal - 1));
        reply[0] |= SHIMPROTO_COMPLETE_SIGNAL;
        reply[3] = (uint64_t)signal | (uint64_t)(uint32_t)task->told[signal].code << 32;
        reply[4] = task->told[signal].sender;
        reply[5] = task->told[signal].value;
    }
    if (task->copy[1] != 0) {
        memcpy(task->thread->channel.data, task->copy, sizeof task->copy);
        reply[2] = sizeof task->copy;
    }
    memset(task->copy, 0, sizeof task->copy);
    uint64_t until = UINT64_MAX;
    for (struct task *other = tasks; other < tasks + MAX_TASKS; other++) {
        if (other->state == ASLEEP && other->wake_at < until)
            until = other->wake_at;
        if (other != task && other->state == READY && now + SLICE < until)
            until = now + SLICE;
    }
    common->host.now_ns = now;
    common->host.run_until_ns = until;
    task->thread->pending_signals = task->pending;
    memcpy(task->thread->channel.reply, reply, sizeof task->reply);
    hand_over(task);
}

/* ---- Requests and replies: calls. ---- */

/* Eight bytes at most, which go with the next reply. */
static void write_memory(struct task *task, uint64_t at, uint64_t value, size_t bytes) {
    if (at != 0) {
        task->copy[0] = at;
        task->copy[1] = bytes;
        task->copy[2] = value;
    }
}

static struct task *find(uint32_t pid) {
    for (struct task *task = tasks; task < tasks + MAX_TASKS; task++)
        if (task->state != UNUSED && task->state != DEAD && task->pid == pid)
            return task;
    return NULL;
}

enum { WAITS = 1 };

/* Sleep; the result, or that it waits. */
static int sleep_until(struct task *task, uint64_t end) {
    task->wake_at = end;
    task->state = end > now ? ASLEEP : READY;
    task->order = ++last_order;
    return WAITS;
}

static int call_sleep(struct task *task, const uint64_t *request, int64_t *result, uint64_t clock, int is_absolute,
                      uint64_t at) {
    const uint64_t is_known = 1 << CLOCK_REALTIME | 1 << CLOCK_MONOTONIC | 1 << CLOCK_BOOTTIME | 1 << CLOCK_TAI;
    int64_t time[2];
    if (clock > CLOCK_TAI || !(is_known >> clock & 1)) {
        *result = -EINVAL;
        return 0;
    }
    if (!read_memory(task, request, at, time, sizeof time)) {
        *result = -EFAULT;
        return 0;
    }
    if (time[0] < 0 || time[1] < 0 || time[1] >= (int64_t)SECOND) {
        *result = -EINVAL;
        return 0;
    }
    uint64_t ns = (uint64_t)time[0] * SECOND + (uint64_t)time[1], zero = now;
    if (is_absolute)
        zero = clock == CLOCK_REALTIME || clock == CLOCK_TAI ? -(START * SECOND) : -common->host.uptime_at_start_ns;
    become_ready(task, 0);
    return sleep_until(task, (uint64_t)time[0] > UINT64_MAX / 4 / SECOND ? UINT64_MAX - 1 : zero + ns);
}

/* wait4(pid, status, options): the result, or that it waits. */
static int call_wait(struct task *task, const uint64_t args[3], int64_t *result) {
    int has_child = 0;
    for (struct task *child = tasks; child < tasks + MAX_TASKS; child++) {
        if (child->state == UNUSED || child->parent != task->pid || ((int)args[0] > 0 && child->pid != args[0]))
            continue;
        has_child = 1;
        if (child->state == DEAD) {
            *result = child->pid;
            write_memory(task, args[1], (uint64_t)(uint32_t)child->status, 4);
            child->state = UNUSED;
            return 0;
        }
    }
    *result = has_child ? 0 : -ECHILD;
    if (!has_child || args[2] & WNOHANG)
        return 0;
    task->state = WAITS_FOR_CHILD;
    task->wait_args[0] = args[0];
    task->wait_args[1] = args[1];
    return WAITS;
}

/* Births: a process. Returns what the parent is told, or that it waits. */
static int call_clone(struct task *parent, uint64_t flags, uint64_t parent_tid, int64_t *result) {
    const uint64_t unknown = CLONE_THREAD | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_PIDFD | CLONE_NEWNS;
    *result = -ENOSYS;
    if (flags & unknown || (flags & CLONE_VM && !(flags & CLONE_VFORK))) {
        say("pid %u asked for a thread, or for what is not here of clone", parent->pid);
        return 0;
    }
    uint32_t limit = parent->process->descriptor_limit;
    struct task *child = new_task(parent->pid, SHIMPROTO_CONTROL_SIMULATOR, limit);
    *result = -EAGAIN;
    if (child == NULL)
        return 0;
    uint64_t index = (uint64_t)(child - tasks), request[8];
    uint64_t ask[8] = {SHIMPROTO_REPLY_ADD_THREAD, index | index << 32};
    do {
        memcpy(parent->thread->channel.reply, ask, sizeof ask);
        hand_over(parent);
        if (!wait_for(parent)) {
            /* A child that exists all the same ends upon that; its blocks are not used again. */
            close_channel(child);
            child->state = DEAD;
            child->parent = 0;
            return WAITS;
        }
        memcpy(request, parent->thread->channel.request, sizeof request);
        parent->thread->ring.tail = parent->thread->ring.head;
        memset(ask, 0, sizeof ask);
        ask[0] = SHIMPROTO_REPLY_COMPLETE;
    } while ((uint32_t)request[0] == SHIMPROTO_REQUEST_DRAIN);
    *result = (int64_t)request[1];
    if ((uint32_t)request[0] != SHIMPROTO_REQUEST_ADD_THREAD_RES || *result <= 0) {
        child->state = UNUSED;
        return 0;
    }
    child->native = (pid_t)*result;
    *result = child->pid;
    if (flags & CLONE_PARENT_SETTID)
        write_memory(parent, parent_tid, child->pid, 4);
    if (!(flags & CLONE_VFORK))
        return 0;
    child->is_vfork = 1;
    become_ready(parent, child->pid);
    parent->state = WAITS_FOR_VFORK;
    return WAITS;
}

/* The child has left its parent's memory. */
static void end_vfork(struct task *child) {
    struct task *parent = child->is_vfork ? find(child->parent) : NULL;
    child->is_vfork = 0;
    if (parent != NULL && parent->state == WAITS_FOR_VFORK)
        parent->state = READY;
}

static int call_kill(int64_t *result, uint32_t sender, int32_t code, uint64_t pid, uint64_t signal) {
    struct task *target = find((uint32_t)pid);
    *result = target == NULL ? -ESRCH : signal > 64 ? -EINVAL : 0;
    if (*result == 0 && signal != 0)
        send_signal(target, (int)signal, (struct told){sender, code, 0});
    return 0;
}

static int call(struct task *task, const uint64_t *request, int64_t *result) {
    const uint64_t *args = request + 1;
    uint32_t number = (uint32_t)(request[0] >> 32);
    *result = 0;
    switch (number) {
    case SYS_exit:
    case SYS_exit_group: /* whatever it is told, it exits */
    case SHIMPROTO_PSEUDO_REPLACE_IMAGE:
    case SYS_set_robust_list:
        return 0;
    case SYS_set_tid_address:
        *result = task->pid;
        return 0;
    case SYS_futex: /* nobody waits: there are no threads; a C library ends if this fails */
        *result = (args[1] & 127) == 1 || (args[1] & 127) == 10 ? 0 : -ENOSYS;
        return 0;
    case SYS_nanosleep:
        return call_sleep(task, request, result, CLOCK_MONOTONIC, 0, args[0]);
    case SYS_clock_nanosleep:
        return call_sleep(task, request, result, args[0], args[1] & TIMER_ABSTIME, args[2]);
    case SYS_sched_yield:
        become_ready(task, 0);
        return WAITS;
    case SYS_pause:
    case SYS_rt_sigsuspend:
        *result = -EINTR;
        if (deliverable(task))
            return 0;
        task->state = WAITS_FOR_SIGNAL;
        return WAITS;
    case SYS_wait4:
        return call_wait(task, args, result);
    case SYS_clone:
        return call_clone(task, args[0], args[2], result);
    case SYS_kill:
        return call_kill(result, task->pid, SI_USER, args[0], args[1]);
    case SYS_tkill:
        return call_kill(result, task->pid, SI_TKILL, args[0], args[1]);
    case SYS_tgkill:
        return call_kill(result, task->pid, SI_TKILL, args[1], args[2]);
    default:
        say("pid %u asked for call %u, which is not here", task->pid, number);
        *result = -ENOSYS;
        return 0;
    }
}

/* ---- A turn, and ends. ---- */

/* The task is dead: it becomes a zombie, and its parent hears of it. */
static void bury(struct task *task) {
    drain(task);
    if (task->process->failure[0] != 0)
        say("pid %u failed: %.*s", task->pid, 511, task->process->failure);
    waitpid(task->native, &task->status, __WALL);
    task->state = DEAD;
    end_vfork(task);
    for (struct task *child = tasks; child < tasks + MAX_TASKS; child++)
        if (child->parent == task->pid)
            child->parent = 0;
    struct task *parent = find(task->parent);
    int64_t result;
    if (parent == NULL && task != tasks) {
        task->state = UNUSED;
    } else if (parent != NULL) {
        uint64_t args[3] = {parent->wait_args[0], parent->wait_args[1], 0};
        if (parent->state == WAITS_FOR_CHILD && call_wait(parent, args, &result) == 0)
            become_ready(parent, result);
        int is_exit = WIFEXITED(task->status);
        int code = is_exit ? CLD_EXITED : WCOREDUMP(task->status) ? CLD_DUMPED : CLD_KILLED;
        int value = is_exit ? WEXITSTATUS(task->status) : WTERMSIG(task->status);
        send_signal(parent, SIGCHLD, (struct told){task->pid, code, (uint64_t)value});
    }
}

/* Serve a task until it waits or is dead. */
static void turn(struct task *task) {
    if (!task->has_control)
        give(task);
    task->has_control = 0;
    for (;;) {
        if (!wait_for(task)) {
            bury(task);
            return;
        }
        drain(task);
        uint64_t request[8], time = now + task->thread->charged_ns;
        int64_t result = 0;
        memcpy(request, task->thread->channel.request, sizeof request);
        switch ((uint32_t)request[0]) {
        case SHIMPROTO_REQUEST_START:
            end_vfork(task);
            memset(task->reply, 0, sizeof task->reply);
            task->reply[0] = SHIMPROTO_REPLY_STARTED;
            give(task);
            continue;
        case SHIMPROTO_REQUEST_SYSCALL:
            /* Whoever waits does so from its own time on, to which the host's clock moves. */
            now = time;
            become_ready(task, 0);
            task->takes_signals = 1;
            if (call(task, request, &result) == WAITS)
                return;
            break;
        case SHIMPROTO_REQUEST_LIMIT:
        case SHIMPROTO_REQUEST_PREEMPTED:
            now = time;
            become_ready(task, 0);
            return;
        case SHIMPROTO_REQUEST_SIGNALS:
            task->takes_signals = 1;
            break;
        case SHIMPROTO_REQUEST_DRAIN:
            break;
        default:
            say("pid %u sent a message that nobody understands", task->pid);
            kill(task->native, SIGKILL);
            continue;
        }
        now = time;
        become_ready(task, result);
        give(task);
    }
}

/* Whose turn it is; time passes until somebody can go on. */
static struct task *next(void) {
    for (;;) {
        struct task *first = NULL, *sleeper = NULL;
        for (struct task *task = tasks; task < tasks + MAX_TASKS; task++) {
            if (task->state == READY && (first == NULL || task->order < first->order))
                first = task;
            if (task->state == ASLEEP && (sleeper == NULL || task->wake_at < sleeper->wake_at))
                sleeper = task;
        }
        if (sleeper == NULL || (first != NULL && sleeper->wake_at > now))
            return first;
        if (sleeper->wake_at > now)
            now = sleeper->wake_at;
        sleeper->state = READY;
        sleeper->order = ++last_order;
    }
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: minimal_simulator LIBRARY PROGRAM [ARGUMENT...]\n");
        return 125;
    }
    char *library = realpath(argv[1], NULL);
    if (library == NULL)
        fail(argv[1]);
    check_note(library);
    make_memory(library);
    struct task *first = new_task(0, 0, 1024), *task;
    first->has_control = 1;
    common->host.run_until_ns = UINT64_MAX;
    launch(first, library, argv + 2);
    while ((task = next()) != NULL) {
        turn(task);
        for (task = tasks; task < tasks + MAX_TASKS; task++)
            if (task->state != UNUSED && task->state != DEAD && task->native != 0 && is_dead(task->native))
                bury(task);
    }
    if (first->state != DEAD) {
        say("nobody can go on");
        return 124;
    }
    say("status %#x", first->status);
    return WIFEXITED(first->status) ? WEXITSTATUS(first->status) : 128 + WTERMSIG(first->status);
}
