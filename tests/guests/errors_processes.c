/* What the calls that make, change, group and await processes refuse: a case for each line of their pages.
 *
 * A part's name comes in, lines go out. Always true: a call that makes a process would fail before there is one.
 * Left out: limits of the whole system, namespaces of another configuration, what only a privileged caller is told
 * (EEXIST of a chosen id), files that another user cannot reach, file systems mounted otherwise, traced processes. */
#include "errors.h"
#include <elf.h>
#include <limits.h>
#include <sched.h>
#include <spawn.h>
#include <stddef.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#define PIDFD 0x1000
#define DETACHED 0x400000
#define CLEAR_SIGHAND (UINT64_C(1) << 32)
#define INTO_CGROUP (UINT64_C(1) << 33)
#define NEW_CGROUP 0x2000000

extern char **environ;

#ifdef __GLIBC__
static int nothing(void *data) { return (void)data, 0; }
#endif
static void *thread(void *data) { return data; }

static void forks(void) {
    struct rlimit none = {0, 0}, two = {2, 2};
    /* A user who has one process, and may have two. */
    IN_CHILD(
        int user = USER + 1 + getpid();
        WORKS(setrlimit(RLIMIT_NPROC, &two));
        WORKS(setresuid(user, user, user));
        pid_t second = WAITING_CHILD();
        FAILS(EAGAIN, fork());
        end_child(second));
    AS_USER(
        WORKS(setrlimit(RLIMIT_NPROC, &none));
        FAILS(EAGAIN, fork());
        FAILS(EAGAIN, raw(SYS_fork));
        FAILS(EAGAIN, vfork());
        FAILS(EAGAIN, raw(SYS_clone, SIGCHLD, 0, 0, 0, 0));
        pid_t pid;
        FAILS(EAGAIN, number(posix_spawn(&pid, "/bin/true", NULL, NULL, (char *[]){"true", NULL}, environ)));
        pthread_t id;
        FAILS(EAGAIN, number(pthread_create(&id, NULL, thread, NULL))));
}

/* Should there be a child, it is not to go on. */
#define CLONE_FAILS(error, flags) FAILS(error, raw(SYS_clone, (flags) | SIGCHLD, 0, &place, &place, 0) ?: end())
static long end(void) { _exit(9); }

static void clones(void) {
    long place;
    CLONE_FAILS(EINVAL, CLONE_SIGHAND);
    CLONE_FAILS(EINVAL, CLONE_THREAD);
    CLONE_FAILS(EINVAL, CLONE_THREAD | CLONE_VM);
    CLONE_FAILS(EINVAL, CLONE_THREAD | CLONE_SIGHAND);
    CLONE_FAILS(EINVAL, CLONE_FS | CLONE_NEWNS);
    CLONE_FAILS(EINVAL, CLONE_FS | CLONE_NEWUSER);
    CLONE_FAILS(EINVAL, CLONE_NEWPID | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM);
    CLONE_FAILS(EINVAL, CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM);
    CLONE_FAILS(EINVAL, PIDFD | DETACHED);
    CLONE_FAILS(EINVAL, PIDFD | CLONE_PARENT_SETTID);
    FAILS(EFAULT, raw(SYS_clone, PIDFD | SIGCHLD, 0, nowhere, 0, 0) ?: end());
    WITHOUT_ROOM(CLONE_FAILS(EMFILE, PIDFD));
#ifdef __GLIBC__
    FAILS(EINVAL, clone(NULL, page + sizeof page, SIGCHLD, NULL));
    FAILS(EINVAL, clone(nothing, NULL, SIGCHLD, NULL));
#endif
    AS_USER(
        CLONE_FAILS(EPERM, NEW_CGROUP);
        CLONE_FAILS(EPERM, CLONE_NEWIPC);
        CLONE_FAILS(EPERM, CLONE_NEWIPC | CLONE_SYSVSEM);
        CLONE_FAILS(EPERM, CLONE_NEWNET);
        CLONE_FAILS(EPERM, CLONE_NEWNS);
        CLONE_FAILS(EPERM, CLONE_NEWPID);
        CLONE_FAILS(EPERM, CLONE_NEWUTS));
}

