/* Children that become another program: vfork, posix_spawn, every exec, and what the next image finds.
 *
 * A part's name comes in, or words for the image that a part starts; lines go out, from each image. Always
 * true: an image that was started says what it finds before its maker, which waits for it, goes on. */
#include "family.h"
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* look WORD...: what an image finds: arguments, environment, descriptors, signals, ids. */
static int look(int count, char **words) {
    say("image: %d words, last %s", count, words[count - 1]);
    for (char **variable = environ; *variable; variable++)
        if (strncmp(*variable, "LD_", 3) != 0)
            say("  %s", *variable);
    sigset_t mask, pending;
    sigprocmask(SIG_BLOCK, NULL, &mask), sigpending(&pending);
    for (int signal = 1; signal <= 64; signal++) {
        struct sigaction action = {0};
        if (raw(SYS_rt_sigaction, signal, NULL, &action, 8) == 0 && action.sa_handler != SIG_DFL)
            say("  signal %d: %s", signal, action.sa_handler == SIG_IGN ? "ignored" : "handled");
        if (sigismember(&mask, signal) == 1 || sigismember(&pending, signal) == 1)
            say("  signal %d: blocked %d, pending %d", signal, sigismember(&mask, signal), sigismember(&pending, signal));
    }
    for (int fd = 0; fd < 20; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            say("  descriptor %d, offset %ld", fd, fd < 3 ? 0 : got(lseek(fd, 0, SEEK_CUR)));
    say("  leads group %d, session %d", getpgrp() == getpid(), getsid(0) == getpid());
    return 5;
}

/* What can and cannot be executed, in the folder. */
static void lay_out(void) {
    const struct {
        const char *name;
        int mode;
        const char *text;
    } files[] = {
        {"text", 0755, "neither a program nor a script\n"}, {"noexec", 0644, "#!/bin/sh\n"},
        {"script", 0755, "#!/bin/sh\necho script \"$@\"\nexit 6\n"}, {"lost", 0755, "#!/nonexistent/interpreter\n"},
    };
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        int fd = open(files[i].name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (write(fd, files[i].text, strlen(files[i].text)) < 0 || fchmod(fd, files[i].mode) != 0)
            abort();
        close(fd);
    }
    mkdir("folder", 0755);
}

static char *no_variables[] = {NULL};
static char *look_words[] = {self, (char *)"look", (char *)"here", NULL};
static char *variables[] = {(char *)"A=1", (char *)"EMPTY=", (char *)"LONG NAME=x y", NULL};

/* --- vfork ------------------------------------------------------------------------------------------------ */

static volatile int changed;

static void vfork_exit(void) {
    volatile int local = 1;
    int pipes[2];
    pipe(pipes);
    pid_t pid = vfork();
    if (pid == 0) {
        changed = 10, local = 20;
        close(pipes[1]); /* the table is the child's own */
        _exit(3);
    }
    say("parent sees %d %d", changed, local);
    say("own descriptor %ld", got(write(pipes[1], "x", 1)));
    show_end("child", pid);
    /* The parent goes on only after the child's end. */
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid = vfork();
    if (pid == 0) {
        pass_time(20 * MS);
        *shared = 1;
        _exit(0);
    }
    say("child had ended: %d", *shared);
    show_end("child", pid);
    pid = vfork();
    if (pid == 0) {
        kill(getpid(), SIGKILL);
        _exit(0);
    }
    show_end("killed", pid);
}

static void vfork_exec(void) {
    pid_t parent = getpid();
    pid_t pid = vfork();
    if (pid == 0) {
        changed = getppid() == parent && getpid() != parent;
        execve(self, look_words, variables);
        _exit(99);
    }
    show_end("image", pid);
    say("parent sees %d", changed);
    /* The parent goes on when the child has its image, not only when it ends. */
    struct gate gate = new_gate();
    fcntl(gate.fds[0], F_SETFD, 0), dup2(gate.fds[0], 9);
    char *words[] = {self, (char *)"gate", NULL};
    pid = vfork();
    if (pid == 0) {
        execve(self, words, no_variables);
        _exit(99);
    }
    say("image runs");
    open_gate(gate);
    show_end("image", pid);
}

static void on_signal(int signal) { say("handler for %d", signal); }

static void vfork_failures(void) {
    lay_out();
    char *one[] = {(char *)"x", NULL}, *large[] = {malloc(1 << 20), NULL};
    memset(large[0], 'a', (1 << 20) - 1), large[0][(1 << 20) - 1] = 0;
    static const char *const paths[] = {"gone", "text", "noexec", "lost", "folder", "text/below", "", "/dev/null"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            changed = raw(SYS_execve, paths[i], one, no_variables);
            _exit(7);
        }
        say("%s: %d", paths[i], changed);
        show_end("child", pid);
    }
    pid_t pid = vfork();
    if (pid == 0) {
        changed = raw(SYS_execve, self, large, no_variables);
        changed += 1000 * raw(SYS_execve, (char *)1, one, no_variables);
        _exit(7);
    }
    say("too much, bad: %d", changed);
    show_end("child", pid);
    /* After a failure another try is free. */
    pid = vfork();
    if (pid == 0) {
        execve("gone", one, no_variables);
        execve("script", (char *[]){(char *)"script", (char *)"a b", NULL}, no_variables);
        _exit(99);
    }
    show_end("second try", pid);
    /* A signal to the parent waits until the child has gone. */
    handle(SIGUSR1, on_signal, 0);
    pid = vfork();
    if (pid == 0) {
        kill(getppid(), SIGUSR1);
        say("child goes on");
        _exit(0);
    }
    show_end("child", pid);
    /* The child's dispositions are its own. */
    pid = vfork();
    if (pid == 0) {
        signal(SIGUSR1, SIG_IGN);
        _exit(0);
    }
    show_end("child", pid);
    raise(SIGUSR1);
}

