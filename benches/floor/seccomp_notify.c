/* Floor: a system call that another process answers, by seccomp's user notification.
 *
 * One operation is one getpid of the child: the supervisor, which is measured, takes the notification and
 * answers it with a value. It is the least because nothing of the call's memory is looked at, the filter
 * compares one number, and the kernel is asked to wake the other side where this one is about to sleep
 * (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP), if it knows that. Both sides on one processor are the caller's
 * business. */
#include "../measure.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define SYNC_WAKE_UP 1

#define ANSWER 4242

static int listener;

/* The filter is there before the child, who inherits it: so the listener needs no way to the parent, who
 * does not call getpid. */
static void prepare(void) {
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof instructions / sizeof *instructions, instructions};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                            &filter);
    if (listener < 0)
        unavailable("a seccomp filter with a listener");
    /* A kernel before 6.6 does not know it, and is slower. */
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
    if (companion() == 0)
        for (;;)
            if (raw(SYS_getpid, 0, 0, 0, 0) != ANSWER)
                abort();
}

static void run(long count) {
    for (long i = 0; i < count; i++) {
        struct seccomp_notif notification = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification))
            unavailable("SECCOMP_IOCTL_NOTIF_RECV");
        struct seccomp_notif_resp answer = {.id = notification.id, .val = ANSWER};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer))
            unavailable("SECCOMP_IOCTL_NOTIF_SEND");
    }
}

int main(int argc, char **argv) {
    static const struct operation operations[] = {{"notify", prepare, run, 0, 0}, {0}};
    return measure(argc, argv, operations);
}
