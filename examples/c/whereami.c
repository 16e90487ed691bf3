/* Where a program runs: machine, interfaces, neighbours, and what time it is here and outside.
 *
 *     cc whereami.c $(pkg-config --cflags --libs shim) -o whereami
 *     ./whereami [NAME...]                    natively
 *     shim exec -- ./whereami                 as a guest
 *
 * The names are those of hosts that shall be looked up; in a scenario, those of the other hosts.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <shim/shim.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *text_of(const struct sockaddr *address, char *text, size_t size) {
    const void *bytes = NULL;
    if (address != NULL && address->sa_family == AF_INET)
        bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    else if (address != NULL && address->sa_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (bytes == NULL)
        return NULL;
    return inet_ntop(address->sa_family, bytes, text, (socklen_t)size);
}

static void show_interfaces(void) {
    char text[INET6_ADDRSTRLEN], mask[INET6_ADDRSTRLEN];
    struct ifaddrs *list;
    const struct ifaddrs *at;

    if (shim_api_getifaddrs(&list) != 0) {
        perror("getifaddrs");
        return;
    }
    for (at = list; at != NULL; at = at->ifa_next)
        if (text_of(at->ifa_addr, text, sizeof text) != NULL &&
            text_of(at->ifa_netmask, mask, sizeof mask) != NULL)
            printf("interface %s: %s, mask %s\n", at->ifa_name, text, mask);
    shim_api_freeifaddrs(list);
}

static void look_up(const char *name) {
    char text[INET6_ADDRSTRLEN];
    struct addrinfo hints, *list;
    const struct addrinfo *at;
    int error;

    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    error = shim_api_getaddrinfo(name, NULL, &hints, &list);
    if (error != 0) {
        printf("%s: %s\n", name, gai_strerror(error));
        return;
    }
    for (at = list; at != NULL; at = at->ai_next)
        if (text_of(at->ai_addr, text, sizeof text) != NULL)
            printf("%s: %s\n", name, text);
    shim_api_freeaddrinfo(list);
}

static void show_time(const char *what) {
    char text[32];
    time_t now = time(NULL);
    struct tm parts;

    if (gmtime_r(&now, &parts) != NULL && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts) > 0)
        printf("%s: %s UTC\n", what, text);
}

int main(int argc, char **argv) {
    char name[65];
    bool was_allowed;
    int i;

    if (gethostname(name, sizeof name) == 0)
        printf("host: %s, %s\n", name, shim_is_managed() ? "simulated" : "real");
    show_interfaces();
    for (i = 1; i < argc; i++)
        look_up(argv[i]);
    if (shim_is_managed()) {
        show_time("simulated time");
        printf("since the start: %llu ns\n", (unsigned long long)shim_simtime_ns());
    }
    /* Around the simulation, for the real clock. */
    was_allowed = shim_swapAllowNativeSyscalls(true);
    show_time("real time");
    shim_swapAllowNativeSyscalls(was_allowed);
    return 0;
}
