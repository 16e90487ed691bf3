/* A link between two network namespaces: what netem would do, where the machine's kernel has no netem.
 *
 *     link RATE_BITS_PER_S DELAY_NS LOSS_PPM SEED SERVER_PORT -- SERVER... -- CLIENT...
 *
 * Two namespaces are made, each with a TUN device as its only way out: 10.77.0.1 for the client, 10.77.0.2 for the server. The server
 * is started; when it listens at its port, the client is; when that has ended the link ends with its status, and so do the
 * server and the namespaces. Meanwhile what one device sends comes out of the other one, DELAY_NS after its last bit has left a
 * queue that RATE_BITS_PER_S empties, unless it is lost, which is drawn from SEED for each datagram. Always true: no datagram
 * overtakes another; the queue holds QUEUE_PACKETS whole ones and drops what comes when it is full, as netem's and as the
 * interfaces of simulated hosts. Who is not root gets a user namespace of its own; what cannot be done is told, with
 * status 3. What goes over the link is the caller's. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNAVAILABLE 3
#define MTU 1500
/* More datagrams than any way holds that is tested: a power of two. */
#define MOST 65536
#define QUEUE_PACKETS 1000
#define DEVICE_PACKETS 10000
/* Read at once from one device, so that the other one has its turn. */
#define BATCH 64
#define NS_PER_S 1000000000ULL

struct datagram {
    uint64_t due_ns;
    unsigned short length;
    unsigned char bytes[MTU];
};

/* What goes from one device to the other. */
struct way {
    int from, to;
    /* When all that waits will have left. */
    uint64_t free_ns;
    /* On their way: from `first` on, `count` of them. */
    struct datagram *ring;
    uint32_t first, count;
    uint64_t passed, lost, dropped;
};

static uint64_t rate_bits_per_s, delay_ns, random_state;
static uint32_t loss_ppm;

static void fail(const char *what) {
    fprintf(stderr, "the link cannot be made: %s: %s\n", what, strerror(errno));
    exit(UNAVAILABLE);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* SplitMix64. */
static uint64_t draw(void) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fail(path);
    close(fd);
}

/* Be root of a user namespace, where one is not root. */
static void become_root(void) {
    char map[64];
    unsigned user = geteuid(), group = getegid();
    if (user == 0)
        return;
    if (unshare(CLONE_NEWUSER))
        fail("neither root nor allowed to make a user namespace");
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1", user);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1", group);
    write_file("/proc/self/gid_map", map);
}

/* Be in a new network namespace whose only ways are the loopback interface and a TUN device: that is returned. */
static int make_side(const char *address) {
    if (unshare(CLONE_NEWNET))
        fail("a network namespace");
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (device < 0)
        fail("/dev/net/tun");
    struct ifreq request = {.ifr_name = "link", .ifr_flags = IFF_TUN | IFF_NO_PI};
    if (ioctl(device, TUNSETIFF, &request))
        fail("a TUN device");
    struct sockaddr_in in = {.sin_family = AF_INET};
    inet_pton(AF_INET, address, &in.sin_addr);
    memcpy(&request.ifr_addr, &in, sizeof in);
    if (ioctl(control, SIOCSIFADDR, &request))
        fail("an address");
    inet_pton(AF_INET, "255.255.255.0", &in.sin_addr);
    memcpy(&request.ifr_netmask, &in, sizeof in);
    if (ioctl(control, SIOCSIFNETMASK, &request))
        fail("a netmask");
    const char *names[] = {"link", "lo"};
    for (int i = 0; i < 2; i++) {
        strcpy(request.ifr_name, names[i]);
        request.ifr_flags = IFF_UP | IFF_RUNNING;
        if (ioctl(control, SIOCSIFFLAGS, &request))
            fail(names[i]);
    }
    /* Whoever reads may be late: what waits then is the queue's, and not to be dropped before. */
    strcpy(request.ifr_name, "link");
    request.ifr_qlen = DEVICE_PACKETS;
    if (ioctl(control, SIOCSIFTXQLEN, &request))
        fail("a queue");
    close(control);
    return device;
}

static pid_t start(char **arguments, int is_server) {
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* What the server says is nobody's. */
        int nothing = open("/dev/null", O_RDWR);
        dup2(nothing, 0);
        if (is_server)
            dup2(nothing, 1);
        execvp(arguments[0], arguments);
        perror(arguments[0]);
        _exit(127);
    }
    return child;
}

/* Whether somebody listens at this port of TCP in the namespace of the caller. */
static int is_listening(const char *file, unsigned port) {
    FILE *list = fopen(file, "re");
    char line[512];
    int found = 0;
    while (list && !found && fgets(line, sizeof line, list)) {
        unsigned local, state;
        found = sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &local, &state) == 2 && local == port && state == 10;
    }
    if (list)
        fclose(list);
    return found;
}

