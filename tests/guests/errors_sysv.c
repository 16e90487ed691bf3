/* What System V semaphores, shared memory and message queues refuse: a case for each line of their pages.
 *
 * A part's name comes in, lines go out. Always true: keys are made from the process's id, every object is removed.
 * Left out: ENOSPC and ENOMEM, which need a full system, EOVERFLOW of old structures, huge pages. */
#include "errors.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
#ifndef MSG_EXCEPT
#define MSG_EXCEPT 020000
#endif

static key_t key(void) { return 0x5200000 + getpid(); }

static long op(int id, int number, int change, int flags) {
    struct sembuf operation = {number, change, flags};
    return got(semop(id, &operation, 1));
}

/* A process that makes a call which waits, while the object is removed. */
#define REMOVED(error, call, remove) \
    do { \
        struct gate gate_ = new_gate(); \
        pid_t pid_ = CHILD(is_wrong = 0; open_gate(gate_); FAILS(error, call); _exit(is_wrong)); \
        pass_gate(gate_), pass_time(100 * MS); \
        WORKS(remove); \
        is_wrong |= status_of(pid_) != 0; \
    } while (0)

static void semaphores(void) {
    key_t own = key();
    FAILS(ENOENT, raw(SYS_semget, own, 1, 0));
    FAILS(EINVAL, raw(SYS_semget, IPC_PRIVATE, 0, 0600));
    FAILS(EINVAL, raw(SYS_semget, IPC_PRIVATE, -1, 0600));
    FAILS(EINVAL, raw(SYS_semget, own, 32001, IPC_CREAT | 0600));
    int id = raw(SYS_semget, own, 2, IPC_CREAT | 0600), readable = raw(SYS_semget, IPC_PRIVATE, 1, 0604);
    FAILS(EEXIST, raw(SYS_semget, own, 2, IPC_CREAT | IPC_EXCL | 0600));
    FAILS(EINVAL, raw(SYS_semget, own, 3, 0600));
    FAILS(EINVAL, raw(SYS_semget, own, -1, 0600));
    static struct sembuf many[501];
    struct sembuf odd = {2, 1, 0}, zero_wait = {0, 0, IPC_NOWAIT}, down = {0, -1, IPC_NOWAIT}, waits = {0, -1, 0}, two[2] = {{0, 0, 0}, {0xffff, 1, 0}}, undo = {0, 32767, SEM_UNDO};
    FAILS(E2BIG, raw(SYS_semop, id, many, 501));
    FAILS(E2BIG, raw(SYS_semop, id, nowhere, -1));
    FAILS(EINVAL, raw(SYS_semop, id, many, 0));
    FAILS(EINVAL, raw(SYS_semop, -1, many, 1));
    FAILS(EINVAL, raw(SYS_semop, NOBODY, many, 1));
    FAILS(EFAULT, raw(SYS_semop, id, nowhere, 1));
    FAILS(EFAULT, raw(SYS_semop, NOBODY, nowhere, 1));
    FAILS(EFBIG, raw(SYS_semop, id, &odd, 1));
    FAILS(EFBIG, raw(SYS_semop, id, two, 2));
    FAILS(EAGAIN, raw(SYS_semop, id, &down, 1));
    WORKS(raw(SYS_semctl, id, 0, SETVAL, 1));
    FAILS(EAGAIN, raw(SYS_semop, id, &zero_wait, 1));
    FAILS(ERANGE, op(id, 0, 32767, 0));
    WORKS(raw(SYS_semctl, id, 0, SETVAL, 0));
    WORKS(raw(SYS_semop, id, &undo, 1));
    WORKS(raw(SYS_semctl, id, 0, SETVAL, 0));
    struct timespec soon = {0, 1000000}, wrong = {-1, 0}, much = {0, 1000000000};
    FAILS(EAGAIN, raw(SYS_semtimedop, id, &waits, 1, &soon));
    FAILS(EINVAL, raw(SYS_semtimedop, id, &waits, 1, &wrong));
    FAILS(EINVAL, raw(SYS_semtimedop, id, &waits, 1, &much));
    FAILS(EFAULT, raw(SYS_semtimedop, id, &waits, 1, nowhere));
    FAILS(EFAULT, raw(SYS_semtimedop, NOBODY, &waits, 1, nowhere));
    INTERRUPTED(FAILS(EINTR, op(id, 0, -1, 0)));
    uint16_t big[2] = {1, 32768};
    struct semid_ds state;
    FAILS(EINVAL, raw(SYS_semctl, id, 0, 77, 0));
    FAILS(EINVAL, raw(SYS_semctl, id, 0, -1, 0));
    FAILS(EINVAL, raw(SYS_semctl, -1, 0, GETVAL, 0));
    FAILS(EINVAL, raw(SYS_semctl, NOBODY, 0, IPC_RMID, 0));
    FAILS(EINVAL, raw(SYS_semctl, id, 2, GETVAL, 0));
    FAILS(EINVAL, raw(SYS_semctl, id, -1, SETVAL, 1));
    FAILS(EINVAL, raw(SYS_semctl, id, 2, GETNCNT, 0));
    FAILS(EINVAL, raw(SYS_semctl, 32767, 0, SEM_STAT, &state));
    FAILS(ERANGE, raw(SYS_semctl, id, 0, SETVAL, -1));
    FAILS(ERANGE, raw(SYS_semctl, id, 77, SETVAL, 32768));
    FAILS(ERANGE, raw(SYS_semctl, id, 0, SETALL, big));
    FAILS(EFAULT, raw(SYS_semctl, id, 0, IPC_STAT, nowhere));
    FAILS(EFAULT, raw(SYS_semctl, id, 0, IPC_SET, nowhere));
    FAILS(EFAULT, raw(SYS_semctl, id, 0, GETALL, nowhere));
    FAILS(EFAULT, raw(SYS_semctl, id, 0, SETALL, nowhere));
    FAILS(EFAULT, raw(SYS_semctl, 0, 0, IPC_INFO, nowhere));
    AS_USER(
        FAILS(EACCES, raw(SYS_semget, own, 1, 0400));
        FAILS(EACCES, op(id, 0, 1, 0));
        FAILS(EACCES, op(readable, 0, 1, 0));
        WORKS(op(readable, 0, 0, 0));
        FAILS(EACCES, raw(SYS_semctl, id, 0, GETVAL, 0));
        FAILS(EACCES, raw(SYS_semctl, id, 0, GETPID, 0));
        FAILS(EACCES, raw(SYS_semctl, id, 0, GETALL, big));
        FAILS(EACCES, raw(SYS_semctl, id, 0, GETNCNT, 0));
        FAILS(EACCES, raw(SYS_semctl, id, 0, GETZCNT, 0));
        FAILS(EACCES, raw(SYS_semctl, id, 0, IPC_STAT, &state));
        FAILS(EACCES, raw(SYS_semctl, readable, 0, SETVAL, 1));
        big[1] = 1;
        FAILS(EACCES, raw(SYS_semctl, readable, 0, SETALL, big));
        FAILS(EPERM, raw(SYS_semctl, readable, 0, IPC_SET, &state));
        FAILS(EPERM, raw(SYS_semctl, readable, 0, IPC_RMID, 0)));
    /* User 0 may, whatever the mode says. */
    int closed;
    AS_USER(closed = raw(SYS_semget, own + 1, 1, IPC_CREAT); FAILS(EACCES, op(closed, 0, 1, 0)));
    closed = raw(SYS_semget, own + 1, 0, 0);
    WORKS(op(closed, 0, 1, 0));
    WORKS(raw(SYS_semctl, closed, 0, IPC_RMID, 0));
    REMOVED(EIDRM, op(id, 0, -1, 0), raw(SYS_semctl, id, 0, IPC_RMID, 0));
    WORKS(raw(SYS_semctl, readable, 0, IPC_RMID, 0));
    FAILS(EINVAL, op(id, 0, 1, 0));
    FAILS(EINVAL, raw(SYS_semctl, id, 0, IPC_RMID, 0));
}

