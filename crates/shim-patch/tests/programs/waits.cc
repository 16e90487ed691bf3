/*
 * What finds its way through frames below a system call: cancellation, exceptions out of a signal handler,
 * backtraces in one, restarted and interrupted calls, longjmp. Prints the same with and without rewritten
 * libraries.
 *
 * Always true: no line depends on addresses or on who is faster. The test is programs.rs.
 */
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <execinfo.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdexcept>
#include <sys/syscall.h>
#include <unistd.h>

static int ends[2];
static volatile sig_atomic_t handled;
static sigjmp_buf back;

struct Guard {
    const char *name;
    ~Guard() { printf("%s: unwound\n", name); }
};

static void *reader(void *)
{
    Guard guard = {"reader"};
    char byte;
    if (read(ends[0], &byte, 1) < 0)
        printf("read: %s\n", strerror(errno));
    return nullptr;
}

static void *waiter(void *semaphore)
{
    Guard guard = {"waiter"};
    sem_wait(static_cast<sem_t *>(semaphore));
    return nullptr;
}

static void *sleeper(void *)
{
    Guard guard = {"sleeper"};
    sleep(1000);
    return nullptr;
}

static void cancel(const char *name, void *(*body)(void *), void *argument)
{
    pthread_t thread;
    void *result;
    pthread_create(&thread, nullptr, body, argument);
    usleep(50000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("%s: %s\n", name, result == PTHREAD_CANCELED ? "cancelled" : "returned");
}

static void note(int) { handled = handled + 1; }

static void trace(int)
{
    void *frames[64];
    int count = backtrace(frames, 64);
    char **names = backtrace_symbols(frames, count);
    for (int i = 0; i < count; i++)
        if (strstr(names[i], "waiting_function"))
            handled = 100;
    free(names);
}

static void leave(int) { siglongjmp(back, 1); }
static void throw_out(int) { throw std::runtime_error("out of a handler"); }

extern "C" __attribute__((noinline)) int waiting_function(int how)
{
    int result = how ? poll(nullptr, 0, 200) : pause();
    __asm__ volatile("" ::: "memory");
    return result;
}

static void with_handler(void (*handler)(int), int flags, long ms)
{
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigaction(SIGALRM, &action, nullptr);
    ualarm(static_cast<useconds_t>(ms * 1000), 0);
    handled = 0;
}

static void *later_writer(void *)
{
    usleep(150000);
    return reinterpret_cast<void *>(write(ends[1], "x", 1));
}

int main()
{
    if (pipe(ends) != 0)
        return 1;
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    cancel("reader", reader, nullptr);
    cancel("waiter", waiter, &semaphore);
    cancel("sleeper", sleeper, nullptr);

    with_handler(note, 0, 50);
    int result = waiting_function(0);
    printf("pause: %d %s, handled %d\n", result, strerror(errno), static_cast<int>(handled));
    with_handler(trace, 0, 50);
    result = waiting_function(1);
    printf("poll: %d %s, traced %d\n", result, strerror(errno), static_cast<int>(handled));

    /* A restarted call goes back by two bytes. */
    pthread_t writer;
    char byte = 0;
    pthread_create(&writer, nullptr, later_writer, nullptr);
    with_handler(note, SA_RESTART, 50);
    ssize_t got = read(ends[0], &byte, 1);
    printf("read: %zd %c, handled %d\n", got, byte, static_cast<int>(handled));
    pthread_join(writer, nullptr);

    if (sigsetjmp(back, 1) == 0) {
        with_handler(leave, 0, 50);
        waiting_function(0);
        printf("not left\n");
    } else {
        printf("left by longjmp\n");
    }
    try {
        Guard guard = {"thrower"};
        with_handler(throw_out, SA_NODEFER, 50);
        waiting_function(0);
        printf("not thrown\n");
    } catch (const std::exception &error) {
        printf("caught: %s\n", error.what());
    }
    sigset_t set;
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, nullptr);
    printf("raw: %s\n", syscall(SYS_getppid) == getppid() ? "same" : "other");
    return 0;
}
