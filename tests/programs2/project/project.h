/* What the parts of the project share. */
#ifndef PROJECT_H
#define PROJECT_H
#include "config.h"
#include <stddef.h>
struct table;
struct table *new_table(void);
unsigned *entry(struct table *table, const char *word);
size_t entries(const struct table *table);
int is_prime(unsigned number);
int next_word(char *word, size_t size);
#endif
