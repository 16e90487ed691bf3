/* A program that ends at once: what is left is how it starts.
 *
 * Nothing comes in and nothing goes out; it is measured from outside, as a whole run. It is the smallest
 * program that a compiler makes by itself: dynamic, and with the C library only. */
int main(void) {
    return 0;
}
