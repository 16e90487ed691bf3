/* How processes of several threads end, fork and become other programs.
 *
 * The way comes in, or "image", which the program gives to itself after an exec; lines and a status go out.
 * Always true: a thread that speaks last knows that it does, because the others wait for ever or have been
 * waited for. What ends single threads is in thread_life.c and cancels.c. */
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static void until(volatile int *flag) {
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
        pass_time(MS);
}
static void set(volatile int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }

static const char *self;
static volatile int coming, go;
static pthread_t first;

static pthread_t start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, argument) != 0)
        abort();
    return thread;
}

static void *wait_for_ever(void *argument) {
    set(&coming);
    for (;;)
        pause();
    return argument;
}
static void *block_in_read(void *argument) {
    int fds[2];
    char c;
    pipe(fds);
    set(&coming);
    read(fds[0], &c, 1);
    return argument;
}
static void *wait_for_mutex(void *argument) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    set(&coming);
    pthread_mutex_lock(&mutex);
    return argument;
}
static void *loop(void *argument) {
    set(&coming);
    for (;;)
        go = go + 0;
    return argument;
}

/* Threads in every kind of wait. */
static void surround(int with_loop) {
    void *(*all[])(void *) = {wait_for_ever, block_in_read, wait_for_mutex, loop};
    for (int i = 0; i < (with_loop ? 4 : 3); i++) {
        coming = 0;
        start(all[i], NULL);
        until(&coming);
    }
    pass_time(20 * MS);
}

static void *after_the_first(void *argument) {
    void *result = NULL;
    TRY("join the first", pthread_join(first, &result));
    say("it left with %ld", (long)(intptr_t)result);
    say("the process %d, threads %d", raw(SYS_getppid) > 0, getpid() != (pid_t)raw(SYS_gettid));
    TRY("signal to the process", got(kill(getpid(), 0)));
    return argument;
}
static void leader_leaves(void) {
    first = pthread_self();
    start(after_the_first, NULL);
    pthread_exit((void *)5);
}

static void *exit_after_the_first(void *argument) {
    pthread_join(first, NULL);
    say("exit");
    exit((int)(intptr_t)argument);
}
static void leader_leaves_exit(void) {
    first = pthread_self();
    start(exit_after_the_first, (void *)6);
    pthread_exit(NULL);
}

static void at_exit(void) { say("at exit"); }

static void *exit_now(void *argument) {
    say("the thread exits");
    exit((int)(intptr_t)argument);
}
static void *exit_group(void *argument) {
    say("the thread ends all");
    raw(SYS_exit_group, (int)(intptr_t)argument);
    return NULL;
}
static void exit_in_thread(void) {
    atexit(at_exit);
    surround(0);
    start(exit_now, (void *)7);
    pause();
}
static void exit_group_in_thread(void) {
    atexit(at_exit);
    surround(0);
    start(exit_group, (void *)8);
    pause();
}
static void main_returns(void) {
    atexit(at_exit);
    surround(0);
}
static void main_returns_beside_a_loop(void) {
    atexit(at_exit);
    surround(1);
}

static void *fault(void *argument) {
    say("the thread faults");
    *(volatile int *)8 = 1;
    return argument;
}
static void *abort_there(void *argument) {
    say("the thread aborts");
    abort();
    return argument;
}
static void *kill_all(void *argument) {
    say("the thread kills");
    kill(getpid(), SIGKILL);
    return argument;
}
static void *terminate_another(void *argument) {
    say("the thread terminates the first");
    raw(SYS_tgkill, getpid(), (long)getpid(), SIGTERM);
    pause();
    return argument;
}
static void die_by(void *(*body)(void *)) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    surround(0);
    start(body, NULL);
    for (;;)
        pause();
}
static void faulted(void) { die_by(fault); }
static void aborted(void) { die_by(abort_there); }
static void killed(void) { die_by(kill_all); }
static void terminated(void) { die_by(terminate_another); }

