/* How often each word comes. */
#include "project.h"
#include <stdio.h>
int main(void) {
    struct table *table = new_table();
    char word[16];
    while (next_word(word, sizeof word))
        ++*entry(table, word);
    printf("%zu words, 3 comes %u times\n", entries(table), *entry(table, "3"));
    return 0;
}
