/* Cancellation of threads, and the handlers that clean up after them.
 *
 * The part to show comes in; a line for each thread that ends goes out. Always true: the thread to be
 * cancelled has said that it comes and waits some milliseconds later; the canceller joins it. How threads end
 * by themselves is in thread_life.c. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static void until(volatile int *flag) {
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
        pass_time(MS);
}
static void set(volatile int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }

static volatile int coming, go, cleaned;
static int fds[2], full[2];
static sem_t semaphore;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_t other;
static pid_t child;
static char buffer[100];

static void clean(void *argument) {
    (void)argument;
    cleaned++;
}
static void clean_lock(void *argument) {
    cleaned++;
    if (pthread_mutex_unlock(argument) != 0)
        cleaned += 100;
}

static void by_read(void) { read(fds[0], buffer, 1); }
static void by_write(void) { write(full[1], buffer, 100); }
static void by_readv(void) { readv(fds[0], &(struct iovec){buffer, 1}, 1); }
static void by_nanosleep(void) { nanosleep(&(struct timespec){1000, 0}, NULL); }
static void by_clock_nanosleep(void) { clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){1000, 0}, NULL); }
static void by_sleep(void) { sleep(1000); }
static void by_pause(void) { pause(); }
static void by_sem_wait(void) { sem_wait(&semaphore); }
static void by_join(void) { pthread_join(other, NULL); }
static void by_poll(void) { poll(&(struct pollfd){fds[0], POLLIN, 0}, 1, -1); }
static void by_select(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    select(fds[0] + 1, &set, NULL, NULL, NULL);
}
static void by_sigwait(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigwaitinfo(&signals, NULL);
}
static void by_sigsuspend(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigsuspend(&signals);
}
static void by_waitpid(void) { waitpid(child, NULL, 0); }
static void by_cond_wait(void) {
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(clean_lock, &mutex);
    pthread_cond_wait(&cond, &mutex);
    pthread_cleanup_pop(1);
}
static void by_cond_timedwait(void) {
    struct timespec at = {time(NULL) + 1000, 0};
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(clean_lock, &mutex);
    pthread_cond_timedwait(&cond, &mutex, &at);
    pthread_cleanup_pop(1);
}

static void *wait_there(void *argument) {
    void (*wait)(void) = *(void (**)(void))argument;
    pthread_cleanup_push(clean, NULL);
    set(&coming);
    wait();
    pthread_cleanup_pop(0);
    return (void *)7;
}
static void *wait_for_go(void *argument) {
    until(&go);
    return argument;
}

static void points(void) {
    static const struct {
        const char *name;
        void (*wait)(void);
    } all[] = {{"read", by_read},
               {"write", by_write},
               {"readv", by_readv},
               {"nanosleep", by_nanosleep},
               {"clock_nanosleep", by_clock_nanosleep},
               {"sleep", by_sleep},
               {"pause", by_pause},
               {"sem_wait", by_sem_wait},
               {"pthread_join", by_join},
               {"poll", by_poll},
               {"select", by_select},
               {"sigwaitinfo", by_sigwait},
               {"sigsuspend", by_sigsuspend},
               {"waitpid", by_waitpid},
               {"pthread_cond_wait", by_cond_wait},
               {"pthread_cond_timedwait", by_cond_timedwait}};
    pipe(fds), pipe2(full, O_NONBLOCK);
    while (write(full[1], buffer, sizeof buffer) > 0) {
    }
    fcntl(full[1], F_SETFL, 0);
    sem_init(&semaphore, 0, 0);
    child = fork();
    if (child == 0) {
        close(fds[1]);
        read(fds[0], buffer, 1);
        _exit(0);
    }
    pthread_create(&other, NULL, wait_for_go, NULL);
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        pthread_t thread;
        void *result = NULL;
        coming = cleaned = 0;
        pthread_create(&thread, NULL, wait_there, (void *)&all[i].wait);
        until(&coming);
        pass_time(15 * MS);
        int cancelled = pthread_cancel(thread);
        pthread_join(thread, &result);
        say("%s: cancel = %d, cancelled %d, cleaned %d", all[i].name, cancelled, result == PTHREAD_CANCELED, cleaned);
    }
    TRY("the mutex is free", pthread_mutex_trylock(&mutex));
    set(&go);
    TRY("the other can still be joined", pthread_join(other, NULL));
    close(fds[1]);
    TRY("the child too", waitpid(child, NULL, 0) == child);
}

static void *hold_off(void *argument) {
    int old = -1;
    pthread_cleanup_push(clean, NULL);
    TRY("disable", pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
    say("was enabled %d", old == PTHREAD_CANCEL_ENABLE);
    set(&coming);
    until(&go);
    pthread_testcancel();
    say("not yet");
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    say("was disabled %d", old == PTHREAD_CANCEL_DISABLE);
    pthread_testcancel();
    say("not reached");
    pthread_cleanup_pop(0);
    return argument;
}
static void *cancel_itself(void *argument) {
    pthread_cleanup_push(clean, NULL);
    TRY("cancel itself", pthread_cancel(pthread_self()));
    pthread_testcancel();
    say("not reached");
    pthread_cleanup_pop(0);
    return argument;
}
static void *just_return(void *argument) { return argument; }

static void states(void) {
    pthread_t thread;
    void *result = NULL;
    int old = -1;
    pthread_create(&thread, NULL, hold_off, NULL);
    until(&coming);
    TRY("cancel", pthread_cancel(thread));
    set(&go);
    pthread_join(thread, &result);
    say("cancelled %d, cleaned %d", result == PTHREAD_CANCELED, cleaned);
    pthread_create(&thread, NULL, cancel_itself, NULL);
    pthread_join(thread, &result);
    say("cancelled %d, cleaned %d", result == PTHREAD_CANCELED, cleaned);
    pthread_create(&thread, NULL, just_return, (void *)3);
    pass_time(30 * MS);
    TRY("cancel the ended", pthread_cancel(thread));
    pthread_join(thread, &result);
    say("it returned %ld", (long)(intptr_t)result);
    TRY("odd state", pthread_setcancelstate(77, &old));
    TRY("odd type", pthread_setcanceltype(77, &old));
}

/* At any instruction. */
static volatile long loops;
static void *loop(void *argument) {
    int old = -1;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    set(&coming);
    for (;;)
        loops = loops + 1;
    return argument;
}
static void *pause_asynchronously(void *argument) {
    int old = -1;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    say("was deferred %d", old == PTHREAD_CANCEL_DEFERRED);
    set(&coming);
    pause();
    return argument;
}

