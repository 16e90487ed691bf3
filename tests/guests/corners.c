/* Corners of files, descriptors and waits, where an answer beside the point hurts a program much later.
 *
 * Nothing comes in; a line for each thing that was tried goes out. Always true: nothing here waits longer
 * than a second. The times of files are in times.c, waits in waits.c. */
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>

/* Show a small result; an error by its name. */
#define TRY(name, call)                                                                    \
    do {                                                                                   \
        errno = 0;                                                                         \
        long result = (long)(call);                                                        \
        say("%s = %ld, %s", name, result, result < 0 ? strerror(errno) : "no error");      \
    } while (0)

static int handled;
static sem_t semaphore;

static void count(int signal) {
    (void)signal;
    handled++;
}

static void post(int signal) {
    (void)signal;
    if (++handled == 2)
        sem_post(&semaphore);
    else
        raise(SIGUSR1);
}

/* A process's own entry of /proc is a directory, and no link to itself. */
static void own_entry(void) {
    char own[64], text[PATH_MAX];
    struct stat status;
    snprintf(own, sizeof own, "/proc/%d", getpid());
    int result = lstat(own, &status);
    say("lstat = %d, %s", result, S_ISDIR(status.st_mode) ? "a directory" : "something else");
    TRY("readlink", readlink(own, text, sizeof text));
    say("realpath: %s", realpath("/proc/self/exe", text) ? strrchr(text, '/') : strerror(errno));
    TRY("open", open(own, O_RDONLY | O_NOFOLLOW | O_DIRECTORY) >= 0 ? 0 : -1);
    TRY("chdir", chdir(own));
    TRY("what is there", access("status", R_OK));
}

static void random_device(void) {
    int fd = open("/dev/urandom", O_RDONLY), on = 1;
    TRY("lseek", lseek(fd, 5, SEEK_SET));
    TRY("lseek nonsense", lseek(fd, 5, 77));
    TRY("isatty", isatty(fd));
    TRY("FIONBIO", ioctl(fd, FIONBIO, &on));
    TRY("FIOCLEX", ioctl(fd, FIOCLEX));
    TRY("is close-on-exec", fcntl(fd, F_GETFD));
    TRY("FIONCLEX", ioctl(fd, FIONCLEX));
    TRY("is close-on-exec", fcntl(fd, F_GETFD));
    TRY("F_DUPFD too high", fcntl(fd, F_DUPFD, INT_MAX));
    close(fd);
    TRY("F_DUPFD too high of none", fcntl(fd, F_DUPFD, INT_MAX));
}

static void signals(void) {
    static char stack[65536];
    stack_t is, set = {.ss_sp = stack, .ss_size = sizeof stack, .ss_flags = SS_ONSTACK};
    sigaltstack(&set, NULL);
    sigaltstack(NULL, &is);
    say("flags of the stack that is not in use: %d", is.ss_flags);

    /* A signal that only the wait's mask lets through comes before a time-out of zero. */
    sigset_t none, usr1;
    struct timespec zero = {0, 0};
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    signal(SIGUSR1, count);
    raise(SIGUSR1);
    TRY("ppoll", ppoll(NULL, 0, &zero, &none));
    raise(SIGUSR1);
    TRY("pselect", pselect(0, NULL, NULL, NULL, &zero, &none));
    TRY("ppoll again", ppoll(NULL, 0, &zero, &none));
    say("handled: %d", handled);
    sigprocmask(SIG_UNBLOCK, &usr1, NULL);

    /* A semaphore is waited for again after a handler with SA_RESTART. */
    struct sigaction action = {.sa_handler = post, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sem_init(&semaphore, 0, 0);
    handled = 0;
    alarm(1);
    TRY("sem_wait", sem_wait(&semaphore));
}

int main(void) {
    own_entry();
    random_device();
    signals();
    return 0;
}
