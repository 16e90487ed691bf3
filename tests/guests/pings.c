/* Echoes: sockets of ICMP, as ping(8) uses them.
 *
 * Nothing comes in; a line for each thing that was tried goes out. Always true: Linux gives these sockets to groups that
 * the machine's owner names, the simulated machine to everybody, so that this runs as a guest only. */
#include "inet.h"
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

static unsigned sum_of(const unsigned char *bytes, int count) {
    unsigned sum = 0;
    for (int i = 0; i < count; i += 2)
        sum += bytes[i] << 8 | bytes[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

int main(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), other = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    say("protocol %ld, type %ld", option(fd, SO_PROTOCOL), option(fd, SO_TYPE));
    struct {
        struct icmphdr header;
        char text[8];
    } message = {.header = {.type = ICMP_ECHO, .un.echo = {.id = 7, .sequence = htons(3)}}, .text = "payload"};
    TRY("ask", SENDTO(fd, &message, sizeof message, 0, "127.0.0.1", 0));
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    memset(&message, 0, sizeof message);
    TRY("answer", got(recvfrom(fd, &message, sizeof message, MSG_DONTWAIT, (void *)&from, &size)));
    say("type %d, number %d, its identifier %d, '%s', sum %04x from %s", message.header.type, ntohs(message.header.un.echo.sequence),
        ntohs(message.header.un.echo.id) == own_port(fd), message.text, sum_of((void *)&message, sizeof message),
        in_text(&from, size, 0));
    TRY("not for the other", got(recv(other, &message, sizeof message, MSG_DONTWAIT)));
    TRY("another kind", SENDTO(fd, &message, sizeof message, 0, "127.0.0.1", 0));
    TRY("too short", SENDTO(fd, &message, 7, 0, "127.0.0.1", 0));
    TRY("to a port of the machine's", ({ CONNECT(other, "127.0.0.2", 0); message.header.type = ICMP_ECHO; got(send(other, &message, 8, 0)); }));
    TRY("answer", got(recv(other, &message, sizeof message, MSG_DONTWAIT)));
    int six = socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6);
    struct icmp6_hdr ask = {.icmp6_type = ICMP6_ECHO_REQUEST};
    TRY("by IPv6", SENDTO(six, &ask, sizeof ask, 0, "::1", 0));
    TRY("answer", got(recv(six, &ask, sizeof ask, MSG_DONTWAIT)));
    say("type %d", ask.icmp6_type);
    say("raw %ld, %ld", got(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)), got(socket(AF_PACKET, SOCK_RAW, 0)));
    return 0;
}