#define CLONE3_FAILS(error, ...) FAILS(error, raw(SYS_clone3, &(struct arguments){__VA_ARGS__}, 88) ?: end())
struct arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup, later[3];
};

static void clones3(void) {
    struct arguments none = {.exit_signal = SIGCHLD}, later = {.exit_signal = SIGCHLD, .later = {1}};
    FAILS(EINVAL, raw(SYS_clone3, &none, 63));
    FAILS(EINVAL, raw(SYS_clone3, &none, 0));
    FAILS(E2BIG, raw(SYS_clone3, &none, 4097));
    FAILS(E2BIG, raw(SYS_clone3, &later, 96));
    FAILS(EFAULT, raw(SYS_clone3, nowhere, 88));
    FAILS(EFAULT, raw(SYS_clone3, NULL, 64));
    CLONE3_FAILS(EINVAL, .flags = UINT64_C(1) << 40);
    CLONE3_FAILS(EINVAL, .flags = DETACHED);
    CLONE3_FAILS(EINVAL, .flags = SIGCHLD);
    CLONE3_FAILS(EINVAL, .exit_signal = 65);
    CLONE3_FAILS(EINVAL, .exit_signal = UINT64_C(1) << 32);
    CLONE3_FAILS(EINVAL, .flags = CLONE_SIGHAND | CLEAR_SIGHAND | CLONE_VM);
    CLONE3_FAILS(EINVAL, .flags = CLONE_SIGHAND);
    CLONE3_FAILS(EINVAL, .flags = CLONE_THREAD | CLONE_VM);
    CLONE3_FAILS(EINVAL, .flags = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND, .exit_signal = SIGCHLD);
    CLONE3_FAILS(EINVAL, .flags = CLONE_PARENT, .exit_signal = SIGCHLD);
    CLONE3_FAILS(EINVAL, .flags = CLONE_FS | CLONE_NEWNS);
    CLONE3_FAILS(EINVAL, .stack = 4096);
    CLONE3_FAILS(EINVAL, .stack_size = 4096);
    CLONE3_FAILS(EINVAL, .stack = UINT64_MAX - 4095, .stack_size = 4096);
    CLONE3_FAILS(EINVAL, .flags = INTO_CGROUP, .cgroup = UINT64_C(1) << 32);
    CLONE3_FAILS(EBADF, .flags = INTO_CGROUP, .cgroup = CLOSED, .exit_signal = SIGCHLD);
    CLONE3_FAILS(EFAULT, .flags = PIDFD, .pidfd = 1, .exit_signal = SIGCHLD);
    int ids[33] = {0}, one = 1, wrong = -1;
    CLONE3_FAILS(EINVAL, .set_tid = (uint64_t)ids, .set_tid_size = 33);
    CLONE3_FAILS(EINVAL, .set_tid = (uint64_t)ids);
    CLONE3_FAILS(EINVAL, .set_tid_size = 1);
    CLONE3_FAILS(EINVAL, .set_tid = (uint64_t)ids, .set_tid_size = 1, .exit_signal = SIGCHLD);
    CLONE3_FAILS(EINVAL, .set_tid = (uint64_t)&wrong, .set_tid_size = 1, .exit_signal = SIGCHLD);
    CLONE3_FAILS(EINVAL, .set_tid = (uint64_t)ids, .set_tid_size = 32, .exit_signal = SIGCHLD);
    CLONE3_FAILS(EFAULT, .set_tid = 1, .set_tid_size = 1, .exit_signal = SIGCHLD);
    AS_USER(
        CLONE3_FAILS(EPERM, .flags = CLONE_NEWPID, .exit_signal = SIGCHLD);
        CLONE3_FAILS(EPERM, .set_tid = (uint64_t)&one, .set_tid_size = 1, .exit_signal = SIGCHLD));
}

