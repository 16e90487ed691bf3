/* Lists of robust futexes: what the kernel marks when a thread or a process dies.
 *
 * The part to show comes in; a line for each word that was looked at goes out. Always true: the dead have
 * been joined or waited for before their words are read. Robust mutexes of the library are in mutexes.c. */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define WAIT 0
#define WAITERS 0x80000000u
#define OWNER_DIED 0x40000000u
#define NUMBER 0x3fffffffu
#define ENTRIES 6

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

struct entry {
    struct entry *next;
    uint32_t word;
};
struct head {
    struct entry *first;
    long offset;
    struct entry *pending;
};
struct lists {
    struct head head;
    struct entry entries[ENTRIES];
    uint32_t owner;
    volatile int coming, waiting;
};

static struct lists *lists;
static const char *how, *self;

static void until(volatile int *flag) {
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
        pass_time(MS);
}
static void set(volatile int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }

static struct lists *share(void) {
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void show(const char *name) {
    for (int i = 0; i < ENTRIES; i++) {
        uint32_t word = lists->entries[i].word, number = word & NUMBER;
        say("%s %d: %s%s%s", name, i, number == 0 ? "free" : number == lists->owner ? "owner's" : "another's",
            word & WAITERS ? ", waiters" : "", word & OWNER_DIED ? ", owner died" : "");
    }
}

/* Own the words 0, 1 and 2 in a list, 3 outside of it, 4 as one that is about to be locked; 5 is another's. */
static void own_some(void) {
    lists->owner = (uint32_t)syscall(SYS_gettid);
    lists->head.offset = offsetof(struct entry, word);
    lists->head.first = &lists->entries[0];
    for (int i = 0; i < ENTRIES; i++)
        lists->entries[i].word |= lists->owner;
    lists->entries[5].word = lists->owner + 1;
    lists->entries[0].next = &lists->entries[1];
    lists->entries[1].next = &lists->entries[2];
    lists->entries[2].next = &lists->entries[5];
    lists->entries[5].next = (struct entry *)&lists->head;
    lists->head.pending = &lists->entries[4];
    if (raw(SYS_set_robust_list, &lists->head, sizeof lists->head) != 0)
        abort();
}

static void *live_and_die(void *argument) {
    own_some();
    set(&lists->coming);
    if (argument != NULL)
        until(&lists->waiting), pass_time(20 * MS);
    return NULL;
}

/* The library of a thread may give up its own list, and the kernel then sees this one. */
static void threads(void) {
    pthread_t thread;
    lists = share();
    pthread_create(&thread, NULL, live_and_die, NULL);
    pthread_join(thread, NULL);
    show("dead");
}

static void waiters(void) {
    pthread_t thread;
    lists = share();
    lists->entries[1].word = WAITERS;
    pthread_create(&thread, NULL, live_and_die, "slowly");
    until(&lists->coming);
    uint32_t seen = lists->entries[1].word;
    say("waiters %d, owner's %d", (seen & WAITERS) != 0, (seen & NUMBER) == lists->owner);
    set(&lists->waiting);
    TRY("wait", raw(SYS_futex, &lists->entries[1].word, WAIT, seen, NULL, NULL, 0));
    seen = lists->entries[1].word;
    say("woken: number %d, waiters %d, owner died %d", (seen & NUMBER) != 0, (seen & WAITERS) != 0,
        (seen & OWNER_DIED) != 0);
    pthread_join(thread, NULL);
    show("dead");
}

static void die(void) {
    if (strcmp(how, "exit") == 0)
        _exit(0);
    if (strcmp(how, "kill") == 0)
        raise(SIGKILL);
    if (strcmp(how, "exec") == 0)
        execl(self, self, "nothing", (char *)NULL);
}

static void processes(void) {
    const char *all[] = {"exit", "kill", "exec"};
    for (int i = 0; i < 3; i++) {
        int status;
        lists = share();
        how = all[i];
        pid_t child = fork();
        if (child == 0) {
            own_some();
            die();
        }
        waitpid(child, &status, 0);
        say("by %s: status %x", how, status);
        show("dead");
    }
}

/* A child has no list of its own until it says so. */
static void after_fork(void) {
    struct head *head = NULL;
    size_t size = 0;
    int status;
    lists = share();
    own_some();
    TRY("get", raw(SYS_get_robust_list, 0, &head, &size));
    say("the own %d, size %zu", head == &lists->head, size);
    if (fork() == 0) {
        head = (void *)1;
        raw(SYS_get_robust_list, 0, &head, &size);
        _exit(head == &lists->head);
    }
    wait(&status);
    say("inherited: %d", WEXITSTATUS(status));
    show("untouched");
    lists->head.first = (struct entry *)&lists->head;
    lists->head.pending = NULL;
}

static void errors(void) {
    struct head head = {(struct entry *)&head, 0, NULL}, *found;
    size_t size;
    TRY("short", raw(SYS_set_robust_list, &head, sizeof head - 1));
    TRY("no size", raw(SYS_set_robust_list, &head, 0));
    TRY("set", raw(SYS_set_robust_list, &head, sizeof head));
    TRY("get by number", raw(SYS_get_robust_list, getpid(), &found, &size));
    say("the own %d", found == &head);
    TRY("of nobody", raw(SYS_get_robust_list, 1 << 29, &found, &size));
    TRY("of a negative", raw(SYS_get_robust_list, -1, &found, &size));
    TRY("to a bad place", raw(SYS_get_robust_list, 0, (void *)8, &size));
    TRY("to a bad place", raw(SYS_get_robust_list, 0, &found, (void *)8));
    TRY("nothing", raw(SYS_set_robust_list, NULL, sizeof head));
    raw(SYS_get_robust_list, 0, &found, &size);
    say("nothing %d", found == NULL);
}

/* Lists that lead nowhere, or in a circle, do not hold up a death. */
static struct entry *const nowhere = (struct entry *)4096;

static void nonsense(void) {
    const char *names[] = {"a bad head", "a bad entry", "a circle", "an odd word"};
    for (int i = 0; i < 4; i++) {
        int status;
        lists = share();
        pid_t child = fork();
        if (child == 0) {
            own_some();
            if (i == 0)
                raw(SYS_set_robust_list, nowhere, sizeof lists->head);
            else if (i == 1)
                lists->entries[1].next = nowhere, lists->head.pending = nowhere;
            else if (i == 2)
                lists->entries[2].next = &lists->entries[0];
            else
                lists->head.offset += 2;
            _exit(0);
        }
        waitpid(child, &status, 0);
        say("%s: status %x", names[i], status);
        show("dead");
    }
}

int main(int count, char **arguments) {
    const struct part parts[] = {{"threads", threads}, {"waiters", waiters}, {"processes", processes}, {"after fork", after_fork},
                 {"errors", errors},   {"nonsense", nonsense}, {NULL, NULL}};
    self = arguments[0];
    if (count == 2 && strcmp(arguments[1], "nothing") == 0)
        return 0;
    return run_part(parts, count, arguments);
}
