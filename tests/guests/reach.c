/* As whom files are reached by a process that is somebody else than it was, and what it then may.
 *
 * A part's name comes in, lines go out; only user 0 may make the changes. Always true: every file is in the folder
 * where the program starts, which belongs to whoever starts it. */
#include "family.h"
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* As in linux/capability.h, which musl has not. */
#define VERSION_1 0x19980330
#define VERSION_3 0x20080522
#define CAP_SETGID 6
#define CAP_SETUID 7
struct header {
    unsigned version;
    int pid;
};
struct sets {
    unsigned effective, permitted, inheritable;
};

#define USER 1234
#define GROUP 4321

static int make(const char *name, int mode) {
    int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
    fchmod(fd, mode), close(fd);
    return fd < 0;
}

static void show(const char *name) {
    struct stat status;
    if (stat(name, &status))
        say("%s: %s", name, strerror(errno));
    else
        say("%s: mode %o, user %u, group %u", name, status.st_mode, status.st_uid, status.st_gid);
}

static void show_lines(const char *first, const char *second) {
    char line[512];
    FILE *file = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, file))
        if (strncmp(line, first, strlen(first)) == 0 || strncmp(line, second, strlen(second)) == 0)
            line[strcspn(line, "\n")] = 0, say("%s", line);
    fclose(file);
}

static void try_all(const char *who) {
    int fd = open("secret", O_RDONLY);
    say("%s: read what only its owner may: %s", who, fd < 0 ? strerror(errno) : "yes"), close(fd);
    fd = open("closed/new", O_CREAT | O_WRONLY, 0644);
    say("%s: make in a closed folder: %s", who, fd < 0 ? strerror(errno) : "yes"), close(fd);
    say("%s: access: %ld %ld", who, got(access("secret", R_OK)), got(faccessat(AT_FDCWD, "secret", R_OK, AT_EACCESS)));
    say("%s: chmod: %ld, chown: %ld", who, got(chmod("secret", 0600)), got(chown("open/shared", 1, 1)));
    say("%s: unlink from closed: %ld", who, got(unlink("closed/new")));
}

static void folders(void) {
    mkdir("open", 0), chmod("open", 0777), mkdir("closed", 0755);
    make("secret", 0600), make("open/shared", 0666);
}

static void follows_effective(void) {
    folders(), umask(0);
    EACH("become", raw(SYS_setresgid, -1, GROUP, -1), raw(SYS_setresuid, -1, USER, -1));
    try_all("effective"), show_lines("Uid", "Gid");
    make("open/own", 0640), mkdir("open/folder", 0700), show("open/own"), show("open/folder");
    say("one's own: %ld %ld", got(chmod("open/own", 0600)), got(chown("open/own", USER, GROUP)));
    int fd = open("open/shared", O_WRONLY);
    say("write: %ld", got(write(fd, "text", 4))), close(fd);
    say("back: %ld", raw(SYS_setresuid, -1, 0, -1)), try_all("again");
    say("for good: %ld", raw(SYS_setresuid, USER, USER, USER)), try_all("for good");
    say("back: %ld", raw(SYS_setresuid, -1, 0, -1));
}

static void real_is_another(void) {
    folders();
    say("become: %ld", raw(SYS_setresuid, USER, -1, -1)), try_all("real");
    show_lines("Uid", "Gid");
}

static void for_files_alone(void) {
    folders();
    EACH("were", setfsgid(GROUP), setfsuid(USER));
    say("are: %d %d", setfsgid(-1), setfsuid(-1));
    say("effective: %d %d", getegid(), geteuid()), try_all("for files"), show_lines("Uid", "Gid");
    make("open/own", 0600), show("open/own");
    say("follow: %ld", raw(SYS_setresuid, -1, 0, -1)), say("are: %d %d", setfsgid(-1), setfsuid(-1));
    say("for good: %ld", raw(SYS_setresuid, USER, USER, USER));
    setfsuid(0), say("are: %d %d", setfsgid(-1), setfsuid(-1)), try_all("nobody special");
}

static void *in_thread(void *arg) {
    say("thread: %ld", raw(SYS_setresuid, -1, USER + 1, -1)), try_all("thread");
    return arg;
}

static void each_thread_has_its_own(void) {
    folders();
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL), pthread_join(thread, NULL);
    try_all("first"), show_lines("Uid", "Gid");
}

static void look(void) {
    say("image: %d %d %d %d", getuid(), geteuid(), getgid(), getegid());
    try_all("image"), show_lines("Uid", "Gid"), show_lines("CapPrm", "CapEff");
    make("open/images", 0600), show("open/images");
    FILE *file = fopen("/proc/self/environ", "r");
    say("own environment: %s", file ? "read" : strerror(errno));
}

/* The program itself may lie where nobody else comes: by a descriptor it can be started all the same. */
static int start_itself(void) {
    int fd = open(self, O_RDONLY);
    char *words[] = {"reach", "look", NULL}, *none[] = {NULL};
    if (fork() == 0) {
        if (setgroups(0, NULL) || setgid(GROUP) || setuid(USER))
            _exit(9);
        make("open/before", 0600), show("open/before");
        syscall(SYS_execveat, fd, "", words, none, AT_EMPTY_PATH);
        _exit(errno);
    }
    int status;
    wait(&status);
    return status;
}