static char *const no_words[] = {NULL};

static void put(const char *name, mode_t mode, const char *text) {
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    WORKS(write(file, text, strlen(text)));
    WORKS(fchmod(file, mode));
    close(file);
}

/* A program of one segment, which names its interpreter, or of several. */
static void put_program(const char *name, const char *interpreter, int count) {
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr segments[2];
        char text[64];
    } file = {
        .header = {.e_ident = "\177ELF\002\001\001", .e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = 1, .e_phoff = 64, .e_ehsize = 64,
                   .e_phentsize = 56, .e_phnum = count},
    };
    snprintf(file.text, sizeof file.text, "%s", interpreter);
    for (int i = 0; i < count; i++)
        file.segments[i] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = offsetof(__typeof__(file), text), .p_filesz = strlen(interpreter) + 1};
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    WORKS(write(fd, &file, sizeof file));
    close(fd);
}

#define EXEC_FAILS(error, name) FAILS(error, execve(name, no_words, no_words))

static void images(void) {
    static char long_name[PATH_MAX + 2], *many[3] = {"program"};
    memset(long_name, 'x', sizeof long_name - 1);
    put("text", 0755, "neither a program nor a script\n"), put("empty", 0755, ""), put("none", 0644, "#!/bin/sh\n");
    put("lost", 0755, "#!/no/such/interpreter\n"), put("bare", 0755, "#!\n"), put("forbidden", 0755, "#!none\n"), put("folded", 0755, "#!.\n");
    put("through", 0755, "#!text/below\n"), put("elf", 0755, "\177ELF\002\001\001"), put("nested", 0755, "#!nested\n");
    WORKS(mkdir("folder", 0755));
    WORKS(symlink("circle", "circle"));
    WORKS(mkfifo("fifo", 0755));
    EXEC_FAILS(ENOENT, "missing");
    EXEC_FAILS(ENOENT, "");
    EXEC_FAILS(ENOENT, "missing/below");
    EXEC_FAILS(ENOTDIR, "text/below");
    EXEC_FAILS(ELOOP, "circle");
    EXEC_FAILS(ENAMETOOLONG, long_name);
    long_name[300] = 0;
    EXEC_FAILS(ENAMETOOLONG, long_name);
    EXEC_FAILS(EACCES, "none");
    EXEC_FAILS(EACCES, "folder");
    EXEC_FAILS(EACCES, "fifo");
    EXEC_FAILS(ENOEXEC, "text");
    EXEC_FAILS(ENOEXEC, "empty");
    EXEC_FAILS(ENOEXEC, "elf");
    EXEC_FAILS(ENOEXEC, "bare");
    EXEC_FAILS(ENOENT, "lost");
    EXEC_FAILS(EACCES, "forbidden");
    EXEC_FAILS(EACCES, "folded");
    EXEC_FAILS(ENOTDIR, "through");
    EXEC_FAILS(ELOOP, "nested");
    memset(page, 'x', 100), put("hundred", 0755, page);
    put_program("for text", "hundred", 1), put_program("for none", "none", 1), put_program("for folder", "folder", 1);
    put_program("for missing", "missing", 1), put_program("for below", "text/below", 1), put_program("for two", "hundred", 2), put_program("unnamed", "", 1);
    EXEC_FAILS(ELIBBAD, "for text");
    EXEC_FAILS(EACCES, "for none");
    EXEC_FAILS(EACCES, "for folder");
    EXEC_FAILS(ENOENT, "for missing");
    EXEC_FAILS(ENOTDIR, "for below");
    EXEC_FAILS(ELIBBAD, "for two");
    EXEC_FAILS(ENOEXEC, "unnamed");
    FAILS(EFAULT, execve(nowhere, no_words, no_words));
    FAILS(EFAULT, raw(SYS_execve, NULL, no_words, no_words));
    FAILS(EFAULT, execve("/bin/true", nowhere, no_words));
    FAILS(EFAULT, execve("/bin/true", no_words, nowhere));
    many[1] = nowhere;
    FAILS(EFAULT, execve("/bin/true", many, no_words));
    FAILS(EFAULT, execve("/bin/true", no_words, many));
    /* One word of more than 32 pages. */
    many[1] = malloc(1 << 18), memset(many[1], 'y', (1 << 18) - 1), many[1][(1 << 18) - 1] = 0;
    FAILS(E2BIG, execve("/bin/true", many, no_words));
    FAILS(E2BIG, execve("/bin/true", no_words, many));
    FAILS(ENOENT, execve("missing", many, no_words));
    int file = open("none", O_RDWR | O_CLOEXEC);
    WORKS(chmod("none", 0755));
    EXEC_FAILS(ETXTBSY, "none");
    close(file);
}