static void memory(void) {
    key_t own = key();
    struct shmid_ds state;
    FAILS(ENOENT, raw(SYS_shmget, own, 1, 0));
    FAILS(EINVAL, raw(SYS_shmget, IPC_PRIVATE, 0, 0600));
    FAILS(EINVAL, raw(SYS_shmget, IPC_PRIVATE, -1L, 0600));
    int id = raw(SYS_shmget, own, 5000, IPC_CREAT | 0600), readable = raw(SYS_shmget, IPC_PRIVATE, 5000, 0604);
    FAILS(EEXIST, raw(SYS_shmget, own, 5000, IPC_CREAT | IPC_EXCL | 0600));
    FAILS(EINVAL, raw(SYS_shmget, own, 5001, 0600));
    FAILS(EINVAL, raw(SYS_shmat, -1, NULL, 0));
    FAILS(EINVAL, raw(SYS_shmat, NOBODY, NULL, 0));
    FAILS(EINVAL, raw(SYS_shmat, id, 123, 0));
    FAILS(EINVAL, raw(SYS_shmat, id, NULL, SHM_REMAP));
    char *place = shmat(id, NULL, 0);
    FAILS(EINVAL, raw(SYS_shmat, id, place, 0));
    FAILS(EINVAL, raw(SYS_shmat, id, place + 5, SHM_REMAP));
    FAILS(ENOMEM, raw(SYS_shmat, id, 0x7ffffffff000, 0));
    FAILS(EINVAL, raw(SYS_shmdt, place + 1));
    FAILS(EINVAL, raw(SYS_shmdt, place + 4096));
    FAILS(EINVAL, raw(SYS_shmdt, page));
    FAILS(EINVAL, raw(SYS_shmdt, NULL));
    FAILS(EINVAL, raw(SYS_shmctl, id, 77, &state));
    FAILS(EINVAL, raw(SYS_shmctl, id, -1, &state));
    FAILS(EINVAL, raw(SYS_shmctl, -1, IPC_STAT, &state));
    FAILS(EINVAL, raw(SYS_shmctl, NOBODY, IPC_RMID, NULL));
    FAILS(EINVAL, raw(SYS_shmctl, NOBODY, SHM_LOCK, NULL));
    FAILS(EINVAL, raw(SYS_shmctl, 32767, SHM_STAT, &state));
    FAILS(EFAULT, raw(SYS_shmctl, id, IPC_STAT, nowhere));
    FAILS(EFAULT, raw(SYS_shmctl, id, IPC_SET, nowhere));
    FAILS(EFAULT, raw(SYS_shmctl, 0, IPC_INFO, nowhere));
    FAILS(EFAULT, raw(SYS_shmctl, 0, SHM_INFO, nowhere));
    struct rlimit none = {0, 0};
    AS_USER(
        FAILS(EACCES, raw(SYS_shmget, own, 1, 0400));
        FAILS(EACCES, raw(SYS_shmat, id, NULL, 0));
        FAILS(EACCES, raw(SYS_shmat, id, NULL, SHM_RDONLY));
        FAILS(EACCES, raw(SYS_shmat, readable, NULL, 0));
        FAILS(EACCES, raw(SYS_shmat, readable, NULL, SHM_RDONLY | SHM_EXEC));
        FAILS(EACCES, raw(SYS_shmctl, id, IPC_STAT, &state));
        FAILS(EPERM, raw(SYS_shmctl, readable, IPC_SET, &state));
        FAILS(EPERM, raw(SYS_shmctl, readable, IPC_RMID, NULL));
        FAILS(EPERM, raw(SYS_shmctl, readable, SHM_LOCK, NULL));
        FAILS(EPERM, raw(SYS_shmctl, readable, SHM_UNLOCK, NULL));
        int theirs = raw(SYS_shmget, IPC_PRIVATE, 5000, 0600);
        WORKS(setrlimit(RLIMIT_MEMLOCK, &none));
        FAILS(EPERM, raw(SYS_shmctl, theirs, SHM_LOCK, NULL));
        WORKS(raw(SYS_shmctl, theirs, IPC_RMID, NULL)));
    WORKS(raw(SYS_shmctl, readable, IPC_RMID, NULL));
    WORKS(raw(SYS_shmctl, id, IPC_RMID, NULL));
    WORKS(raw(SYS_shmdt, place));
    FAILS(EINVAL, raw(SYS_shmdt, place));
    FAILS(EINVAL, raw(SYS_shmat, id, NULL, 0));
    FAILS(EINVAL, raw(SYS_shmctl, id, IPC_RMID, NULL));
}

