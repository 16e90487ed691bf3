/* A symbol that only tests have: an old version kept beside a newer one (see tests/abi.rs).
 *
 * Without HAS_1_1, shim_test_depth is 1. With it, the new one is 2, and programs that were linked with the
 * old library still get 1. Always true: the old one's own name is not exported. */
    .text
#ifdef HAS_1_1
    .globl  shim_test_depth
    .type   shim_test_depth, %function
shim_test_depth:
    endbr64
    movl    $2, %eax
    ret
    .size   shim_test_depth, . - shim_test_depth

    .globl  shim_test_depth__1_0
    .type   shim_test_depth__1_0, %function
shim_test_depth__1_0:
    endbr64
    movl    $1, %eax
    ret
    .size   shim_test_depth__1_0, . - shim_test_depth__1_0
    .symver shim_test_depth__1_0, shim_test_depth@SHIM_1.0, remove
#else
    .globl  shim_test_depth
    .type   shim_test_depth, %function
shim_test_depth:
    endbr64
    movl    $1, %eax
    ret
    .size   shim_test_depth, . - shim_test_depth
#endif
    .section .note.GNU-stack,"",%progbits
