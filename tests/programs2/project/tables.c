/* Counts by word. */
#include "project.h"
#include <stdlib.h>
#include <string.h>
struct table {
    size_t count;
    struct {
        char word[16];
        unsigned value;
    } all[LIMIT];
};
struct table *new_table(void) { return calloc(1, sizeof(struct table)); }
unsigned *entry(struct table *table, const char *word) {
    size_t i = 0;
    while (i < table->count && strcmp(table->all[i].word, word) != 0)
        i++;
    if (i == table->count)
        strncpy(table->all[table->count++].word, word, sizeof table->all[0].word - 1);
    return &table->all[i].value;
}
size_t entries(const struct table *table) { return table->count; }
