/* gethostbyname, gethostbyaddr and their variants; getifaddrs; lists that are freed in parts.
 *
 * "native" or "guest" (on the host alice beside bob) comes in as the argument; what is wrong goes out, one
 * line each, or that nothing is. Always true: natively only what every machine has is asked for. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* musl has no name for it. */
#ifndef NETDB_INTERNAL
#define NETDB_INTERNAL (-1)
#endif

static int wrong;
#define CHECK(fact)                                                                                \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            printf("line %d: not true: %s\n", __LINE__, #fact);                                    \
            wrong++;                                                                               \
        }                                                                                          \
    } while (0)

/* Whether an entry has this one address (musl has the name as an alias too). */
static int is(const struct hostent *host, const char *name, int family, const char *address) {
    char text[INET6_ADDRSTRLEN];
    if (host == NULL || host->h_addr_list[0] == NULL || host->h_addr_list[1] != NULL)
        return 0;
    inet_ntop(family, host->h_addr_list[0], text, sizeof text);
    return strcmp(host->h_name, name) == 0 && host->h_addrtype == family &&
           host->h_length == (family == AF_INET ? 4 : 16) && host->h_aliases != NULL &&
           strcmp(text, address) == 0 && (uintptr_t)host->h_addr_list[0] % 4 == 0;
}

static void numbers(void) {
    CHECK(is(gethostbyname("1.2.3.4"), "1.2.3.4", AF_INET, "1.2.3.4"));
    CHECK(is(gethostbyname2("::5", AF_INET6), "::5", AF_INET6, "::5"));
}

static void names(void) {
    struct in_addr four;
    struct in6_addr six;
    inet_pton(AF_INET, "11.0.0.2", &four);
    inet_pton(AF_INET6, "fd00:11::b00:2", &six);
    CHECK(is(gethostbyname("BOB"), "bob", AF_INET, "11.0.0.2"));
    CHECK(is(gethostbyname2("bob", AF_INET6), "bob", AF_INET6, "fd00:11::b00:2"));
    CHECK(is(gethostbyname("localhost"), "localhost", AF_INET, "127.0.0.1"));
    CHECK(is(gethostbyaddr(&four, 4, AF_INET), "bob", AF_INET, "11.0.0.2"));
    CHECK(is(gethostbyaddr(&six, 16, AF_INET6), "bob", AF_INET6, "fd00:11::b00:2"));
    h_errno = 0;
    CHECK(gethostbyname("nobody") == NULL && h_errno == HOST_NOT_FOUND);
    h_errno = 0;
    CHECK(gethostbyname("ip6-localhost") == NULL && h_errno == NO_DATA);
    h_errno = 0;
    CHECK(gethostbyname2("bob", AF_UNIX) == NULL && h_errno == HOST_NOT_FOUND);
    h_errno = 0;
    CHECK(gethostbyname("::5") == NULL && h_errno == HOST_NOT_FOUND);
    four.s_addr = 9;
    CHECK(gethostbyaddr(&four, 4, AF_INET) == NULL && gethostbyaddr(&four, 3, AF_INET) == NULL);
}

