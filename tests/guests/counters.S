/* Every vCPU counts in a word of its own, for ever. The debugger may hold back the start of the
   application processors by setting `hold` before it lets the guest go. Each vCPU says its number. */
#include "boot64.inc"

        .globl  main, ap_main, tick, tick_end, hold, counters, entry_of_loop
main:
        cmpb    $0, hold
        jne     main
        call    start_aps
ap_main:
        lea     '0'(%rdi), %ecx
        say     %ecx
entry_of_loop:
        call    tick
        jmp     entry_of_loop

tick:
        incq    counters(, %rdi, 8)
tick_end:
        ret

        .data
        .balign 64
counters:
        .fill   64, 8, 0
hold:   .byte   0
