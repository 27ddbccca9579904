/* A line of 10,000 instructions, for ever. Says 'r'. */
#include "boot64.inc"

        .globl  main, ap_main, long_line
main:
        say     $'r'
again:
        nop
long_line:
        mov $2500, %ecx; xor %eax, %eax; 1: add %rcx, %rax; lea 1(%rax), %rdx; dec %ecx; jnz 1b
        nop                             /* after the long line */
        jmp     again
ap_main:
        hlt
        jmp     ap_main