#define EXEC_AT_FAILS(error, fd, name, flags) FAILS(error, raw(SYS_execveat, fd, name, no_words, no_words, flags))

static void images_at(void) {
    put("text", 0755, "neither a program nor a script\n"), put("script", 0755, "#!/bin/true\n");
    WORKS(symlink("text", "link"));
    int folder = open(".", O_RDONLY | O_CLOEXEC), file = open("script", O_RDONLY | O_CLOEXEC), fds[2];
    WORKS(pipe(fds));
    EXEC_AT_FAILS(EBADF, CLOSED, "text", 0);
    EXEC_AT_FAILS(EBADF, CLOSED, "", AT_EMPTY_PATH);
    EXEC_AT_FAILS(ENOENT, folder, "missing", 0);
    EXEC_AT_FAILS(ENOENT, file, "", 0);
    EXEC_AT_FAILS(ENOTDIR, file, "text", 0);
    EXEC_AT_FAILS(ENOTDIR, fds[0], "text", 0);
    EXEC_AT_FAILS(EACCES, fds[0], "", AT_EMPTY_PATH);
    EXEC_AT_FAILS(EACCES, folder, "", AT_EMPTY_PATH);
    EXEC_AT_FAILS(EINVAL, folder, "text", 1);
    EXEC_AT_FAILS(EINVAL, CLOSED, "text", -1);
    EXEC_AT_FAILS(ELOOP, folder, "link", AT_SYMLINK_NOFOLLOW);
    EXEC_AT_FAILS(ENOEXEC, folder, "link", 0);
    EXEC_AT_FAILS(ENOENT, file, "", AT_EMPTY_PATH);
    EXEC_AT_FAILS(ENOENT, folder, "../missing/script", 0);
    EXEC_AT_FAILS(EFAULT, folder, nowhere, 0);
    EXEC_AT_FAILS(EACCES, CLOSED, "/dev/null", 0);
}

static void spawns(void) {
    pid_t pid;
    char *words[] = {"program", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    put("text", 0755, "neither a program nor a script\n"), put("none", 0644, "");
    FAILS(ENOENT, number(posix_spawn(&pid, "missing", NULL, NULL, words, environ)));
    FAILS(EACCES, number(posix_spawn(&pid, "none", NULL, NULL, words, environ)));
    FAILS(ENOEXEC, number(posix_spawn(&pid, "text", NULL, NULL, words, environ)));
    FAILS(ENOTDIR, number(posix_spawn(&pid, "text/below", NULL, NULL, words, environ)));
    FAILS(ENOENT, number(posix_spawnp(&pid, "no-such-program", NULL, NULL, words, environ)));
    posix_spawn_file_actions_init(&actions);
    FAILS(EBADF, number(posix_spawn_file_actions_addclose(&actions, -1)));
    FAILS(EBADF, number(posix_spawn_file_actions_adddup2(&actions, -1, 5)));
    FAILS(EBADF, number(posix_spawn_file_actions_addopen(&actions, -1, "x", O_RDONLY, 0)));
    posix_spawn_file_actions_adddup2(&actions, CLOSED, 5);
    FAILS(EBADF, number(posix_spawn(&pid, "/bin/true", &actions, NULL, words, environ)));
    posix_spawn_file_actions_destroy(&actions), posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 5, "missing", O_RDONLY, 0);
    FAILS(ENOENT, number(posix_spawn(&pid, "/bin/true", &actions, NULL, words, environ)));
    posix_spawnattr_init(&attributes);
    FAILS(EINVAL, number(posix_spawnattr_setflags(&attributes, 0x4000)));
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP), posix_spawnattr_setpgroup(&attributes, NOBODY);
    FAILS(EPERM, number(posix_spawn(&pid, "/bin/true", NULL, &attributes, words, environ)));
    FAILS(ECHILD, waitpid(-1, NULL, 0));
}

