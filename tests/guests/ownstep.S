/* Single-steps itself, for ever: TF on, eight instructions with a #DB after each, TF off. The handler
   counts the traps and keeps what DR6 said. A debugger's steps on top must change neither. */
#include "boot64.inc"

        .globl  main, ap_main, own_begin, at_own_popf, own_body, own_end, own_handler, traps
        .globl  last_dr6, all_dr6, rounds, pushed_flags
main:
        gate    1, own_handler
        say     $'r'
own_begin:
        movq    $0, traps
        pushq   $0x102                  /* TF */
at_own_popf:
        popfq
own_body:
        .fill   7, 1, 0x90
        pushfq                          /* with TF: it is the guest's own */
        popq    pushed_flags
        pushq   $2
        popfq                           /* the last to trap: TF was on when it began */
own_end:
        incq    rounds
        jmp     own_begin

own_handler:
        push    %rax
        mov     %dr6, %rax
        mov     %rax, last_dr6
        or      %rax, all_dr6
        mov     $0xffff0ff0, %eax
        mov     %rax, %dr6
        incq    traps
        pop     %rax
        iretq

ap_main:
        jmp     ap_main

        .data
        .balign 8
traps:  .quad   0
last_dr6:
        .quad   0
all_dr6:
        .quad   0
rounds: .quad   0
pushed_flags:
        .quad   0