static struct {
    long type;
    char text[9000];
} message;

static void messages(void) {
    key_t own = key();
    struct msqid_ds state;
    FAILS(ENOENT, raw(SYS_msgget, own, 0));
    int id = raw(SYS_msgget, own, IPC_CREAT | 0600), readable = raw(SYS_msgget, IPC_PRIVATE, 0604), writable = raw(SYS_msgget, IPC_PRIVATE, 0602);
    FAILS(EEXIST, raw(SYS_msgget, own, IPC_CREAT | IPC_EXCL | 0600));
    message.type = 1;
    FAILS(EINVAL, raw(SYS_msgsnd, -1, &message, 1, 0));
    FAILS(EINVAL, raw(SYS_msgsnd, NOBODY, &message, 1, 0));
    FAILS(EINVAL, raw(SYS_msgsnd, id, &message, -1L, 0));
    FAILS(EINVAL, raw(SYS_msgsnd, id, &message, 8193, 0));
    message.type = 0;
    FAILS(EINVAL, raw(SYS_msgsnd, id, &message, 1, 0));
    message.type = -1;
    FAILS(EINVAL, raw(SYS_msgsnd, id, &message, 1, 0));
    message.type = 1;
    FAILS(EFAULT, raw(SYS_msgsnd, id, nowhere, 1, 0));
    FAILS(EFAULT, raw(SYS_msgsnd, NOBODY, nowhere, 8193, 0));
    FAILS(EINVAL, raw(SYS_msgrcv, -1, &message, 1, 0, 0));
    FAILS(EINVAL, raw(SYS_msgrcv, NOBODY, &message, 1, 0, 0));
    FAILS(EINVAL, raw(SYS_msgrcv, id, &message, -1L, 0, 0));
    FAILS(EINVAL, raw(SYS_msgrcv, id, &message, 1, 0, MSG_COPY));
    FAILS(EINVAL, raw(SYS_msgrcv, id, &message, 1, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT));
    FAILS(ENOMSG, raw(SYS_msgrcv, id, &message, 1, 0, IPC_NOWAIT));
    FAILS(ENOMSG, raw(SYS_msgrcv, id, &message, 1, 77, IPC_NOWAIT));
    FAILS(ENOMSG, raw(SYS_msgrcv, id, &message, 1, 0, IPC_NOWAIT | MSG_COPY));
    INTERRUPTED(FAILS(EINTR, raw(SYS_msgrcv, id, &message, 1, 0, 0)));
    WORKS(raw(SYS_msgsnd, id, &message, 100, 0));
    FAILS(E2BIG, raw(SYS_msgrcv, id, &message, 99, 0, 0));
    FAILS(ENOMSG, raw(SYS_msgrcv, id, &message, 100, 1, IPC_NOWAIT | MSG_COPY));
    FAILS(EFAULT, raw(SYS_msgrcv, id, nowhere, 100, 0, 0));
    FAILS(ENOMSG, raw(SYS_msgrcv, id, &message, 100, 0, IPC_NOWAIT));
    while (raw(SYS_msgsnd, id, &message, 8192, IPC_NOWAIT) == 0);
    FAILS(EAGAIN, raw(SYS_msgsnd, id, &message, 8192, IPC_NOWAIT));
    INTERRUPTED(FAILS(EINTR, raw(SYS_msgsnd, id, &message, 8192, 0)));
    FAILS(EINVAL, raw(SYS_msgctl, id, 77, &state));
    FAILS(EINVAL, raw(SYS_msgctl, id, -1, &state));
    FAILS(EINVAL, raw(SYS_msgctl, -1, IPC_STAT, &state));
    FAILS(EINVAL, raw(SYS_msgctl, NOBODY, IPC_RMID, NULL));
    FAILS(EINVAL, raw(SYS_msgctl, 32767, MSG_STAT, &state));
    FAILS(EFAULT, raw(SYS_msgctl, id, IPC_STAT, nowhere));
    FAILS(EFAULT, raw(SYS_msgctl, id, IPC_SET, nowhere));
    FAILS(EFAULT, raw(SYS_msgctl, NOBODY, IPC_SET, nowhere));
    FAILS(EFAULT, raw(SYS_msgctl, 0, IPC_INFO, nowhere));
    AS_USER(
        FAILS(EACCES, raw(SYS_msgget, own, 0400));
        FAILS(EACCES, raw(SYS_msgsnd, id, &message, 1, 0));
        FAILS(EACCES, raw(SYS_msgsnd, readable, &message, 1, 0));
        FAILS(EACCES, raw(SYS_msgrcv, id, &message, 1, 0, 0));
        FAILS(EACCES, raw(SYS_msgrcv, writable, &message, 1, 0, 0));
        FAILS(EACCES, raw(SYS_msgctl, writable, IPC_STAT, &state));
        memset(&state, 0, sizeof state);
        FAILS(EPERM, raw(SYS_msgctl, readable, IPC_SET, &state));
        FAILS(EPERM, raw(SYS_msgctl, readable, IPC_RMID, NULL));
        int theirs = raw(SYS_msgget, IPC_PRIVATE, 0600);
        WORKS(raw(SYS_msgctl, theirs, IPC_STAT, &state));
        state.msg_qbytes = 1 << 20;
        FAILS(EPERM, raw(SYS_msgctl, theirs, IPC_SET, &state));
        WORKS(raw(SYS_msgctl, theirs, IPC_RMID, NULL)));
    REMOVED(EIDRM, raw(SYS_msgsnd, id, &message, 8192, 0), raw(SYS_msgctl, id, IPC_RMID, NULL));
    REMOVED(EIDRM, raw(SYS_msgrcv, readable, &message, 1, 0, 0), raw(SYS_msgctl, readable, IPC_RMID, NULL));
    WORKS(raw(SYS_msgctl, writable, IPC_RMID, NULL));
    FAILS(EINVAL, raw(SYS_msgsnd, id, &message, 1, 0));
    FAILS(EINVAL, raw(SYS_msgctl, id, IPC_RMID, NULL));
}

int main(int count, char **words) {
    static const struct part parts[] = {{"sem", semaphores}, {"shm", memory}, {"msg", messages}, {NULL, NULL}};
    return run_parts_of_errors(parts, count, words);
}