static void waits(void) {
    int status, fds[2];
    siginfo_t info;
    WORKS(pipe(fds));
    FAILS(ECHILD, raw(SYS_wait4, -1, &status, 0, NULL));
    FAILS(ECHILD, raw(SYS_wait4, 0, &status, WNOHANG, NULL));
    FAILS(ECHILD, raw(SYS_wait4, NOBODY, &status, 0, NULL));
    FAILS(ECHILD, raw(SYS_wait4, -NOBODY, &status, 0, NULL));
    FAILS(ECHILD, raw(SYS_wait4, getpid(), &status, 0, NULL));
    FAILS(ECHILD, raw(SYS_wait4, getppid(), &status, 0, NULL));
    FAILS(ESRCH, raw(SYS_wait4, INT32_MIN, &status, 0, NULL));
    FAILS(EINVAL, raw(SYS_wait4, -1, &status, 4, NULL));
    FAILS(EINVAL, raw(SYS_wait4, -1, &status, WEXITED, NULL));
    FAILS(EINVAL, raw(SYS_wait4, INT32_MIN, &status, 0x100, NULL));
    FAILS(ECHILD, raw(SYS_waitid, P_ALL, 0, &info, WEXITED, NULL));
    FAILS(ECHILD, raw(SYS_waitid, P_PID, NOBODY, &info, WSTOPPED, NULL));
    FAILS(ECHILD, raw(SYS_waitid, P_PGID, 0, &info, WCONTINUED | WNOHANG, NULL));
    FAILS(EINVAL, raw(SYS_waitid, P_ALL, 0, &info, 0, NULL));
    FAILS(EINVAL, raw(SYS_waitid, P_ALL, 0, &info, WNOHANG | WNOWAIT, NULL));
    FAILS(EINVAL, raw(SYS_waitid, P_ALL, 0, &info, WEXITED | 0x10, NULL));
    FAILS(EINVAL, raw(SYS_waitid, 4, 0, &info, WEXITED, NULL));
    FAILS(EINVAL, raw(SYS_waitid, -1, 0, &info, WEXITED, NULL));
    FAILS(EINVAL, raw(SYS_waitid, P_PID, 0, &info, WEXITED, NULL));
    FAILS(EINVAL, raw(SYS_waitid, P_PID, -1, &info, WEXITED, NULL));
    FAILS(EINVAL, raw(SYS_waitid, P_PGID, -1, &info, WEXITED, NULL));
    FAILS(EINVAL, raw(SYS_waitid, P_PIDFD, -1, &info, WEXITED, NULL));
    FAILS(EBADF, raw(SYS_waitid, P_PIDFD, CLOSED, &info, WEXITED, NULL));
    FAILS(EBADF, raw(SYS_waitid, P_PIDFD, fds[0], &info, WEXITED, NULL));
    pid_t child = WAITING_CHILD();
    int own = raw(SYS_pidfd_open, getpid(), 0), of_child = raw(SYS_pidfd_open, child, O_NONBLOCK);
    FAILS(ECHILD, raw(SYS_waitid, P_PIDFD, own, &info, WEXITED, NULL));
    FAILS(EAGAIN, raw(SYS_waitid, P_PIDFD, of_child, &info, WEXITED, NULL));
    INTERRUPTED(FAILS(EINTR, raw(SYS_wait4, -1, NULL, 0, NULL)); FAILS(EINTR, raw(SYS_wait4, child, NULL, 0, NULL)));
    INTERRUPTED(FAILS(EINTR, raw(SYS_waitid, P_ALL, 0, &info, WEXITED, NULL)));
    IN_CHILD(FAILS(ECHILD, waitpid(child, NULL, 0)));
    kill(child, SIGKILL);
    FAILS(EFAULT, raw(SYS_waitid, P_PID, child, nowhere, WEXITED | WNOWAIT, NULL));
    FAILS(EFAULT, raw(SYS_waitid, P_PID, child, NULL, WEXITED | WNOWAIT, nowhere));
    FAILS(EFAULT, raw(SYS_wait4, child, nowhere, 0, NULL));
    /* It was waited for all the same. */
    FAILS(ECHILD, raw(SYS_wait4, child, NULL, 0, NULL));
    handle(SIGCHLD, SIG_IGN, 0);
    child = CHILD();
    FAILS(ECHILD, raw(SYS_wait4, child, &status, 0, NULL));
}