static void wait_for_server(pid_t server, unsigned port) {
    for (int i = 0; i < 1000; i++) {
        if (is_listening("/proc/thread-self/net/tcp", port) || is_listening("/proc/thread-self/net/tcp6", port))
            return;
        if (waitpid(server, NULL, WNOHANG) == server)
            break;
        usleep(10000);
    }
    fprintf(stderr, "the server does not listen at port %u\n", port);
    exit(UNAVAILABLE);
}

/* What a device has sent sets out. Whether there may be more. */
static int take_in(struct way *way) {
    for (int i = 0; i < BATCH; i++) {
        struct datagram *last = &way->ring[(way->first + way->count) % MOST];
        ssize_t length = read(way->from, last->bytes, MTU);
        if (length < 0)
            return 0;
        uint64_t now = now_ns(), free = way->free_ns > now ? way->free_ns : now;
        uint64_t busy = (uint64_t)length * 8 * NS_PER_S / rate_bits_per_s, full = (uint64_t)MTU * 8 * NS_PER_S / rate_bits_per_s;
        if (free - now > QUEUE_PACKETS * full || way->count == MOST) {
            way->dropped++;
            continue;
        }
        way->free_ns = free + busy;
        /* It has used the link before it is lost. */
        if (draw() % 1000000 < loss_ppm) {
            way->lost++;
            continue;
        }
        last->due_ns = way->free_ns + delay_ns;
        last->length = (unsigned short)length;
        way->count++;
    }
    return 1;
}

/* What is due comes out. */
static void let_out(struct way *way, uint64_t now) {
    while (way->count && way->ring[way->first].due_ns <= now) {
        struct datagram *next = &way->ring[way->first];
        if (write(way->to, next->bytes, next->length) != next->length)
            way->dropped++;
        way->passed++;
        way->first = (way->first + 1) % MOST;
        way->count--;
    }
}

/* Carry datagrams until the client has ended; its status. */
static int carry(struct way *ways, pid_t client) {
    int status, has_more = 0;
    uint64_t looked_ns = 0;
    for (;;) {
        uint64_t now = now_ns(), next = now + NS_PER_S / 10;
        let_out(&ways[0], now);
        let_out(&ways[1], now);
        for (int i = 0; i < 2; i++)
            if (ways[i].count && ways[i].ring[ways[i].first].due_ns < next)
                next = ways[i].ring[ways[i].first].due_ns;
        if (now - looked_ns > NS_PER_S / 20) {
            looked_ns = now;
            if (waitpid(client, &status, WNOHANG) == client)
                return status;
        }
        now = now_ns();
        uint64_t wait_ns = next > now && !has_more ? next - now : 0;
        struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S), .tv_nsec = (long)(wait_ns % NS_PER_S)};
        struct pollfd polled[2] = {{.fd = ways[0].from, .events = POLLIN}, {.fd = ways[1].from, .events = POLLIN}};
        has_more = 0;
        if (ppoll(polled, 2, &wait, NULL) > 0)
            for (int i = 0; i < 2; i++)
                if (polled[i].revents)
                    has_more |= take_in(&ways[i]);
    }
}

static char **behind_dashes(char **arguments) {
    while (*arguments && strcmp(*arguments, "--") != 0)
        arguments++;
    if (!*arguments || !arguments[1]) {
        fprintf(stderr, "link RATE_BITS_PER_S DELAY_NS LOSS_PPM SEED SERVER_PORT -- SERVER... -- CLIENT...\n");
        exit(2);
    }
    *arguments = NULL;
    return arguments + 1;
}

int main(int argc, char **argv) {
    if (argc < 6)
        argv[1] = NULL;
    char **server_arguments = behind_dashes(argv + 1), **client_arguments = behind_dashes(server_arguments);
    rate_bits_per_s = strtoull(argv[1], NULL, 10);
    delay_ns = strtoull(argv[2], NULL, 10);
    loss_ppm = (uint32_t)strtoul(argv[3], NULL, 10);
    random_state = strtoull(argv[4], NULL, 10);
    unsigned port = (unsigned)strtoul(argv[5], NULL, 10);
    if (rate_bits_per_s == 0)
        return 2;

    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1);
    become_root();
    int client_device = make_side("10.77.0.1");
    int client_namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int server_device = make_side("10.77.0.2");
    struct way ways[2] = {{.from = client_device, .to = server_device}, {.from = server_device, .to = client_device}};
    for (int i = 0; i < 2; i++)
        if (!(ways[i].ring = malloc(MOST * sizeof *ways[i].ring)))
            fail("memory");

    pid_t server = start(server_arguments, 1);
    wait_for_server(server, port);
    if (client_namespace < 0 || setns(client_namespace, CLONE_NEWNET))
        fail("the client's namespace");
    pid_t client = start(client_arguments, 0);
    int status = carry(ways, client);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    for (int i = 0; i < 2; i++)
        fprintf(stderr, "way %d: %llu passed, %llu lost, %llu dropped\n", i, (unsigned long long)ways[i].passed,
                (unsigned long long)ways[i].lost, (unsigned long long)ways[i].dropped);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
