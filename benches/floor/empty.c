/* Floor: a library that is preloaded into a program and does nothing.
 *
 * It is the least that a preloaded library costs: the loader opens, maps and relocates it. Programs that
 * start other programs are measured natively with it in their environment; it is built without a start-up
 * file and without any library that it needs. */
