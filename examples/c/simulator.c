/* A complete small simulator on shim/supervisor.h: its own clock, its own names, its own answers.

       cc simulator.c -o simulator $(pkg-config --cflags --libs shim-supervisor)
       ./simulator

   Two machines, alpha and beta. alpha runs a shell script, which makes and waits for processes; both look each other up.
   What happens is printed in simulated time, and two runs print the same.

   The rule of this simulator is that one guest at a time has control, in the whole simulation. The others wait: for their
   turn (READY, in the order of their instants), or for something that has to happen first (WAITING). So the main loop is:
   who is next? - move its machine's clock to its instant, answer it - wait for the event that it comes back with - decide.
   Calls that are not in the table ANSWERS are not there on these machines: the guest is told so, and so are you. */

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <shim/supervisor.h>

#define NS_PER_S UINT64_C(1000000000)
#define MAX_PROCESSES 64

enum state {
    ABSENT,  /* this place in the table is free */
    READY,   /* goes on at `at_ns` with what `go_on` does */
    RUNNING, /* has control */
    WAITING, /* for a child's end */
    LENDING, /* its memory, to a child of vfork(2) */
    ENDED    /* dead; its parent has not asked yet */
};

struct process {
    enum state state;
    const char *host_name;
    shimsup_host *host;
    shimsup_guest *guest;
    uint32_t pid, parent;
    uint64_t at_ns;    /* when it goes on */
    uint64_t order;    /* of two that go on at the same instant, who first */
    int64_t result;    /* what it is answered with */
    struct process *vforker; /* its parent, if that waits for its execve or end */
    uint64_t status_at; /* where wait4(2) stores a status */
    int64_t wanted;     /* whom wait4(2) waits for */
    int status;         /* as wait4(2) tells it */
};

static struct process processes[MAX_PROCESSES];
static uint64_t orders;
static uint32_t last_pid = 100;
static shimsup_simulation *simulation;

static void check(int result)
{
    if (result < 0) {
        fprintf(stderr, "%s\n", shimsup_message());
        exit(1);
    }
}

/* Say what happened to a process, at its machine's now. */
static void tell(const struct process *p, const char *what, long long number)
{
    uint64_t now = shimsup_host_now_ns(p->host);

    printf("[%3llu.%09llu] %s %u: ", (unsigned long long)(now / NS_PER_S),
           (unsigned long long)(now % NS_PER_S), p->host_name, (unsigned)p->pid);
    printf(what, number);
    putchar('\n');
    /* Before the guest writes to the same stream. */
    fflush(stdout);
}

/* ---- who is next ---- */

static void ready_at(struct process *p, uint64_t at_ns, int64_t result)
{
    p->state = READY;
    p->at_ns = at_ns;
    p->order = ++orders;
    p->result = result;
}

static void ready(struct process *p, int64_t result)
{
    ready_at(p, shimsup_host_now_ns(p->host), result);
}

static struct process *next(void)
{
    struct process *first = NULL;

    for (struct process *p = processes; p < processes + MAX_PROCESSES; p++)
        if (p->state == READY &&
            (!first || p->at_ns < first->at_ns ||
             (p->at_ns == first->at_ns && p->order < first->order)))
            first = p;
    return first;
}

/* ---- processes ---- */

static struct process *add(const char *host_name, shimsup_host *host, uint32_t parent)
{
    for (struct process *p = processes; p < processes + MAX_PROCESSES; p++)
        if (p->state == ABSENT) {
            memset(p, 0, sizeof *p);
            p->host_name = host_name;
            p->host = host;
            p->pid = ++last_pid;
            p->parent = parent;
            return p;
        }
    return NULL;
}

static void launch(const char *host_name, shimsup_host *host, char *const *words)
{
    struct process *p = add(host_name, host, 0);
    shimsup_command *command;

    check(shimsup_command_new(words[0], &command));
    for (int i = 1; words[i]; i++)
        check(shimsup_command_add_argument(command, words[i]));
    check(shimsup_command_add_environment(command, "PATH=/usr/bin:/bin"));
    check(shimsup_command_add_environment(command, "LC_ALL=C"));
    check(shimsup_command_add_environment(command, "TZ=UTC"));
    check(shimsup_command_inherit_stdio(command));
    check(shimsup_guest_launch(host, command, p->pid, &p->guest));
    check(shimsup_guest_set_data(p->guest, p));
    shimsup_command_free(command);
    /* Wait until it is there, so that the order of things does not depend on the real machine. */
    if (shimsup_guest_wait(p->guest) != SHIMSUP_EVENT_START) {
        fprintf(stderr, "%s cannot be a guest\n", words[0]);
        exit(1);
    }
    tell(p, "is launched", 0);
    ready(p, 0);
}

