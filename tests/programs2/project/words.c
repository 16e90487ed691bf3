/* Words of standard input. */
#include "project.h"
#include <stdio.h>
int next_word(char *word, size_t size) {
    char format[16];
    snprintf(format, sizeof format, "%%%zus", size - 1);
    return scanf(format, word) == 1;
}
