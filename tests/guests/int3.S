/* The guest's own breakpoints. The handler records the frame's RIP of each of three forms: the plain
   instruction, one with a prefix (2 bytes) and INT 3 as CD 03. `rounds` counts complete rounds. */
#include "boot64.inc"

        .globl  main, ap_main, again, plain, prefixed, long_form, handler, rounds, frames, hits
main:
        gate    3, handler
        say     $'r'
again:
        movl    $0, hits
plain:
        int3
prefixed:
        .byte   0xf3, 0xcc
long_form:
        .byte   0xcd, 0x03
        incq    rounds
        cmpq    $1000, rounds
        jne     again
        cmpq    $plain + 1, frames      /* says `ok` if the frames are as they should be */
        jne     again
        cmpq    $prefixed + 2, frames + 8
        jne     again
        cmpq    $long_form + 2, frames + 16
        jne     again
        say     $'o'
        say     $'k'
        jmp     again

handler:
        push    %rax
        push    %rcx
        mov     hits, %ecx
        mov     16(%rsp), %rax          /* the frame's RIP */
        mov     %rax, frames(, %rcx, 8)
        incl    hits
        pop     %rcx
        pop     %rax
        iretq

ap_main:
        jmp     ap_main

        .data
        .balign 8
rounds: .quad   0
frames: .quad   0, 0, 0, 0
hits:   .long   0