/* Tell a parent that waits of a child that has ended; whether it did. */
static int reap(struct process *parent, struct process *child)
{
    if (child->state != ENDED || child->parent != parent->pid ||
        (parent->wanted > 0 && parent->wanted != child->pid))
        return 0;
    if (parent->status_at)
        check(shimsup_guest_write(parent->guest, parent->status_at, &child->status,
                                  sizeof child->status));
    ready(parent, child->pid);
    child->state = ABSENT;
    return 1;
}

static void release_vforker(struct process *child)
{
    if (child->vforker)
        ready(child->vforker, child->pid);
    child->vforker = NULL;
}

static void ended(struct process *p)
{
    int kind = 0, value = 0;

    check(shimsup_guest_end(p->guest, &kind, &value));
    tell(p, kind == SHIMSUP_EXITED ? "exits with %lld" : "is killed by signal %lld", value);
    p->status = kind == SHIMSUP_EXITED ? value << 8 : value;
    p->state = p->parent ? ENDED : ABSENT;
    release_vforker(p);
    for (struct process *q = processes; q < processes + MAX_PROCESSES; q++) {
        if (q->state == WAITING && q->pid == p->parent)
            reap(q, p);
        if (q->parent == p->pid) {
            q->parent = 0;
            if (q->state == ENDED)
                q->state = ABSENT;
        }
    }
    shimsup_guest_free(p->guest);
    p->guest = NULL;
}

/* ---- the answers ---- */

static uint64_t argument(const struct process *p, unsigned index)
{
    return shimsup_guest_call_argument(p->guest, index);
}

/* clone(flags, stack, parent_tid, child_tid, tls), as which fork and vfork arrive, too. */
static void make_process(struct process *p)
{
    uint64_t flags = argument(p, 0);
    struct process *child = flags & CLONE_THREAD ? NULL : add(p->host_name, p->host, p->pid);
    int error = child ? shimsup_guest_add_process(p->guest, child->pid, p->pid, &child->guest)
                      : -EAGAIN;

    if (error < 0) {
        ready(p, error);
        return;
    }
    check(shimsup_guest_set_data(child->guest, child));
    tell(p, "makes process %lld", child->pid);
    ready(child, 0);
    if (flags & CLONE_VFORK) {
        child->vforker = p;
        p->state = LENDING;
    } else {
        ready(p, child->pid);
    }
}

/* wait4(pid, status, options, usage) */
static void wait_for_child(struct process *p)
{
    int has_children = 0;

    p->wanted = (int32_t)argument(p, 0);
    p->status_at = argument(p, 1);
    p->state = WAITING;
    for (struct process *q = processes; q < processes + MAX_PROCESSES; q++) {
        if (q->state == ABSENT || q->parent != p->pid || q->host != p->host)
            continue;
        has_children = 1;
        if (reap(p, q))
            return;
    }
    if (!has_children)
        ready(p, -ECHILD);
    else if (argument(p, 2) & 1) /* WNOHANG */
        ready(p, 0);
}

/* clock_nanosleep(clock, flags, request, remain) */
static void sleep_until(struct process *p)
{
    struct timespec request;
    uint64_t ns;

    if (argument(p, 1) & TIMER_ABSTIME) {
        ready(p, -ENOTSUP);
    } else if (shimsup_guest_read(p->guest, argument(p, 2), &request, sizeof request) < 0) {
        ready(p, -EFAULT);
    } else if (request.tv_sec < 0 || request.tv_nsec < 0 ||
               request.tv_nsec >= (long)NS_PER_S) {
        ready(p, -EINVAL);
    } else {
        ns = (uint64_t)request.tv_sec * NS_PER_S + (uint64_t)request.tv_nsec;
        tell(p, "sleeps for %lld ns", (long long)ns);
        ready_at(p, shimsup_host_now_ns(p->host) + ns, 0);
    }
}

