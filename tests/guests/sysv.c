/* System V shared memory, semaphores and message queues between processes.
 *
 * A part's name comes in, lines go out. Always true: every object is private or has a key made from the
 * process's id, and is removed before the part ends; ids and times are compared, never shown. */
#include "family.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

static key_t key(void) { return 0x5100000 + getpid(); }
static int is_recent(time_t when) { return when >= time(NULL) - 100 && when <= time(NULL) + 1; }

static void show_permissions(const char *name, const struct ipc_perm *perm) {
    say("%s: mode %o, owner %d %d, creator %d %d", name, perm->mode & 0777, perm->uid == geteuid(), perm->gid == getegid(),
        perm->cuid == geteuid(), perm->cgid == getegid());
}

/* --- shared memory ---------------------------------------------------------------------------------------- */

static void show_memory(const char *name, int id) {
    struct shmid_ds state;
    long result = got(shmctl(id, IPC_STAT, &state));
    if (result != 0) {
        say("%s: %ld", name, result);
        return;
    }
    show_permissions(name, &state.shm_perm);
    say("  size %ld, attached %ld, creator %d, last %d, times %d %d %d, destroyed %d", (long)state.shm_segsz, (long)state.shm_nattch,
        state.shm_cpid == getpid(), state.shm_lpid == 0 ? 0 : state.shm_lpid == getpid() ? 1 : 2,
        state.shm_atime == 0 ? 0 : is_recent(state.shm_atime), state.shm_dtime == 0 ? 0 : is_recent(state.shm_dtime),
        is_recent(state.shm_ctime), (state.shm_perm.mode & SHM_DEST) != 0);
}

static void memory(void) {
    int id = shmget(IPC_PRIVATE, 5000, 0640);
    say("shmget %d", id >= 0);
    show_memory("fresh", id);
    int *memory = shmat(id, NULL, 0);
    say("zero %d %d", memory[0], memory[1249]);
    memory[0] = 1;
    show_memory("attached", id);
    pid_t pid = CHILD(
        say("child sees %d", memory[0]);
        show_memory("child", id);
        memory[0] = 2;
        int *again = shmat(id, NULL, 0);
        again[1] = 3;
        say("two places %d, the same %d", again != memory, memory[1]);
        EACH("detach, again", got(shmdt(again)), got(shmdt(again)));
        again = shmat(id, NULL, SHM_RDONLY);
        say("read only %d", again[1]));
    show_end("child", pid);
    say("parent sees %d %d", memory[0], memory[1]);
    show_memory("child gone", id);
    pid = CHILD(int *again = shmat(id, NULL, SHM_RDONLY); again[0] = 1);
    show_end("write to read only", pid);
    pid = CHILD(execl("/bin/true", "true", (char *)NULL));
    show_end("next image", pid);
    show_memory("image gone", id);
    struct shmid_ds state;
    shmctl(id, IPC_STAT, &state), state.shm_perm.mode = 0604;
    say("IPC_SET %ld", got(shmctl(id, IPC_SET, &state)));
    show_memory("set", id);
    /* Removed: it is there while it is attached, also for those who know its id. */
    say("IPC_RMID %ld", got(shmctl(id, IPC_RMID, NULL)));
    show_memory("removed", id);
    memory[2] = 4;
    int *other = shmat(id, NULL, 0);
    say("attached again: %d", other == (void *)-1 ? -errno : other[2]);
    EACH("detach", got(shmdt(other)), got(shmdt(memory)));
    show_memory("detached", id);
    say("IPC_RMID %ld", got(shmctl(id, IPC_RMID, NULL)));
}