/* exec: only the thread that calls goes on, as the first one. */
static void *become_image(void *argument) {
    char number[20];
    snprintf(number, sizeof number, "%d", (int)getpid());
    signal(SIGUSR1, SIG_IGN);
    execl(self, self, "image", number, (char *)NULL);
    say("not reached");
    return argument;
}
static void exec_in_thread(void) {
    surround(0);
    start(become_image, NULL);
    for (;;)
        pause();
}
static void exec_in_first(void) {
    surround(0);
    become_image(NULL);
}
static void *become_image_after_first(void *argument) {
    pthread_join(first, NULL);
    return become_image(argument);
}
static void exec_after_first(void) {
    first = pthread_self();
    start(become_image_after_first, NULL);
    pthread_exit(NULL);
}
static void *exec_nothing(void *argument) {
    TRY("exec of nothing", got(execl("/nonexistent", "x", (char *)NULL)));
    return argument;
}
static void failed_exec(void) {
    surround(0);
    pthread_join(start(exec_nothing, NULL), NULL);
    say("all go on");
}
static void *give_back(void *argument) { return argument; }
static void image(const char *number) {
    void *result = NULL;
    say("the same process %d, its first thread %d", getpid() == atoi(number), raw(SYS_gettid) == getpid());
    struct sigaction action;
    sigaction(SIGUSR1, NULL, &action);
    say("still ignored %d", action.sa_handler == SIG_IGN);
    pthread_join(start(give_back, (void *)4), &result);
    say("a new thread: %ld", (long)(intptr_t)result);
}

/* fork: the child has only the thread that called. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void before(void) { say("before"), pthread_mutex_lock(&mutex); }
static void in_parent(void) { pthread_mutex_unlock(&mutex); }
static void in_child(void) { pthread_mutex_unlock(&mutex), say("in the child"); }
static _Thread_local int local = 1;

static void *fork_there(void *argument) {
    int status = -1;
    local = 2;
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        void *result = NULL;
        say("one thread %d, another process %d, local %d", raw(SYS_gettid) == getpid(), getpid() != parent, local);
        say("its parent %d", getppid() == parent);
        pthread_join(start(give_back, (void *)3), &result);
        say("a new thread: %ld", (long)(intptr_t)result);
        TRY("the mutex", pthread_mutex_trylock(&mutex));
        if (argument == NULL)
            exit(4);
        pthread_exit(NULL);
    }
    TRY("wait", waitpid(child, &status, 0) == child);
    say("status %x", status);
    return argument;
}
static void fork_in_thread(void) {
    pthread_atfork(before, in_parent, in_child);
    surround(0);
    pthread_join(start(fork_there, NULL), NULL);
    pthread_join(start(fork_there, "leave"), NULL);
    fork_there(NULL);
}

/* A child is waited for by another thread than its parent's. */
static volatile pid_t born;
static void *fork_only(void *argument) {
    pid_t child = fork();
    if (child == 0) {
        pass_time(30 * MS);
        _exit(9);
    }
    born = child;
    set(&coming);
    if (argument != NULL)
        until(&go);
    return argument;
}
static void wait_elsewhere(void) {
    int status = -1;
    pthread_join(start(fork_only, NULL), NULL);
    TRY("wait", waitpid(born, &status, 0) == born);
    say("status %x", status);
    coming = 0;
    pthread_t thread = start(fork_only, "stay");
    until(&coming);
    TRY("only own ones", got(waitpid(born, &status, __WNOTHREAD)));
    TRY("wait", waitpid(-1, &status, 0) == born);
    say("status %x", status);
    set(&go);
    pthread_join(thread, NULL);
}

int main(int count, char **words) {
    const struct part ways[] = {{"leader leaves", leader_leaves},
                {"leader leaves, exit", leader_leaves_exit},
                {"exit", exit_in_thread},
                {"exit group", exit_group_in_thread},
                {"main returns", main_returns},
                {"main returns beside a loop", main_returns_beside_a_loop},
                {"fault", faulted},
                {"abort", aborted},
                {"kill", killed},
                {"terminate", terminated},
                {"exec", exec_in_thread},
                {"exec in first", exec_in_first},
                {"exec after first", exec_after_first},
                {"failed exec", failed_exec},
                {"fork", fork_in_thread},
                {"wait elsewhere", wait_elsewhere}, {NULL, NULL}};
    self = words[0];
    if (count == 3 && strcmp(words[1], "image") == 0)
        return image(words[2]), 0;
    int status = run_part(ways, count, words);
    return status == 0 && strcmp(words[1], "list") != 0 ? 3 : status;
}
