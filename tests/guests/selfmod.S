/* Code that rewrites itself: the immediate of one instruction is the round's number, and the guest
   checks that it gets what it wrote. `wrong` counts the times that it did not. */
#include "boot64.inc"

        .globl  main, ap_main, patched, after_patched, rounds, wrong
main:
        say     $'r'
        xor     %ebx, %ebx
again:
        inc     %ebx
        mov     %ebx, patched + 1
        jmp     patched
        .balign 64
patched:
        mov     $0, %eax
after_patched:
        cmp     %eax, %ebx
        je      1f
        incq    wrong
1:      incq    rounds
        jmp     again
ap_main:
        jmp     ap_main

        .data
        .balign 8
rounds: .quad   0
wrong:  .quad   0
