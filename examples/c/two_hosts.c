/* Two hosts under an event loop of one's own: curl on one, python's web server on the other, 10 ms apart.
 *
 *     cc two_hosts.c $(pkg-config --cflags --libs shim-supervisor) -o two_hosts
 *     ./two_hosts
 *
 * The loop owns simulated time and the cable between the hosts, and knows nothing of what is inside a packet. Each run
 * prints the same: what curl fetched, how many packets that took, and when it was done.
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <shim/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERVER, CLIENT, HOSTS };
#define LATENCY_NS 10000000u /* of the cable, in both directions */

/* A packet on the cable, and the one behind it. */
struct packet {
    struct packet *next;
    uint64_t arrives_ns;
    size_t length;
    unsigned char *bytes;
};

/* What is on its way to a host, in the order of its arrival. */
struct queue {
    struct packet *first, **end;
};

static char folder[] = "/tmp/two_hosts-XXXXXX", greeting[sizeof folder + 9];

static void remove_folder(void) {
    unlink(greeting);
    rmdir(folder);
}

/* Every function of the library tells success by 0 or more, and failure by a number and a message. */
static int check(int result) {
    if (result < 0) {
        fprintf(stderr, "%s\n", shimsup_message());
        exit(1);
    }
    return result;
}

static void put(struct queue *queue, uint64_t arrives_ns, const void *bytes, size_t length) {
    struct packet *packet = malloc(sizeof *packet);
    if (packet == NULL || (packet->bytes = malloc(length)) == NULL)
        abort();
    memcpy(packet->bytes, bytes, length);
    packet->arrives_ns = arrives_ns;
    packet->length = length;
    packet->next = NULL;
    *queue->end = packet;
    queue->end = &packet->next;
}

/* Hand over the first packet, or with no host drop it. */
static void take(struct queue *queue, shimhost *host) {
    struct packet *packet = queue->first;
    if (host != NULL)
        check(shimhost_deliver(host, packet->arrives_ns, packet->bytes, packet->length));
    queue->first = packet->next;
    if (queue->first == NULL)
        queue->end = &queue->first;
    free(packet->bytes);
    free(packet);
}

/* The event loop: until a process of the client's has ended. Returns how many packets were sent. */
static unsigned run(shimhost *hosts[HOSTS], uint32_t client) {
    struct queue to[HOSTS] = {{NULL, &to[SERVER].first}, {NULL, &to[CLIENT].first}};
    unsigned packets = 0;
    int i;

    while (check(shimhost_process_end(hosts[CLIENT], client, NULL, NULL)) == 0) {
        uint64_t now = SHIMHOST_NEVER, until, at;
        const void *bytes;
        size_t length;

        /* The first thing that happens anywhere. */
        for (i = 0; i < HOSTS; i++) {
            uint64_t event = shimhost_next_event(hosts[i]);
            if (event < now)
                now = event;
            if (to[i].first != NULL && to[i].first->arrives_ns < now)
                now = to[i].first->arrives_ns;
        }
        if (now == SHIMHOST_NEVER) {
            fputs("nobody waits for anything\n", stderr);
            exit(1);
        }
        /* Whatever is sent from then on arrives no earlier than a latency later: so far both can go alone. */
        until = now + LATENCY_NS;
        for (i = 0; i < HOSTS; i++) {
            while (to[i].first != NULL && to[i].first->arrives_ns < until)
                take(&to[i], hosts[i]);
            check(shimhost_step(hosts[i], now, until));
            while (check(shimhost_take_packet(hosts[i], &at, &bytes, &length)) == 1) {
                put(&to[HOSTS - 1 - i], at + LATENCY_NS, bytes, length);
                packets++;
            }
        }
    }
    for (i = 0; i < HOSTS; i++)
        while (to[i].first != NULL)
            take(&to[i], NULL);
    return packets;
}

static shimhost *make_host(shimsup_simulation *simulation, uint32_t id, const char *name, const char *address) {
    shimhost_config *config;
    shimhost *host;

    check(shimhost_config_new(id, name, &config));
    check(shimhost_config_set_ipv4(config, address, 24));
    check(shimhost_config_set_connected(config, true));
    check(shimhost_new(simulation, config, &host));
    shimhost_config_free(config);
    return host;
}

/* Start a program in the folder, with these streams. */
static uint32_t start(shimhost *host, const char *const *words, int output) {
    shimsup_command *command;
    uint32_t pid;
    int null = open("/dev/null", O_RDWR);

    check(shimsup_command_new(words[0], &command));
    while (*++words != NULL)
        check(shimsup_command_add_argument(command, *words));
    check(shimsup_command_add_environment(command, "PATH=/usr/bin:/bin"));
    check(shimsup_command_add_environment(command, "LC_ALL=C"));
    check(shimsup_command_set_directory(command, folder));
    check(shimsup_command_set_stdio(command, 0, null));
    check(shimsup_command_set_stdio(command, 1, output >= 0 ? output : null));
    check(shimsup_command_set_stdio(command, 2, output >= 0 ? STDERR_FILENO : null));
    check(shimhost_spawn(host, command, &pid));
    shimsup_command_free(command);
    close(null);
    return pid;
}

int main(void) {
    static const char *const serve[] = {"python3", "-m", "http.server", "8000", NULL};
    static const char *const fetch[] = {"curl", "-s", "--retry", "9", "--retry-connrefused",
                                        "http://server:8000/greeting", NULL};
    shimsup_simulation *simulation;
    shimhost *hosts[HOSTS];
    uint32_t client;
    unsigned packets;
    int kind, value;
    FILE *file;

    if (mkdtemp(folder) == NULL || atexit(remove_folder) != 0)
        return 1;
    sprintf(greeting, "%s/greeting", folder);
    file = fopen(greeting, "w");
    if (file == NULL || fputs("hello from the other host\n", file) < 0 || fclose(file) != 0)
        return 1;

    check(shimsup_simulation_new(NULL, &simulation));
    check(shimsup_simulation_add_name(simulation, "server", "10.0.0.1", NULL, SERVER));
    check(shimsup_simulation_add_name(simulation, "client", "10.0.0.2", NULL, CLIENT));
    hosts[SERVER] = make_host(simulation, SERVER, "server", "10.0.0.1");
    hosts[CLIENT] = make_host(simulation, CLIENT, "client", "10.0.0.2");
    shimsup_simulation_free(simulation);

    start(hosts[SERVER], serve, -1);
    client = start(hosts[CLIENT], fetch, STDOUT_FILENO);
    packets = run(hosts, client);
    check(shimhost_process_end(hosts[CLIENT], client, &kind, &value));
    printf("curl %s %d after %.6f s and %u packets\n", kind == SHIMHOST_EXITED ? "exited with" : "was killed by",
           value, (double)shimhost_now(hosts[CLIENT]) / 1e9, packets);
    shimhost_free(hosts[CLIENT]);
    shimhost_free(hosts[SERVER]);
    return kind == SHIMHOST_EXITED ? value : 1;
}
