/* Code of 40 pages that is run from end to end, for ever: 10,000 slots of straight code, each with
   an instruction that is always jumped over. RCX counts them. Says 'r'. */
#include "boot64.inc"

        .globl  main, ap_main, sled, slot_size, slot_unused
        .set    slot_size, 16
        .set    slot_unused, 14
main:
        say     $'r'
        xor     %eax, %eax
        xor     %ecx, %ecx
again:
        jmp     sled
        .balign 16
sled:
        .rept   10000
        lea     3(%rax, %rcx), %rdx     /* 5 bytes */
        xor     %rdx, %rax              /* 3 */
        inc     %rcx                    /* 3 */
        nop                             /* 1 */
        jmp     1f                      /* 2 */
        nop                             /* 1: here a breakpoint costs nothing */
        nop                             /* 1 */
1:
        .endr
        jmp     again
ap_main:
        hlt
        jmp     ap_main