static void *vforks_here(void *unused) {
    pid_t pid = vfork();
    if (pid == 0) {
        execve(self, look_words, no_variables);
        _exit(99);
    }
    show_end("image of a thread's child", pid);
    return unused;
}

static volatile int goes_on;
static void *counts(void *gate) {
    pass_gate(*(struct gate *)gate);
    goes_on = 1;
    return NULL;
}

static void vfork_thread(void) {
    pthread_t one, other;
    pthread_create(&one, NULL, vforks_here, NULL), pthread_join(one, NULL);
    /* Only the calling thread waits: the other one goes on and is seen by the child. */
    struct gate gate = new_gate();
    pthread_create(&other, NULL, counts, &gate);
    pid_t pid = vfork();
    if (pid == 0) {
        open_gate(gate);
        while (!goes_on)
            sched_yield();
        _exit(4);
    }
    show_end("child", pid);
    pthread_join(other, NULL);
}

/* --- posix_spawn ------------------------------------------------------------------------------------------ */

static void spawned(const char *name, int error, pid_t pid) {
    if (error != 0)
        say("%s: error %d", name, error);
    else
        show_end(name, pid);
}

static void spawn(void) {
    pid_t pid = 0;
    int error = posix_spawn(&pid, self, NULL, NULL, look_words, variables);
    spawned("spawn", error, pid);
    lay_out();
    static const char *const paths[] = {"./gone", "./text", "./noexec", "./lost", "./folder", "./script"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
        error = posix_spawn(&pid, paths[i], NULL, NULL, (char *[]){(char *)"x", NULL}, no_variables);
        spawned(paths[i], error, pid);
    }
    error = posix_spawnp(&pid, "sh", NULL, NULL, (char *[]){(char *)"sh", (char *)"-c", (char *)"echo \"$A\"; exit 8", NULL}, variables);
    spawned("spawnp", error, pid);
    error = posix_spawnp(&pid, "no-such-program-anywhere", NULL, NULL, look_words, no_variables);
    spawned("spawnp", error, pid);
    say("nobody left: %ld", got(wait(NULL)));
}

static void spawn_actions(void) {
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int file = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    write(file, "0123456789", 10), lseek(file, 4, SEEK_SET);
    int pipes[2];
    pipe2(pipes, O_CLOEXEC);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, file, 7);
    posix_spawn_file_actions_addopen(&actions, 8, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 9, "made", O_WRONLY | O_CREAT, 0640);
    posix_spawn_file_actions_addclose(&actions, 0);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], pipes[1]); /* keeps it open */
    int error = posix_spawn(&pid, self, &actions, NULL, look_words, no_variables);
    spawned("actions", error, pid);
    posix_spawn_file_actions_addopen(&actions, 10, "/nonexistent/file", O_RDONLY, 0);
    error = posix_spawn(&pid, self, &actions, NULL, look_words, no_variables);
    spawned("cannot be opened", error, pid);
    posix_spawn_file_actions_destroy(&actions), posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, 77, 0);
    error = posix_spawn(&pid, self, &actions, NULL, look_words, no_variables);
    spawned("not open", error, pid);
    posix_spawn_file_actions_destroy(&actions), posix_spawn_file_actions_init(&actions);
    /* Output of a command through a pipe, in another folder. */
    posix_spawn_file_actions_addchdir_np(&actions, "/usr");
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
    error = posix_spawnp(&pid, "pwd", &actions, NULL, (char *[]){(char *)"pwd", NULL}, no_variables);
    close(pipes[1]);
    char line[64] = "";
    long length = got(read(pipes[0], line, sizeof line - 1));
    say("through the pipe: %ld %s", length, line);
    spawned("pwd", error, pid);
    say("in place: descriptor %ld, offset %ld", got(fcntl(file, F_GETFD)), got(lseek(file, 0, SEEK_CUR)));
}

