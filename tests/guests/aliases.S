/* One frame of code under two linear addresses; the vCPUs call it through both, in turn. */
#define WINDOW
#include "boot64.inc"

        .globl  main, ap_main, function, alias, calls, through_first, through_alias
        .set    function, code_frame
        .set    alias, WINDOW_BASE + 0x5000
main:
        call    start_aps
ap_main:
        lea     '0'(%rdi), %ecx
        say     %ecx
loop:
through_first:
        mov     $function, %eax
        call    *%rax
through_alias:
        mov     $alias, %eax
        call    *%rax
        jmp     loop

        .data
        .balign 4096
window_pt:
        .quad   0, 0, 0, 0, 0
        .quad   code_frame + P + W
        .skip   4096 - 48
code_frame:
        incq    calls(, %rdi, 8)
        ret
        .balign 4096
calls:  .fill   64, 8, 0
