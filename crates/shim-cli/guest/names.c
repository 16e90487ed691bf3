/* Names: what a guest is told of its own machine.
 *
 * The machine's own name comes in; addresses and interfaces go out. Always true: only names are asked for that every
 * simulation has: the host's own, localhost, and one that is nowhere. What passes between hosts is not here. */
#include "check.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <sys/utsname.h>

static char own[65];

static void find_own(void) {
    SHIM(shim_host_name)(SHIM(shim_hostSharedMem)(), own, sizeof own);
    expect_true(own[0], "the host has a name", "shim_host_name is empty");
}

static void hostname(void) {
    char name[65] = "";
    struct utsname system;
    find_own();
    expect("gethostname", R(gethostname(name, sizeof name)), 0);
    if (strcmp(name, own) != 0)
        fails("gethostname is shim_host_name", "'%s' and '%s'", name, own);
    expect("uname", R(uname(&system)), 0);
    if (strcmp(system.nodename, own) != 0)
        fails("uname's nodename is shim_host_name", "'%s' and '%s'", system.nodename, own);
}

typedef __typeof__(shim_api_getaddrinfo) look_up;

/* The first IPv4 address of a name, in network byte order. */
static uint32_t address_of(look_up *look, const char *function, const char *name) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
    char text[160];
    int error = look(name, NULL, &hints, &found);
    snprintf(text, sizeof text, "%s finds an IPv4 address of %s", function, name);
    if (error == EAI_SYSTEM && errno == ENOSYS)
        unsupported("%s: ENOSYS", function);
    if (error)
        fails(text, "%s", gai_strerror(error));
    if (!found || found->ai_family != AF_INET)
        fails(text, "none");
    return ((struct sockaddr_in *)found->ai_addr)->sin_addr.s_addr;
}

static const char *dotted(uint32_t address) {
    static char texts[2][INET_ADDRSTRLEN];
    static int next;
    return inet_ntop(AF_INET, &address, texts[next++ % 2], INET_ADDRSTRLEN);
}

static uint32_t own_address(void) {
    uint32_t address = SHIM(shim_host_ipv4)(SHIM(shim_hostSharedMem)());
    if (address == 0)
        unsupported("the host has no address (shim_host_ipv4 is 0)");
    return address;
}

/* The host's own name is its interface's address; as on many machines, it may be a loopback address as well. */
static void own_name_by(look_up *look, const char *function) {
    find_own();
    uint32_t expected = own_address(), got = address_of(look, function, own);
    if (got != expected && (ntohl(got) >> 24) != 127)
        fails("the host's own name is shim_host_ipv4", "%s, not %s", dotted(got), dotted(expected));
}

static void own_name_api(void) { own_name_by(SHIM(shim_api_getaddrinfo), "shim_api_getaddrinfo"); }
static void own_name_libc(void) { own_name_by(getaddrinfo, "getaddrinfo"); }

static void localhost(void) {
    uint32_t got = address_of(SHIM(shim_api_getaddrinfo), "shim_api_getaddrinfo", "localhost");
    if (ntohl(got) != INADDR_LOOPBACK)
        fails("localhost is 127.0.0.1", "%s", dotted(got));
}

static void unknown(void) {
    struct addrinfo *found = NULL;
    int error = SHIM(shim_api_getaddrinfo)("no-such-host.invalid", NULL, NULL, &found);
    if (error != EAI_NONAME)
        fails("a name that no host has gives EAI_NONAME", "%s", error ? gai_strerror(error) : "an address");
}

static void interfaces_by(int (*list)(struct ifaddrs **), const char *function) {
    struct ifaddrs *all = NULL;
    char text[128];
    snprintf(text, sizeof text, "%s lists lo and the host's own address", function);
    expect(function, R(list(&all)), 0);
    bool has_loopback = false, has_own = false;
    uint32_t expected = SHIM(shim_host_ipv4)(SHIM(shim_hostSharedMem)());
    for (struct ifaddrs *at = all; at; at = at->ifa_next) {
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET)
            continue;
        uint32_t address = ((struct sockaddr_in *)at->ifa_addr)->sin_addr.s_addr;
        has_loopback |= strcmp(at->ifa_name, "lo") == 0 && ntohl(address) == INADDR_LOOPBACK;
        has_own |= address == expected;
    }
    if (!has_loopback || (expected != 0 && !has_own))
        fails(text, "no %s", has_loopback ? dotted(expected) : "lo");
}

static void interfaces_api(void) { interfaces_by(SHIM(shim_api_getifaddrs), "shim_api_getifaddrs"); }
static void interfaces_libc(void) { interfaces_by(getifaddrs, "getifaddrs"); }

const struct check name_checks[] = {
    {"names/hostname", hostname},
    {"names/own-name", own_name_api},
    {"names/own-name-libc", own_name_libc},
    {"names/localhost", localhost},
    {"names/unknown", unknown},
    {"names/interfaces", interfaces_api},
    {"names/interfaces-libc", interfaces_libc},
    {NULL, NULL},
};