static void spawn_attributes(void) {
    posix_spawnattr_t attributes;
    sigset_t set = SET(SIGUSR1, SIGHUP), defaults = SET(SIGUSR2, SIGTERM);
    pid_t pid;
    handle(SIGUSR2, SIG_IGN, 0), handle(SIGTERM, SIG_IGN, 0), handle(SIGWINCH, SIG_IGN, 0);
    handle(SIGALRM, on_signal, 0);
    block(SET(SIGQUIT));
    posix_spawnattr_init(&attributes);
    int error = posix_spawn(&pid, self, NULL, &attributes, look_words, no_variables);
    spawned("none", error, pid);
    posix_spawnattr_setsigmask(&attributes, &set), posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    error = posix_spawn(&pid, self, NULL, &attributes, look_words, no_variables);
    spawned("mask, defaults, group", error, pid);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_RESETIDS);
    error = posix_spawn(&pid, self, NULL, &attributes, look_words, no_variables);
    spawned("session", error, pid);
    posix_spawnattr_setpgroup(&attributes, 1 << 22);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    error = posix_spawn(&pid, self, NULL, &attributes, look_words, no_variables);
    spawned("no such group", error, pid);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    say("own mask: %d %d", sigismember(&mask, SIGQUIT), sigismember(&mask, SIGUSR1));
}

static void commands(void) {
    say("system: %s", in_words(system("exit 3")));
    say("system: %s", in_words(system("kill -9 $$")));
    say("system: %s", in_words(system("no-such-program-anywhere 2>/dev/null")));
    say("a shell: %d", system(NULL) != 0);
    FILE *stream = popen("echo one; echo two; exit 4", "r");
    char line[32];
    while (fgets(line, sizeof line, stream))
        say("popen: %.*s", (int)strcspn(line, "\n"), line);
    say("pclose: %s", in_words(pclose(stream)));
    stream = popen("tr a-z A-Z", "w");
    fputs("to upper case\n", stream);
    say("pclose: %s", in_words(pclose(stream)));
    /* system() ignores SIGINT meanwhile and blocks SIGCHLD. */
    handle(SIGINT, on_signal, 0), handle(SIGCHLD, on_signal, 0);
    say("system: %s", in_words(system("kill -INT $PPID; exit 5")));
    say("end");
}

/* --- exec ------------------------------------------------------------------------------------------------- */

static void execs(void) {
    lay_out();
    char path[600];
    snprintf(path, sizeof path, "PATH=/nonexistent:.:/usr/bin:/bin");
    char *with_path[] = {path, NULL};
    static const char *const names[] = {"execv", "execve", "execl", "execvp", "execlp", "fexecve", "at empty path", "at folder"};
    for (int way = 0; way < 8; way++) {
        pid_t pid = fork();
        if (pid == 0) {
            int program = open(self, O_RDONLY | O_CLOEXEC);
            /* A script's interpreter opens it again by the descriptor, which stays. */
            int folder = way == 7 ? open(".", O_RDONLY | O_DIRECTORY) : -1;
            clearenv();
            putenv(path);
            long result = way == 0   ? execv(self, look_words)
                          : way == 1 ? execve(self, look_words, variables)
                          : way == 2 ? execl(self, "zero", "look", "execl", (char *)NULL)
                          : way == 3 ? execvp("script", (char *[]){(char *)"script", (char *)"by path", NULL})
                          : way == 4 ? execlp("text", "text", (char *)NULL)
                          : way == 5 ? fexecve(program, look_words, variables)
                          : way == 6 ? raw(SYS_execveat, program, "", look_words, variables, AT_EMPTY_PATH)
                                     : raw(SYS_execveat, folder, "script", look_words, with_path, 0);
            say("%ld, errno %d", result, errno);
            _exit(99);
        }
        show_end(names[way], pid);
    }
}

