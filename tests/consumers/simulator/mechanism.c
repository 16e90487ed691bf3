/* How the small simulator reaches its guests: files, blocks, control, records, memory, launching. No policy. */

#include "simulator.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { FIRST_PID = 100, SPINS = 1000 };

struct task tasks[MAX_TASKS];
struct shimproto_read_only_region *common;
uint64_t now, last_order;
static unsigned char *shared;
static int read_only_fd, shared_fd;
static uint32_t last_pid = FIRST_PID - 1;

void fail(const char *what) {
    fprintf(stderr, "minimal_simulator: %s: %s\n", what, strerror(errno));
    exit(125);
}

void say(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "[%llu.%09llu] ", (unsigned long long)(now / SECOND), (unsigned long long)(now % SECOND));
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
}

/* ---- Versions: the library says which protocol it speaks. ---- */

void check_note(const char *path) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        fail(path);
    const unsigned char *file = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED)
        fail(path);
    const Elf64_Ehdr *header = (const void *)file;
    const Elf64_Phdr *segments = (const void *)(file + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++) {
        uint64_t at = segments[i].p_offset, end = at + segments[i].p_filesz;
        while (segments[i].p_type == PT_NOTE && at + sizeof(Elf64_Nhdr) < end) {
            const Elf64_Nhdr *note = (const void *)(file + at);
            const char *name = (const char *)(note + 1);
            uint32_t name_bytes = (note->n_namesz + 3) & ~3U, bytes = (note->n_descsz + 3) & ~3U;
            if (note->n_type == SHIMPROTO_NOTE_TYPE && note->n_namesz == 5 && strcmp(name, "shim") == 0) {
                uint32_t version[2];
                memcpy(version, name + name_bytes, sizeof version);
                if (version[0] != SHIMPROTO_PROTOCOL_MAJOR || version[1] > SHIMPROTO_PROTOCOL_MINOR) {
                    fprintf(stderr, "minimal_simulator: %s speaks protocol %u.%u, this is %u.%u\n", path, version[0],
                            version[1], SHIMPROTO_PROTOCOL_MAJOR, SHIMPROTO_PROTOCOL_MINOR);
                    exit(125);
                }
                close(fd);
                return;
            }
            at += sizeof *note + name_bytes + bytes;
        }
    }
    fprintf(stderr, "minimal_simulator: %s has no note of its protocol\n", path);
    exit(125);
}

/* ---- Memory: files and blocks. ---- */

static void *memory_file(const char *name, size_t bytes, int *fd) {
    *fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0 || ftruncate(*fd, (off_t)bytes) != 0)
        fail(name);
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (at == MAP_FAILED || fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        fail(name);
    return at;
}

static struct shimproto_block_header block(uint32_t kind, size_t bytes) {
    struct shimproto_block_header header = {SHIMPROTO_BLOCK_MAGIC, kind, (uint32_t)bytes, SHIMPROTO_PROTOCOL_MAJOR,
                                            SHIMPROTO_PROTOCOL_MINOR};
    return header;
}

