/* getaddrinfo, question by question.
 *
 * Questions come in, one a line, on standard input or from the file that is named: node, service, flags, family, socket type, protocol
 * (a dash for NULL, "" for an empty text; a lone dash as flags for no hints at all). What the function says
 * goes out, one line each: the question, an arrow, the results or the name of the error. Always true: the
 * text means the same natively and as a guest. With ASK_SHIM the functions of libshim are asked. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ASK_SHIM
#include <shim/shim.h>
#define getaddrinfo shim_api_getaddrinfo
#define freeaddrinfo shim_api_freeaddrinfo
#endif

/* Numbers that not every C library has names for; EAI_NODATA and EAI_ADDRFAMILY are 5 and 9. */
static const char *error_name(int error) {
    static const char *const names[] = {"0",       "BADFLAGS", "NONAME",     "AGAIN",
                                        "FAIL",    "NODATA",   "FAMILY",     "SOCKTYPE",
                                        "SERVICE", "ADDRFAMILY", "MEMORY",   "SYSTEM"};
    if (error <= 0 && error > -12)
        return names[-error];
    return error == -105 ? "IDN_ENCODE" : "unknown";
}

struct word {
    const char *name;
    int value;
};

static const struct word flags[] = {
    {"passive", 1},     {"canonname", 2},   {"numerichost", 4}, {"v4mapped", 8},  {"all", 16},
    {"addrconfig", 32}, {"idn", 64},        {"canonidn", 128},  {"numericserv", 1024}, {NULL, 0}};
static const struct word families[] = {{"unspec", AF_UNSPEC}, {"inet", AF_INET},
                                       {"inet6", AF_INET6},   {"unix", AF_UNIX},
                                       {"packet", AF_PACKET}, {NULL, 0}};
static const struct word types[] = {{"any", 0}, {"stream", 1},    {"dgram", 2}, {"raw", 3},
                                    {"rdm", 4}, {"seqpacket", 5}, {"dccp", 6},  {NULL, 0}};
static const struct word protocols[] = {{"any", 0},      {"icmp", 1},  {"tcp", 6},
                                        {"udp", 17},     {"dccp", 33}, {"sctp", 132},
                                        {"udplite", 136}, {NULL, 0}};

/* The value of a word, or the number that it is. */
static int value_of(const struct word *list, const char *text) {
    for (; list->name != NULL; list++)
        if (strcmp(list->name, text) == 0)
            return list->value;
    return (int)strtol(text, NULL, 0);
}

static const char *name_of(const struct word *list, int value) {
    static char number[16];
    for (; list->name != NULL; list++)
        if (list->value == value)
            return list->name;
    snprintf(number, sizeof number, "%d", value);
    return number;
}

static void show(const struct addrinfo *info, int asked_flags) {
    char text[INET6_ADDRSTRLEN];
    unsigned port;
    unsigned scope = 0;
    socklen_t expected;
    if (info->ai_family == AF_INET) {
        const struct sockaddr_in *at = (const void *)info->ai_addr;
        inet_ntop(AF_INET, &at->sin_addr, text, sizeof text);
        port = ntohs(at->sin_port);
        expected = sizeof *at;
    } else {
        const struct sockaddr_in6 *at = (const void *)info->ai_addr;
        inet_ntop(AF_INET6, &at->sin6_addr, text, sizeof text);
        port = ntohs(at->sin6_port);
        scope = at->sin6_scope_id;
        expected = sizeof *at;
        if (at->sin6_flowinfo != 0)
            printf(" flowinfo!");
    }
    printf(" %s/%s", text, name_of(types, info->ai_socktype));
    printf("/%s", name_of(protocols, info->ai_protocol));
    if (port != 0)
        printf(":%u", port);
    if (scope != 0)
        printf("%%%u", scope);
    if (info->ai_canonname != NULL)
        printf("=%s", info->ai_canonname);
    if (info->ai_addrlen != expected || info->ai_addr->sa_family != info->ai_family)
        printf(" length or family!");
    if (info->ai_flags != asked_flags)
        printf(" flags %#x!", info->ai_flags);
}

static char *text_of(char *word) {
    if (strcmp(word, "-") == 0)
        return NULL;
    if (strcmp(word, "\"\"") == 0)
        return word + 2;
    for (char *at = word; *at != 0; at++)
        if (*at == '~')
            *at = ' ';
    return word;
}

int main(int argc, char **argv) {
    char line[512];
    if (argc > 1 && freopen(argv[1], "r", stdin) == NULL) {
        perror(argv[1]);
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *word[6], *rest;
        int words = 0;
        line[strcspn(line, "\n")] = 0;
        printf("%s ->", line);
        for (char *at = strtok_r(line, " ", &rest); at != NULL; at = strtok_r(NULL, " ", &rest))
            if (words < 6)
                word[words++] = at;
        if (words < 3) {
            puts(" (no question)");
            return 2;
        }
        struct addrinfo hints = {0}, *list = (void *)1;
        int has_hints = strcmp(word[2], "-") != 0;
        for (char *flag = strtok_r(word[2], "+", &rest); flag != NULL && has_hints;
             flag = strtok_r(NULL, "+", &rest))
            hints.ai_flags |= value_of(flags, flag);
        hints.ai_family = words > 3 ? value_of(families, word[3]) : 0;
        hints.ai_socktype = words > 4 ? value_of(types, word[4]) : 0;
        hints.ai_protocol = words > 5 ? value_of(protocols, word[5]) : 0;
        char *node = text_of(word[0]), *service = text_of(word[1]);
        int error = getaddrinfo(node, service, has_hints ? &hints : NULL, &list);
        if (error != 0) {
            printf(" %s%s\n", error_name(error), list == (void *)1 ? "" : " result!");
            continue;
        }
        for (struct addrinfo *at = list; at != NULL; at = at->ai_next)
            show(at, has_hints ? hints.ai_flags : 0x28);
        puts("");
        freeaddrinfo(list);
    }
    return 0;
}
