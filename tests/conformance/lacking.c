/* Runs a program on a machine that has no threads and no second process.
 *
 *     lacking PROGRAM [ARGUMENTS...]
 *
 * A command comes in; it runs behind a filter by which every call that makes a thread or a process gives ENOSYS, as a small
 * simulator would answer. Always true: all else is the real machine's. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REFUSE(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)

int main(int count, char **words) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        REFUSE(SYS_clone),
        REFUSE(SYS_clone3),
        REFUSE(SYS_fork),
        REFUSE(SYS_vfork),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (count < 2)
        return 125;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("prctl");
        return 125;
    }
    execvp(words[1], words + 1);
    perror(words[1]);
    return 127;
}