void make_memory(const char *library) {
    common = memory_file("read-only", SHIMPROTO_READ_ONLY_BYTES, &read_only_fd);
    shared = memory_file("shared", SHIMPROTO_SHARED_BYTES, &shared_fd);
    struct shimproto_manager_block *manager = &common->manager;
    manager->header = block(SHIMPROTO_KIND_MANAGER, sizeof *manager);
    manager->start_realtime_ns = (int64_t)(START * SECOND);
    manager->start_wall_ns = (int64_t)time(NULL) * (int64_t)SECOND;
    manager->tsc_frequency_hz = SECOND;
    manager->syscall_latency_ns = 1000;
    manager->vdso_latency_ns = 10;
    manager->simulator_pid = (uint32_t)getpid();
    manager->emulate_tsc = SHIMPROTO_EMULATE_TSC_ALWAYS;
    manager->read_only_fd = (uint32_t)read_only_fd;
    manager->shared_fd = (uint32_t)shared_fd;
    snprintf(manager->library_path, sizeof manager->library_path, "%s", library);
    struct shimproto_host_block *host = &common->host;
    host->header = block(SHIMPROTO_KIND_HOST, sizeof *host);
    host->uptime_at_start_ns = 60 * SECOND;
    host->rate = (uint32_t)SECOND;
    host->cpu_count = 1;
    host->log_level = 2;
    strcpy(host->hostname, "minimal");
    strcpy(host->kernel_release, "6.0.0");
    strcpy(host->kernel_version, "#1");
    strcpy(host->domainname, "(none)");
    fcntl(read_only_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
    fcntl(shared_fd, F_ADD_SEALS, F_SEAL_SEAL);
}

struct task *new_task(uint32_t parent, uint32_t control, uint32_t limit) {
    for (uint32_t i = 0; i < MAX_TASKS; i++) {
        struct task *task = &tasks[i];
        if (task->state != UNUSED)
            continue;
        memset(task, 0, sizeof *task);
        task->process = (void *)(shared + SHIMPROTO_PROCESSES_OFFSET + i * SHIMPROTO_PROCESS_STRIDE_BYTES);
        task->thread = (void *)(shared + SHIMPROTO_THREADS_OFFSET + i * SHIMPROTO_THREAD_STRIDE_BYTES);
        memset(task->process, 0, sizeof *task->process);
        memset(task->thread, 0, sizeof *task->thread);
        task->state = READY;
        task->order = ++last_order;
        task->pid = ++last_pid;
        task->parent = parent;
        task->process->header = block(SHIMPROTO_KIND_PROCESS, sizeof *task->process);
        task->process->pid = task->process->group = task->process->session = task->pid;
        task->process->parent_pid = parent;
        task->process->descriptor_limit = task->process->descriptor_limit_hard = limit;
        task->process->exit_status = -1;
        task->process->random[0] = task->pid;
        task->thread->header = block(SHIMPROTO_KIND_THREAD, sizeof *task->thread);
        task->thread->tid = task->pid;
        task->thread->process_index = i;
        task->thread->channel.control = control;
        task->reply[0] = SHIMPROTO_REPLY_STARTED;
        return task;
    }
    return NULL;
}

/* ---- Control. ---- */

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *limit) {
    return syscall(SYS_futex, word, operation, value, limit, NULL, 0);
}

