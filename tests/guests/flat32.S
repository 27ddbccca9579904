/* 32-bit protected mode without paging: linear is physical. */
#include "multiboot.inc"

        .text
        .code32
        .globl  _start, small_page, spin
_start:
        say     $'r'
spin:   jmp     spin

        .data
        .balign 4096
        .set    small_page, small_frame
small_frame:
        .ascii  "small frame"