static void execs_odd(void) {
    lay_out();
    symlink(self, "link"), symlink("gone", "dangling");
    int script = open("script", O_RDONLY | O_CLOEXEC), path = open(self, O_PATH | O_CLOEXEC);
    say("link not followed %ld", raw(SYS_execveat, AT_FDCWD, "link", look_words, no_variables, AT_SYMLINK_NOFOLLOW));
    say("dangling %ld", raw(SYS_execveat, AT_FDCWD, "dangling", look_words, no_variables, 0));
    say("empty path %ld", raw(SYS_execveat, path, "", look_words, no_variables, 0));
    say("script that closes %ld", raw(SYS_execveat, script, "", look_words, no_variables, AT_EMPTY_PATH));
    say("unknown flag %ld", raw(SYS_execveat, AT_FDCWD, "script", look_words, no_variables, 0x40000));
    say("no folder %ld", raw(SYS_execveat, script, "script", look_words, no_variables, 0));
    int busy = open("busy", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    say("open for writing %ld", raw(SYS_execve, "busy", look_words, no_variables));
    close(busy), unlink("link"), unlink("dangling");
    pid_t pid = CHILD(raw(SYS_execveat, path, "", look_words, no_variables, AT_EMPTY_PATH); _exit(99));
    show_end("O_PATH", pid);
}

/* One writes down a number for the next image to compare; descriptors close or stay. */
static void keeps(void) {
    char id[16];
    pid_t pid = CHILD(
        snprintf(id, sizeof id, "%d", getpid());
        int kept = open("file", O_RDWR | O_CREAT, 0600);
        write(kept, "abc", 3), open("file", O_RDONLY | O_CLOEXEC);
        handle(SIGUSR1, on_signal, 0), handle(SIGUSR2, SIG_IGN, 0);
        block(SET(SIGTERM, SIGRTMAX)), raise(SIGTERM), sigqueue(getpid(), SIGRTMAX, (union sigval){0});
        setpgid(0, 0);
        prctl(PR_SET_NAME, "renamed");
        execle(self, self, "same", id, "(kept)", (char *)NULL, no_variables));
    show_end("image", pid);
}

/* same PID: is it still the same process, after how it got here. */
static int same(int count, char **words) {
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    say("same process %d, first thread %d, named after the file %d", getpid() == atoi(words[2]),
        raw(SYS_gettid) == getpid(), strncmp(name, strrchr(self, '/') + 1, 15) == 0);
    return look(count - 1, words + 1);
}

static struct gate never;
static void *waits_for_ever(void *unused) {
    pass_gate(never);
    say("nobody opens it");
    return unused;
}
static void *runs_for_ever(void *unused) {
    for (;;)
        sched_yield();
    return unused;
}
static void *executes(void *unused) {
    char id[16];
    snprintf(id, sizeof id, "%d", getpid());
    say("a thread of its own: %d", raw(SYS_gettid) != getpid());
    block(SET(SIGHUP));
    errno = 0;
    long failed = raw(SYS_execve, "gone", look_words, no_variables);
    say("failed: %ld, process goes on", failed);
    execle(self, self, "same", id, "(thread's)", (char *)NULL, no_variables);
    return unused;
}

static void by_thread(void) {
    never = new_gate();
    for (int main_runs = 0; main_runs < 2; main_runs++) {
        pid_t pid = fork();
        if (pid == 0) {
            pthread_t thread;
            pthread_create(&thread, NULL, waits_for_ever, NULL), pthread_create(&thread, NULL, runs_for_ever, NULL);
            pthread_create(&thread, NULL, executes, NULL);
            main_runs ? runs_for_ever(NULL) : waits_for_ever(NULL);
        }
        show_end("image", pid);
    }
    /* The first thread has gone before another one replaces the image. */
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, executes, NULL);
        raw(SYS_exit, 0);
    }
    show_end("image", pid);
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"vfork-exit", vfork_exit}, {"vfork-exec", vfork_exec}, {"vfork-failures", vfork_failures},
        {"vfork-thread", vfork_thread}, {"spawn", spawn}, {"spawn-actions", spawn_actions},
        {"spawn-attributes", spawn_attributes}, {"commands", commands}, {"exec", execs}, {"exec-odd", execs_odd},
        {"exec-keeps", keeps}, {"exec-thread", by_thread}, {NULL, NULL},
    };
    int result = run_parts(parts, count, words);
    if (count > 1 && strcmp(words[1], "look") == 0)
        return look(count, words);
    if (count > 1 && strcmp(words[1], "same") == 0)
        return same(count, words);
    if (count > 1 && strcmp(words[1], "gate") == 0)
        return pass_gate((struct gate){{9, -1}}) ? 6 : 7;
    return result;
}
