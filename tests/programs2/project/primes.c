/* The primes below the limit, by their last digits. */
#include "project.h"
#include <stdio.h>
int main(void) {
    for (unsigned i = 0; i < LIMIT; i++)
        if (is_prime(i))
            printf("%u\n", i % 10);
    return 0;
}