static void asynchronous(void *(*body)(void *)) {
    pthread_t thread;
    void *result = NULL;
    coming = 0;
    pthread_create(&thread, NULL, body, NULL);
    until(&coming);
    pass_time(15 * MS);
    TRY("cancel", pthread_cancel(thread));
    pthread_join(thread, &result);
    say("cancelled %d", result == PTHREAD_CANCELED);
}
static void in_a_call(void) { asynchronous(pause_asynchronously); }
static void in_a_loop(void) { asynchronous(loop); }

static pthread_key_t key;
static void show(void *argument) { say("clean %ld", (long)(intptr_t)argument); }
static void destroy(void *value) { say("destroy %ld", (long)(intptr_t)value); }

static void deepest(void) {
    pthread_cleanup_push(show, (void *)3);
    pthread_exit((void *)9);
    pthread_cleanup_pop(0);
}
static void *nest(void *argument) {
    pthread_setspecific(key, (void *)50);
    pthread_cleanup_push(show, (void *)1);
    pthread_cleanup_push(show, (void *)2);
    pthread_cleanup_push(show, (void *)20);
    pthread_cleanup_pop(1);
    pthread_cleanup_push(show, (void *)21);
    pthread_cleanup_pop(0);
    deepest();
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return argument;
}

static void handlers(void) {
    pthread_t thread;
    void *result = NULL;
    pthread_key_create(&key, destroy);
    pthread_create(&thread, NULL, nest, NULL);
    pthread_join(thread, &result);
    say("left with %ld", (long)(intptr_t)result);
}

int main(int count, char **words) {
    const struct part parts[] = {{"points", points},       {"states", states},       {"in a call", in_a_call},
                 {"in a loop", in_a_loop}, {"handlers", handlers}, {NULL, NULL}};
    return run_part(parts, count, words);
}
