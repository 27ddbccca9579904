/* A loop of ten instructions as compiled code has them (three memory operations, one branch), for
   measuring speed; `rounds` counts them. Says 'r' and runs for ever. */
#include "boot64.inc"

        .globl  main, ap_main, loop, rounds, block
main:
        say     $'r'
        xor     %eax, %eax
        mov     $1, %ecx
        mov     $block, %ebx
loop:
        mov     (%rbx), %rdx
        lea     3(%rdx, %rcx, 2), %rdx
        xor     %rcx, %rdx
        mov     %rdx, 8(%rbx)
        add     %rdx, %rax
        shl     $1, %rcx
        or      $1, %rcx
        lea     1(%rax), %rax
        incq    rounds
        jmp     loop
ap_main:
        hlt
        jmp     ap_main

        .data
        .balign 64
rounds: .quad   0
        .balign 4096
block:  .fill   1 << 20, 1, 0x5a
