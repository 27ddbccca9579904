/* Uses a debug register itself: a watchpoint on a word that it writes once a round. The handler counts
   the traps and keeps what DR6 said, so that in the end there is one trap for each round. It leaves
   DR6.B1 set, which the next trap clears. */
#include "boot64.inc"

        .globl  main, ap_main, handler, watched, traps, rounds, all_dr6
main:
        gate    1, handler
        mov     $watched, %eax
        mov     %rax, %dr0
        mov     $0xd0402, %eax          /* DR7: G0, four bytes, on writes */
        mov     %rax, %dr7
        say     $'r'
again:
        movl    $1, watched
        incq    rounds
        jmp     again

handler:
        push    %rax
        mov     %dr6, %rax
        or      %rax, all_dr6
        mov     $0xffff0ff2, %eax
        mov     %rax, %dr6
        incq    traps
        pop     %rax
        iretq

ap_main:
        jmp     ap_main

        .data
        .balign 8
traps:  .quad   0
rounds: .quad   0
all_dr6:
        .quad   0
watched:
        .quad   0