/* futex(word, operation, ...): these processes have one thread each, so nobody waits for a word. */
static void wake_nobody(struct process *p)
{
    ready(p, (argument(p, 1) & 0x7f) == 1 /* FUTEX_WAKE */ ? 0 : -ENOSYS);
}

/* exit(status), exit_group(status): once answered it ends natively, and SHIMSUP_EVENT_ENDED tells of that. */
static void exit_process(struct process *p)
{
    ready(p, 0);
}

static const struct {
    int64_t number;
    void (*answer)(struct process *);
} ANSWERS[] = {
    {SYS_clone, make_process},          {SYS_wait4, wait_for_child},
    {SYS_clock_nanosleep, sleep_until}, {SYS_futex, wake_nobody},
    {SYS_exit_group, exit_process},     {SYS_exit, exit_process},
};

static void answer(struct process *p)
{
    int64_t number = shimsup_guest_call_number(p->guest);

    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++)
        if (ANSWERS[i].number == number) {
            ANSWERS[i].answer(p);
            return;
        }
    /* From 65536 on they are the shim's own questions, which it can do without. */
    if (number < 65536)
        tell(p, "makes call %lld, which is not there", (long long)number);
    ready(p, -ENOSYS);
}

/* ---- the event loop ---- */

static void go_on(struct process *p)
{
    if (p->at_ns > shimsup_host_now_ns(p->host))
        check(shimsup_host_set_now_ns(p->host, p->at_ns));
    p->state = RUNNING;
    if (shimsup_guest_event(p->guest) == SHIMSUP_EVENT_CALL)
        check(shimsup_guest_complete(p->guest, p->result));
    else
        check(shimsup_guest_begin(p->guest));
}

static void run(void)
{
    struct process *p;
    shimsup_guest *guest;
    int event;

    while ((p = next()) != NULL) {
        go_on(p);
        event = shimsup_wait(simulation, UINT64_MAX, &guest);
        check(event);
        p = shimsup_guest_data(guest);
        switch (event) {
        case SHIMSUP_EVENT_START:
            tell(p, "has a new program", 0);
            release_vforker(p);
            ready(p, 0);
            break;
        case SHIMSUP_EVENT_CALL:
            answer(p);
            if (p->state != READY)
                check(shimsup_guest_park(p->guest));
            break;
        case SHIMSUP_EVENT_ENDED:
            ended(p);
            break;
        default:
            fprintf(stderr, "process %u says %d\n", (unsigned)p->pid, event);
            exit(1);
        }
    }
}

int main(void)
{
    static const char SCRIPT[] = "echo The script begins.\n"
                                 "date\n"
                                 "sleep 2.5\n"
                                 "false || echo false exits with $?\n"
                                 "date\n";
    char *const script[] = {"sh", "-c", (char *)SCRIPT, NULL};
    char *const date[] = {"date", "+%H:%M:%S on beta", NULL};
    char *const look_up_beta[] = {"getent", "hosts", "beta", NULL};
    char *const look_up_alpha[] = {"getent", "hosts", "alpha", NULL};
    shimsup_host *alpha, *beta;

    check(shimsup_simulation_new(NULL, &simulation));
    check(shimsup_simulation_add_name(simulation, "alpha", "10.0.0.1", NULL, 0));
    check(shimsup_simulation_add_name(simulation, "beta", "10.0.0.2", NULL, 1));
    check(shimsup_host_new(simulation, 0, "alpha", &alpha));
    check(shimsup_host_set_ipv4(alpha, "10.0.0.1", 24));
    check(shimsup_host_new(simulation, 1, "beta", &beta));
    check(shimsup_host_set_ipv4(beta, "10.0.0.2", 24));

    launch("alpha", alpha, script);
    launch("beta", beta, date);
    launch("alpha", alpha, look_up_beta);
    launch("beta", beta, look_up_alpha);
    run();
    for (struct process *p = processes; p < processes + MAX_PROCESSES; p++)
        if (p->guest) {
            tell(p, "waits for ever", 0);
            shimsup_guest_free(p->guest);
        }

    shimsup_host_free(alpha);
    shimsup_host_free(beta);
    shimsup_simulation_free(simulation);
    return 0;
}
