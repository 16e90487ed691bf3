/* Names, as the C library asks for them by messages: its resolver, past all files.
 *
 * A name comes in, with a type's number; the answer's code and its records go out, one line each. Always true: no
 * other function for names is called. */
#include "check.h"
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>

static const unsigned char *skip_name(const unsigned char *at) {
    while (*at != 0 && *at < 0xc0)
        at += *at + 1;
    return at + (*at == 0 ? 1 : 2);
}

int main(int count, char **words) {
    unsigned char answer[4096];
    if (count != 3)
        return 2;
    int type = atoi(words[2]);
    /* Without this, glibc tells failures by h_errno only. */
    int bytes = res_query(words[1], 1, type, answer, sizeof answer);
    if (bytes < 12) {
        say("%s: none", words[1]);
        return 1;
    }
    int records = answer[6] << 8 | answer[7];
    say("%s: code %d, %d records", words[1], answer[3] & 15, records);
    const unsigned char *at = skip_name(answer + 12) + 4;
    for (int i = 0; i < records; i++) {
        char text[64] = "";
        at = skip_name(at);
        int kind = at[0] << 8 | at[1], length = at[8] << 8 | at[9];
        if (kind == 1 || kind == 28)
            inet_ntop(kind == 1 ? AF_INET : AF_INET6, at + 10, text, sizeof text);
        say("  type %d: %s", kind, text);
        at += 10 + length;
    }
    return 0;
}
