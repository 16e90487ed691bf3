/* Numbers without divisors. */
#include "project.h"
int is_prime(unsigned number) {
    for (unsigned i = 2; i * i <= number; i++)
        if (number % i == 0)
            return 0;
    return number > 1;
}