static void memory_odd(void) {
    EACH("size 0, huge", got(shmget(IPC_PRIVATE, 0, 0600)), got(shmget(IPC_PRIVATE, SIZE_MAX, 0600)));
    say("none %ld", got(shmget(key(), 4096, 0)));
    int id = shmget(key(), 4096, IPC_CREAT | IPC_EXCL | 0600);
    EACH("made, exclusive, again", id >= 0, got(shmget(key(), 4096, IPC_CREAT | IPC_EXCL | 0600)), shmget(key(), 4096, IPC_CREAT) == id);
    EACH("smaller, any, larger", shmget(key(), 1, 0) == id, shmget(key(), 0, 0) == id, got(shmget(key(), 5000, 0)));
    EACH("attach odd", raw(SYS_shmat, -1, NULL, 0), raw(SYS_shmat, id, 123, 0), raw(SYS_shmat, id, NULL, SHM_REMAP));
    char *place = shmat(id, NULL, 0);
    say("at a taken place %ld", raw(SYS_shmat, id, place, 0));
    say("remapped %d", shmat(id, place, SHM_REMAP) == place);
    shmdt(place);
    say("at its place %d", shmat(id, place, 0) == place);
    shmdt(place);
    say("rounded down %d", shmat(id, place + 123, SHM_RND) == place);
    EACH("detach odd", raw(SYS_shmdt, place + 4096), raw(SYS_shmdt, 1));
    shmdt(place);
    struct shmid_ds state;
    EACH("control odd", got(shmctl(id, 77, &state)), got(shmctl(-1, IPC_STAT, &state)), raw(SYS_shmctl, id, IPC_STAT, NULL));
    struct shminfo info;
    say("IPC_INFO %d", shmctl(0, IPC_INFO, (void *)&info) >= 0 && info.shmmin == 1);
    EACH("lock", got(shmctl(id, SHM_LOCK, NULL)), got(shmctl(id, SHM_UNLOCK, NULL)));
    EACH("remove, again", got(shmctl(id, IPC_RMID, NULL)), got(shmctl(id, IPC_RMID, NULL)));
    EACH("gone", raw(SYS_shmat, id, NULL, 0), got(shmget(key(), 0, 0)));
}

/* --- semaphores ------------------------------------------------------------------------------------------- */

static long op(int id, int number, int change, int flags) {
    struct sembuf operation = {number, change, flags};
    return got(semop(id, &operation, 1));
}