static void groups(void) {
    struct gate gate = new_gate(), done = new_gate();
    FAILS(EINVAL, raw(SYS_setpgid, 0, -1));
    FAILS(EINVAL, raw(SYS_setpgid, NOBODY, -1));
    FAILS(ESRCH, raw(SYS_setpgid, NOBODY, 0));
    FAILS(EINVAL, raw(SYS_setpgid, -1, 0));
    FAILS(ESRCH, raw(SYS_setpgid, 1, 0));
    FAILS(EPERM, raw(SYS_setpgid, 0, NOBODY));
    FAILS(ESRCH, raw(SYS_getpgid, NOBODY));
    FAILS(ESRCH, raw(SYS_getpgid, -1));
    FAILS(ESRCH, raw(SYS_getsid, NOBODY));
    FAILS(ESRCH, raw(SYS_getsid, -1));
    IN_CHILD(
        FAILS(ESRCH, raw(SYS_setpgid, getppid(), 0));
        WORKS(raw(SYS_setpgid, 0, 0));
        FAILS(EPERM, raw(SYS_setsid)));
    IN_CHILD(
        WORKS(setsid());
        FAILS(EPERM, raw(SYS_setsid));
        FAILS(EPERM, raw(SYS_setpgid, 0, 0));
        FAILS(EPERM, raw(SYS_setpgid, 0, getppid())));
    pid_t other = WAITING_CHILD(setsid()), same = WAITING_CHILD();
    FAILS(EPERM, raw(SYS_setpgid, other, 0));
    FAILS(EPERM, raw(SYS_setpgid, other, getpgrp()));
    FAILS(EPERM, raw(SYS_setpgid, same, other));
    FAILS(EPERM, raw(SYS_setpgid, same, same + 4000));
    pid_t next = CHILD(dup2(gate.fds[1], 1); dup2(done.fds[0], 0); execl("/bin/sh", "sh", "-c", "echo g; read line", (char *)NULL));
    pass_gate(gate);
    FAILS(EACCES, raw(SYS_setpgid, next, 0));
    FAILS(EACCES, raw(SYS_setpgid, next, getpgrp()));
    end_child(next), end_child(same), end_child(other);
    FAILS(ESRCH, raw(SYS_getpgid, next));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"fork", forks}, {"clone", clones}, {"clone3", clones3}, {"execve", images}, {"execveat", images_at},
        {"posix_spawn", spawns}, {"wait", waits}, {"setpgid", groups}, {NULL, NULL},
    };
    return run_parts_of_errors(parts, count, words);
}