static void next_image_too(void) {
    folders(), make("program", 0600);
    say("end: %s", in_words(start_itself()));
    if (fork() == 0) {
        say("become: %ld", got(setuid(USER)));
        say("not to be started: %d %d", execl("./program", "program", NULL), errno);
        say("not to be found: %d %d", execl("./gone", "gone", NULL), errno);
        _exit(0);
    }
    wait(NULL);
}

static struct sets sets[2];

static long capabilities(long call, int version, int pid) {
    struct header header = {version, pid};
    long result = raw(call, &header, sets);
    if ((int)header.version != version)
        say("version %x is liked better", header.version);
    return result;
}

static void show_sets(const char *who) {
    memset(sets, 0, sizeof sets);
    long result = capabilities(SYS_capget, VERSION_3, 0);
    /* Not all of them are there in every container. */
    say("%s: %ld, setuid %x %x, any %d %d", who, result, sets[0].effective >> CAP_SETUID & 1,
        sets[0].permitted >> CAP_SETUID & 1, !!sets[0].effective, !!sets[0].permitted);
}

static void sets_change(void) {
    show_sets("first");
    say("effective: %ld", raw(SYS_setresuid, -1, USER, -1)), show_sets("effective user");
    say("become: %ld", raw(SYS_setresuid, USER, USER, 0)), show_sets("saved user");
    say("back: %ld", raw(SYS_setresuid, 0, 0, 0)), show_sets("back");
    say("keep: %d", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    say("become: %ld", raw(SYS_setresuid, USER, USER, USER)), show_sets("kept");
    say("another: %ld", raw(SYS_setresuid, -1, USER + 1, -1));
    memset(sets, 0, sizeof sets);
    sets[0].effective = sets[0].permitted = 1 << CAP_SETUID;
    say("set: %ld", capabilities(SYS_capset, VERSION_3, 0)), show_sets("set");
    EACH("another", raw(SYS_setresuid, -1, USER + 1, -1), raw(SYS_setresgid, -1, GROUP, -1));
    sets[0].effective = sets[0].permitted = 1 << CAP_SETUID | 1 << CAP_SETGID;
    say("more: %ld", capabilities(SYS_capset, VERSION_3, 0));
    sets[0].effective = 1 << CAP_SETUID, sets[0].permitted = 0;
    say("not permitted: %ld", capabilities(SYS_capset, VERSION_3, 0));
    sets[0].effective = 0;
    say("none: %ld", capabilities(SYS_capset, VERSION_3, 0)), show_sets("none");
}

static void sets_of_others(void) {
    pid_t child = fork();
    if (child == 0)
        pause();
    say("child: %ld", capabilities(SYS_capget, VERSION_3, child));
    say("setuid %x", sets[0].effective >> CAP_SETUID & 1);
    say("set a child's: %ld", capabilities(SYS_capset, VERSION_3, child));
    say("own: %ld", capabilities(SYS_capget, VERSION_1, getpid()));
    say("nobody: %ld, negative: %ld", capabilities(SYS_capget, VERSION_3, 1 << 22),
        capabilities(SYS_capget, VERSION_3, -5));
    say("version: %ld %ld", capabilities(SYS_capget, 7, 0), capabilities(SYS_capset, 7, 0));
    say("no data: %ld", raw(SYS_capget, &(struct header){VERSION_3, 0}, NULL));
    say("bad: %ld %ld", raw(SYS_capget, 8, sets), raw(SYS_capset, 8, sets));
    kill(child, SIGKILL), wait(NULL);
}

static void try_paths(const char *who) {
    const char *paths[] = {"/", "inner", "/inner", "/closed", "/etc/hostname", "/proc/self/stat", "/proc/meminfo", "..", "/../inner"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
        int fd = open(paths[i], O_RDONLY);
        say("%s: %s: %s", who, paths[i], fd < 0 ? strerror(errno) : "opened"), close(fd);
    }
}

static void changes_root(void) {
    int fds[2], more[2];
    char text[8] = "";
    folders(), mkdir("open/inner", 0755), make("file", 0600);
    EACH("not there", raw(SYS_chroot, "gone"), raw(SYS_chroot, "file"), raw(SYS_chroot, 8));
    say("same: %ld", raw(SYS_chroot, "/")), say("machine: %d", open("/proc/meminfo", O_RDONLY) < 0);
    pipe(fds);
    if (fork() == 0) {
        say("change: %ld", raw(SYS_chroot, "open")), say("cwd is outside: %.13s", getcwd(text, 8) ? text : strerror(errno));
        chdir("/"), say("inside: %s", getcwd(text, 8)), try_paths("root");
        EACH("pipes", pipe(more), more[0] > fds[1], got(write(more[1], "text", 4)), got(read(more[0], text, 8)));
        EACH("in thread", got(socketpair(AF_UNIX, SOCK_STREAM, 0, more)));
        EACH("user", raw(SYS_setresuid, USER, USER, USER), raw(SYS_chroot, "inner"), raw(SYS_chroot, "gone"));
        _exit(0);
    }
    wait(NULL), try_paths("outside");
}

int main(int count, char **words) {
    static const struct part parts[] = {{"follows-effective", follows_effective},
                                        {"real-is-another", real_is_another},
                                        {"for-files-alone", for_files_alone},
                                        {"each-thread-has-its-own", each_thread_has_its_own},
                                        {"next-image-too", next_image_too},
                                        {"sets-change", sets_change},
                                        {"sets-of-others", sets_of_others},
                                        {"changes-root", changes_root},
                                        {"look", look},
                                        {NULL, NULL}};
    return run_parts(parts, count, words);
}