static void show_set(const char *name, int id, int count) {
    unsigned short values[8];
    char text[64] = "";
    if (semctl(id, 0, GETALL, (union semun){.array = values}) != 0) {
        say("%s: %d", name, -errno);
        return;
    }
    for (int i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %d", values[i]);
    int pid = semctl(id, 0, GETPID);
    say("%s:%s, last process %d, waiting %d %d", name, text, pid == 0 ? 0 : pid == getpid() ? 1 : 2, semctl(id, 0, GETNCNT),
        semctl(id, 0, GETZCNT));
}

static void until_waiting(int id, int kind, int count) {
    while (semctl(id, 0, kind) != count)
        pass_time(MS);
}

static void semaphores(void) {
    int id = semget(IPC_PRIVATE, 3, 0600);
    struct semid_ds state;
    say("IPC_STAT %ld", got(semctl(id, 0, IPC_STAT, (union semun){.buf = &state})));
    show_permissions("set", &state.sem_perm);
    say("count %ld, operated %d, changed %d", (long)state.sem_nsems, state.sem_otime != 0, is_recent(state.sem_ctime));
    show_set("fresh", id, 3);
    say("SETVAL %ld", got(semctl(id, 1, SETVAL, (union semun){.val = 5})));
    unsigned short values[] = {1, 2, 3};
    EACH("SETALL, value", got(semctl(id, 0, SETALL, (union semun){.array = values})), got(semctl(id, 1, GETVAL)));
    EACH("up, down, zero", op(id, 0, 3, 0), op(id, 0, -2, 0), op(id, 0, 0, IPC_NOWAIT));
    show_set("now", id, 3);
    struct sembuf both[] = {{1, -2, IPC_NOWAIT}, {2, -4, IPC_NOWAIT}};
    say("all or nothing %ld", got(semop(id, both, 2)));
    show_set("nothing", id, 3);
    both[1].sem_op = -3;
    say("all %ld", got(semop(id, both, 2)));
    show_set("all", id, 3);
    /* Waiting for a count, for zero, and for several at once. */
    pid_t down = CHILD(say("down %ld", op(id, 0, -4, 0)));
    until_waiting(id, GETNCNT, 1);
    show_set("one waits", id, 3);
    op(id, 0, 1, 0);
    say("not enough"), op(id, 0, 1, 0);
    show_end("child", down);
    op(id, 0, 1, 0);
    pid_t zero = CHILD(say("zero %ld", op(id, 0, 0, 0)));
    until_waiting(id, GETZCNT, 1);
    show_set("waits for zero", id, 3);
    op(id, 0, -1, 0);
    show_end("child", zero);
    zero = CHILD(say("zero by SETVAL %ld", op(id, 0, -7, 0)));
    until_waiting(id, GETNCNT, 1);
    semctl(id, 0, SETVAL, (union semun){.val = 8}), show_end("child", zero);
    struct timespec some = {0, 20 * MS};
    struct sembuf long_wait = {0, -9, 0};
    say("in time %ld", got(semtimedop(id, &long_wait, 1, &some)));
    /* What a process undoes at its end. */
    semctl(id, 0, SETVAL, (union semun){.val = 10});
    pid_t pid = CHILD(
        op(id, 0, -3, SEM_UNDO), op(id, 1, 4, SEM_UNDO), op(id, 0, -1, 0);
        show_set("child", id, 3));
    show_end("child", pid);
    show_set("undone", id, 3);
    pid = CHILD(op(id, 0, -3, SEM_UNDO); execl("/bin/sleep", "sleep", "0.01", (char *)NULL));
    show_end("next image", pid);
    show_set("undone by the image's end", id, 3);
    pid = CHILD(op(id, 0, -3, SEM_UNDO); pid_t inner = CHILD(_exit(0)); status_of(inner); show_set("not by a child's", id, 3); kill(getpid(), SIGKILL));
    show_end("killed", pid);
    show_set("undone by death", id, 3);
    pid = CHILD(op(id, 0, -3, SEM_UNDO); semctl(id, 0, SETVAL, (union semun){.val = 20}));
    show_end("set", pid);
    show_set("nothing to undo", id, 3);
    pid = CHILD(say("removed meanwhile %ld", op(id, 2, -4, 0)));
    while (semctl(id, 2, GETNCNT) != 1)
        pass_time(MS);
    long result = got(semctl(id, 0, IPC_RMID));
    show_end("child", pid);
    say("IPC_RMID %ld", result);
    say("gone %ld", op(id, 0, 1, 0));
}

static void semaphores_odd(void) {
    EACH("none, count", got(semget(key(), 1, 0)), got(semget(IPC_PRIVATE, -1, 0600)), got(semget(IPC_PRIVATE, 0, 0600)),
        got(semget(IPC_PRIVATE, 1 << 20, 0600)));
    int id = semget(key(), 2, IPC_CREAT | 0600);
    EACH("exclusive, again, more", got(semget(key(), 2, IPC_CREAT | IPC_EXCL | 0600)), semget(key(), 1, 0) == id, got(semget(key(), 3, 0)));
    EACH("number", op(id, 2, 1, 0), op(id, 65535, 1, 0));
    EACH("now, range", op(id, 0, -1, IPC_NOWAIT), op(id, 0, 32767, 0));
    EACH("too large, undo too large", op(id, 0, 1, 0), op(id, 1, 32767, SEM_UNDO));
    struct sembuf one = {0, 0, 0};
    struct timespec bad = {0, 1000000000};
    EACH("count, time", raw(SYS_semop, id, &one, 0), raw(SYS_semop, id, &one, 501), raw(SYS_semtimedop, id, &one, 1, &bad));
    EACH("address, id", raw(SYS_semop, id, NULL, 1), raw(SYS_semop, -1, &one, 1));
    EACH("SETVAL", got(semctl(id, 0, SETVAL, (union semun){.val = -1})), got(semctl(id, 0, SETVAL, (union semun){.val = 32768})));
    EACH("control", got(semctl(id, 5, GETVAL)), got(semctl(id, 0, 77)));
    EACH("remove, again", got(semctl(id, 0, IPC_RMID)), got(semctl(id, 0, IPC_RMID)));
}

/* --- message queues --------------------------------------------------------------------------------------- */

static struct {
    long type;
    char text[9000];
} message;

static long send(int queue, long type, const char *text, int flags) {
    message.type = type, strcpy(message.text, text);
    return got(msgsnd(queue, &message, strlen(text) + 1, flags));
}

static void receive(const char *name, int queue, long type, int flags) {
    memset(&message, 0, sizeof message);
    long result = got(msgrcv(queue, &message, 16, type, flags));
    say("%s = %ld, type %ld, %s", name, result, message.type, message.text);
}

static void show_queue(const char *name, int queue) {
    struct msqid_ds state;
    long result = got(msgctl(queue, IPC_STAT, &state));
    if (result != 0) {
        say("%s: %ld", name, result);
        return;
    }
    show_permissions(name, &state.msg_perm);
    say("  %ld messages, limit %d, last sender %d, receiver %d, times %d %d %d", (long)state.msg_qnum, state.msg_qbytes == 16384,
        state.msg_lspid == 0 ? 0 : state.msg_lspid == getpid() ? 1 : 2, state.msg_lrpid == 0 ? 0 : state.msg_lrpid == getpid() ? 1 : 2,
        state.msg_stime == 0 ? 0 : is_recent(state.msg_stime), state.msg_rtime == 0 ? 0 : is_recent(state.msg_rtime), is_recent(state.msg_ctime));
}

static void messages(void) {
    int queue = msgget(IPC_PRIVATE, 0622);
    show_queue("fresh", queue);
    EACH("send", send(queue, 3, "five", 0), send(queue, 2, "four", 0), send(queue, 3, "three", 0), send(queue, 1, "two", 0),
        send(queue, 5, "one", 0));
    show_queue("five", queue);
    receive("first", queue, 0, 0), receive("type 3", queue, 3, 0), receive("at most 3", queue, -3, 0), receive("not 5", queue, 5, MSG_EXCEPT);
    receive("none", queue, 7, IPC_NOWAIT);
    show_queue("one left", queue);
    pid_t pid = CHILD(receive("child", queue, 0, 0); receive("child waits", queue, 9, 0));
    send(queue, 8, "not this", 0), pass_time(5 * MS), send(queue, 9, "this", 0);
    show_end("child", pid);
    show_queue("after the child", queue);
    receive("left", queue, 0, 0);
    send(queue, 4, "a longer message text", 0);
    receive("too long", queue, 0, 0), receive("cut", queue, 0, MSG_NOERROR), receive("empty", queue, 0, IPC_NOWAIT);
    message.type = 1;
    say("nothing in it %ld", got(msgsnd(queue, &message, 0, 0)));
    receive("nothing in it", queue, 0, 0);
    /* Full, until somebody takes one. */
    int sent = 0;
    message.type = 6, message.text[0] = 0;
    while (msgsnd(queue, &message, 4000, IPC_NOWAIT) == 0)
        sent++;
    say("full after %d: %d", sent, -errno);
    pid = CHILD(say("waited to send %ld", got(msgsnd(queue, &message, 4000, 0))));
    pass_time(10 * MS);
    for (int i = 0; i <= sent; i++)
        if (msgrcv(queue, &message, 8000, 0, 0) != 4000)
            say("received %d", -errno);
    show_end("child", pid);
    struct msqid_ds state;
    msgctl(queue, IPC_STAT, &state), state.msg_qbytes = 10, state.msg_perm.mode = 0600;
    say("IPC_SET %ld", got(msgctl(queue, IPC_SET, &state)));
    EACH("small", send(queue, 1, "12345678", 0), send(queue, 1, "12345678", IPC_NOWAIT));
    struct gate gate = new_gate();
    pid = CHILD(open_gate(gate); receive("removed meanwhile", queue, 77, 0));
    pass_gate(gate), pass_time(30 * MS);
    long result = got(msgctl(queue, IPC_RMID, NULL));
    show_end("child", pid);
    say("IPC_RMID %ld", result);
    show_queue("gone", queue);
}

static void messages_odd(void) {
    say("none %ld", got(msgget(key(), 0)));
    int queue = msgget(key(), IPC_CREAT | 0600);
    EACH("exclusive, again", got(msgget(key(), IPC_CREAT | IPC_EXCL | 0600)), msgget(key(), 0) == queue);
    EACH("type 0, negative, too long", send(queue, 0, "x", 0), send(queue, -1, "x", 0), raw(SYS_msgsnd, queue, &message, 9000, 0));
    message.type = 1;
    EACH("size", raw(SYS_msgsnd, queue, &message, -1L, 0), raw(SYS_msgrcv, queue, &message, -1L, 0, 0));
    EACH("address, id", raw(SYS_msgsnd, queue, NULL, 1, 0), raw(SYS_msgsnd, -1, &message, 1, 0), raw(SYS_msgrcv, -1, &message, 1, 0, 0));
    EACH("control", got(msgctl(queue, 77, NULL)), raw(SYS_msgctl, queue, IPC_STAT, NULL));
    say("copy needs not to wait %ld", raw(SYS_msgrcv, queue, &message, 1, 0, 040000)); /* MSG_COPY */
    EACH("remove, again", got(msgctl(queue, IPC_RMID, NULL)), got(msgctl(queue, IPC_RMID, NULL)));
    say("gone %ld", send(queue, 1, "x", 0));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"memory", memory}, {"memory-odd", memory_odd}, {"semaphores", semaphores}, {"semaphores-odd", semaphores_odd},
        {"messages", messages}, {"messages-odd", messages_odd}, {NULL, NULL},
    };
    return run_parts(parts, count, words);
}
