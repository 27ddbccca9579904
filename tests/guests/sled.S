/* Code of 40 pages: 20 stretches, each run 200 times before the next, for ever. A stretch is 500
   slots, each with an instruction that is always jumped over, and one slot that is not counted.
   RCX counts slots. Says 'r'. */
#include "boot64.inc"

        .globl  main, ap_main, sled, slot_size, slot_unused, slots_in_stretch, stretches
        .set    slot_size, 16
        .set    slot_unused, 14
        .set    slots_in_stretch, 500
        .set    stretches, 20
main:
        say     $'r'
        xor     %eax, %eax
        xor     %ecx, %ecx
        mov     $200, %esi
again:
        jmp     sled
        .balign 16
sled:
        .rept   20
2:
        .rept   500
        lea     3(%rax, %rcx), %rdx     /* 5 bytes */
        xor     %rdx, %rax              /* 3 */
        inc     %rcx                    /* 3 */
        nop                             /* 1 */
        jmp     1f                      /* 2 */
        nop                             /* 1: here a breakpoint costs nothing */
        nop                             /* 1 */
1:
        .endr
        dec     %esi
        jnz     2b
        mov     $200, %esi
        .balign 16
        .endr
        jmp     again
ap_main:
        hlt
        jmp     ap_main
