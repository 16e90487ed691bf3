/* Operations that make processes and wait for their end.
 *
 * Each is the same natively and as a guest; what one is, is said where it stands. The program that is
 * started is /bin/true: dynamic, small, and everybody has it. */
#include "../measure.h"

#include <sys/wait.h>

static char *const arguments[] = {"true", NULL};

static void await(pid_t child) {
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "a child failed\n");
        exit(1);
    }
}

/* fork, and a child that ends at once. */
static void fork_wait(long count) {
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        await(child);
    }
}

/* The variables of this process go along: so does the empty library, where that is measured. */
extern char **environ;

/* fork, execve, wait: what a shell does. */
static void fork_exec(long count) {
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            execve("/bin/true", arguments, environ);
            _exit(127);
        }
        await(child);
    }
}

/* The same without a copy of the address space: what posix_spawn does. */
__attribute__((noinline)) static pid_t vfork_true(void) {
    pid_t child = vfork();
    if (child == 0) {
        execve("/bin/true", arguments, environ);
        _exit(127);
    }
    return child;
}

static void vfork_exec(long count) {
    for (long i = 0; i < count; i++)
        await(vfork_true());
}

int main(int argc, char **argv) {
    static const struct operation operations[] = {
        {"fork", NULL, fork_wait, 0, 0},
        {"fork-exec", NULL, fork_exec, 0, 0},
        {"vfork-exec", NULL, vfork_exec, 0, 0},
        {0},
    };
    return measure(argc, argv, operations);
}
