/* Floor: a system call that a tracer answers, by PTRACE_SYSEMU.
 *
 * One operation is one getpid of the child: the tracer, which is measured, waits for the stop, reads the
 * registers, writes them back with a result and lets the child go on. It is the least because there is one
 * stop per call only, and nothing of the call's memory is looked at. Both sides on one processor are the
 * caller's business. */
#include "../measure.h"

#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU 31
#endif

#define ANSWER 4242

static pid_t tracee;

static void wait_for_stop(void) {
    int status;
    if (waitpid(tracee, &status, 0) != tracee || !WIFSTOPPED(status)) {
        fprintf(stderr, "the tracee did not stop: status %#x\n", status);
        exit(1);
    }
}

static void prepare(void) {
    tracee = companion();
    if (tracee == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0))
            _exit(1);
        raw(SYS_kill, getpid(), SIGSTOP, 0, 0);
        for (;;)
            if (raw(SYS_getpid, 0, 0, 0, 0) != ANSWER)
                abort();
    }
    int status;
    if (waitpid(tracee, &status, 0) != tracee || !WIFSTOPPED(status)) {
        errno = EPERM;
        unavailable("PTRACE_TRACEME");
    }
    if (ptrace(PTRACE_SETOPTIONS, tracee, 0, PTRACE_O_EXITKILL))
        unavailable("PTRACE_SETOPTIONS");
    if (ptrace(PTRACE_SYSEMU, tracee, 0, 0))
        unavailable("PTRACE_SYSEMU");
    wait_for_stop();
}

/* Before and after, the child stands at a call that is not answered. */
static void run(long count) {
    struct user_regs_struct registers;
    for (long i = 0; i < count; i++) {
        if (ptrace(PTRACE_GETREGS, tracee, 0, &registers))
            unavailable("PTRACE_GETREGS");
        registers.rax = ANSWER;
        if (ptrace(PTRACE_SETREGS, tracee, 0, &registers) || ptrace(PTRACE_SYSEMU, tracee, 0, 0))
            unavailable("PTRACE_SYSEMU");
        wait_for_stop();
    }
}

int main(int argc, char **argv) {
    static const struct operation operations[] = {{"sysemu", prepare, run, 0, 0}, {0}};
    return measure(argc, argv, operations);
}