void hand_over(struct task *task) {
    uint32_t *word = &task->thread->channel.control;
    uint32_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    /* The guest may declare its sleep meanwhile, once. */
    for (int i = 0; i < 2; i++) {
        uint32_t next = seen & SHIMPROTO_CONTROL_CLOSED;
        if (__atomic_compare_exchange_n(word, &seen, next, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
            if (seen & SHIMPROTO_CONTROL_SLEEPER)
                futex(word, FUTEX_WAKE, INT32_MAX, NULL);
            return;
        }
    }
    kill(task->native, SIGKILL);
}

int is_dead(pid_t native) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    return waitid(P_PID, (id_t)native, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid != 0;
}

/* Whoever waits on it gives up. */
void close_channel(struct task *task) {
    uint32_t *word = &task->thread->channel.control;
    __atomic_fetch_or(word, SHIMPROTO_CONTROL_CLOSED, __ATOMIC_RELEASE);
    futex(word, FUTEX_WAKE, INT32_MAX, NULL);
}

/* Whether control came; else the task is dead. */
int wait_for(struct task *task) {
    uint32_t *word = &task->thread->channel.control;
    const struct timespec recheck = {0, 20000000};
    for (unsigned looks = 0;; looks++) {
        uint32_t seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
        if (seen & SHIMPROTO_CONTROL_SIMULATOR)
            return 1;
        if (looks < SPINS)
            continue;
        if (is_dead(task->native))
            return 0;
        uint32_t asleep = seen | SHIMPROTO_CONTROL_SLEEPER;
        if (__atomic_compare_exchange_n(word, &seen, asleep, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            futex(word, FUTEX_WAIT, asleep, &recheck);
    }
}

/* ---- Records. ---- */

void drain(struct task *task) {
    struct shimproto_ring *ring = &task->thread->ring;
    uint32_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE), tail = ring->tail;
    while (tail != head && head - tail <= SHIMPROTO_RING_WORDS) {
        uint64_t tag = ring->words[tail % SHIMPROTO_RING_WORDS], bytes = tag >> 32;
        char text[SHIMPROTO_MAX_PAYLOAD_BYTES + 8];
        if (bytes > SHIMPROTO_MAX_PAYLOAD_BYTES || 2 + (bytes + 7) / 8 > head - tail)
            break; /* nonsense */
        for (uint64_t i = 0; i * 8 < bytes; i++)
            memcpy(text + i * 8, &ring->words[(tail + 2 + i) % SHIMPROTO_RING_WORDS], 8);
        if ((uint8_t)tag != SHIMPROTO_RECORD_CALL)
            say("pid %u says: %.*s", task->pid, (int)bytes, text);
        tail += 2 + (uint32_t)((bytes + 7) / 8);
    }
    __atomic_store_n(&ring->tail, head, __ATOMIC_RELEASE);
}

/* ---- Guest memory. ---- */

int read_memory(struct task *task, const uint64_t *request, uint64_t at, void *out, size_t bytes) {
    const uint64_t *data = task->thread->channel.data;
    uint64_t words = request[0] == SHIMPROTO_REQUEST_SYSCALL ? 0 : (uint32_t)request[7] / 8;
    for (uint64_t i = 0; i + 2 <= words && data[i + 1] <= (words - i - 2) * 8; i += 2 + (data[i + 1] + 7) / 8) {
        if (at >= data[i] && at - data[i] <= data[i + 1] && bytes <= data[i + 1] - (at - data[i])) {
            memcpy(out, (const char *)(data + i + 2) + (at - data[i]), bytes);
            return 1;
        }
    }
    struct iovec local = {out, bytes}, remote = {(void *)(uintptr_t)at, bytes};
    return process_vm_readv(task->native, &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

/* ---- Environment: our own, and what the guest needs. ---- */

static char **environment_of(const char *library, int number) {
    static const char preload[] = "LD_PRELOAD=", hidden[] = "_D_PRELOAD=", handoff[] = "SHIM_HANDOFF_FD=";
    size_t count = 0, length = strlen(preload) - 1;
    while (environ[count] != NULL)
        count++;
    char **list = calloc(count + 3, sizeof *list), *own = NULL;
    if (list == NULL)
        fail("environment");
    size_t to = 2;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], handoff, strlen(handoff)) == 0)
            continue;
        list[to] = environ[i];
        if (strncmp(environ[i], preload, strlen(preload)) == 0) {
            own = environ[i] + strlen(preload);
            list[to] = strdup(environ[i]);
            memcpy(list[to], hidden, length);
        }
        to++;
    }
    const char *between = own == NULL || *own == 0 ? "" : ":";
    if (asprintf(&list[0], "%s%s%s%s", preload, library, between, own == NULL ? "" : own) < 0 ||
        asprintf(&list[1], "%s%d", handoff, number) < 0)
        fail("environment");
    return list;
}

/* ---- Starting a process: the launcher's duties. ---- */

void launch(struct task *task, const char *library, char **argv) {
    struct rlimit files = {SHIMPROTO_FIRST_HIDDEN_DESCRIPTOR + SHIMPROTO_HIDDEN_DESCRIPTORS, 0};
    struct rlimit stack = {8 << 20, RLIM_INFINITY};
    uint32_t index = (uint32_t)(task - tasks);
    struct shimproto_handoff handoff = {
        0x646e61686d696873, SHIMPROTO_PROTOCOL_MAJOR, SHIMPROTO_PROTOCOL_MINOR, (uint32_t)getpid(),
        (uint32_t)read_only_fd, (uint32_t)shared_fd, index, index, {0}};
    int fd = memfd_create("handoff", MFD_CLOEXEC);
    if (fd < 0 || write(fd, &handoff, sizeof handoff) != sizeof handoff)
        fail("hand-off");
    int number = (int)SHIMPROTO_FIRST_HIDDEN_DESCRIPTOR;
    pid_t simulator = getpid();
    fflush(NULL);
    task->native = fork();
    if (task->native < 0)
        fail("fork");
    if (task->native > 0) {
        close(fd);
        return;
    }
    sigset_t none;
    sigemptyset(&none);
    files.rlim_max = files.rlim_cur;
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != simulator || setrlimit(RLIMIT_NOFILE, &files) != 0 || dup2(fd, number) != number)
        fail("launch");
    setrlimit(RLIMIT_STACK, &stack);
    personality(ADDR_NO_RANDOMIZE);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (int signal = 1; signal < 64; signal++)
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(argv[0], argv, environment_of(library, number));
    fail(argv[0]);
}