static void buffers(void) {
    struct in_addr four;
    struct hostent host, *result;
    char buffer[1024];
    int error, status, size;
    inet_pton(AF_INET, "11.0.0.2", &four);
    CHECK(gethostbyname_r("bob", &host, buffer, sizeof buffer, &result, &error) == 0);
    CHECK(result == &host && is(&host, "bob", AF_INET, "11.0.0.2"));
    CHECK(gethostbyname2_r("bob", AF_INET6, &host, buffer, sizeof buffer, &result, &error) == 0);
    CHECK(result == &host && is(&host, "bob", AF_INET6, "fd00:11::b00:2"));
    CHECK(gethostbyaddr_r(&four, 4, AF_INET, &host, buffer, sizeof buffer, &result, &error) == 0);
    CHECK(result == &host && is(&host, "bob", AF_INET, "11.0.0.2"));
    error = 0;
    CHECK(gethostbyname_r("nobody", &host, buffer, sizeof buffer, &result, &error) == 0);
    CHECK(result == NULL && error == HOST_NOT_FOUND);
    for (size = 0; size < 1024; size++) { /* from too small to large enough, never beyond */
        memset(buffer, 'x', sizeof buffer);
        status = gethostbyname_r("bob", &host, buffer + 1, size, &result, &error);
        CHECK(buffer[0] == 'x' && (size == 1023 || buffer[1 + size] == 'x'));
        if (status == 0)
            break;
        CHECK(status == ERANGE && errno == ERANGE && result == NULL && error == NETDB_INTERNAL);
    }
    CHECK(size > 16 && size < 200 && is(&host, "bob", AF_INET, "11.0.0.2"));
}

/* A part of a list may be freed before the rest, and each in any order. */
static void parts(const char *name) {
    struct addrinfo *list, *second, *third;
    for (int i = 0; i < 1000; i++) {
        CHECK(getaddrinfo(name, "80", NULL, &list) == 0);
        second = list->ai_next;
        CHECK(second != NULL && second->ai_next != NULL);
        third = second->ai_next;
        list->ai_next = NULL;
        second->ai_next = NULL;
        freeaddrinfo(second);
        freeaddrinfo(list);
        CHECK(third->ai_addr->sa_family == AF_INET || third->ai_addr->sa_family == AF_INET6);
        freeaddrinfo(third);
    }
}

static void interfaces(void) {
    struct ifaddrs *list;
    int loopbacks = 0;
    CHECK(getifaddrs(&list) == 0);
    for (struct ifaddrs *at = list; at != NULL; at = at->ifa_next)
        if (at->ifa_addr != NULL && at->ifa_addr->sa_family == AF_INET &&
            (at->ifa_flags & IFF_LOOPBACK))
            loopbacks++;
    CHECK(loopbacks >= 1);
    freeifaddrs(list);
}

static void simulated_interfaces(void) {
    static const struct {
        const char *name;
        int family, has_mask, has_other;
    } expected[] = {{"lo", AF_PACKET, 0, 1}, {"eth0", AF_PACKET, 0, 1}, {"lo", AF_INET, 1, 1},
                    {"eth0", AF_INET, 1, 1}, {"lo", AF_INET6, 1, 0},    {"eth0", AF_INET6, 1, 0}};
    struct ifaddrs *list;
    int count = 0;
    CHECK(getifaddrs(&list) == 0);
    for (struct ifaddrs *at = list; at != NULL && count < 6; at = at->ifa_next, count++) {
        CHECK(strcmp(at->ifa_name, expected[count].name) == 0);
        CHECK(at->ifa_addr->sa_family == expected[count].family);
        CHECK((at->ifa_netmask != NULL) == expected[count].has_mask);
        CHECK((at->ifa_broadaddr != NULL) == expected[count].has_other);
        CHECK((at->ifa_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING));
    }
    CHECK(count == 6);
    const struct ifaddrs *eth = list->ifa_next->ifa_next->ifa_next;
    const struct sockaddr_in *mask = (const void *)eth->ifa_netmask;
    const struct sockaddr_in *all = (const void *)eth->ifa_broadaddr;
    CHECK(ntohl(mask->sin_addr.s_addr) == 0xff000000 && mask->sin_family == AF_INET);
    CHECK(ntohl(all->sin_addr.s_addr) == 0x0bffffff);
    freeifaddrs(list);
}

int main(int argc, char **argv) {
    int is_guest = argc > 1 && strcmp(argv[1], "guest") == 0;
    numbers();
    parts(NULL);
    interfaces();
    if (is_guest) {
        names();
        buffers();
        parts("bob");
        simulated_interfaces();
    }
    if (wrong == 0)
        puts("all true");
    return wrong;
}
