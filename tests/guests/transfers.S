/* Writes a block of characters to port 0xe9 with one repeated instruction, again and again, and
   counts the blocks: every stop is likely to come in the midst of a transfer. Says 'r' on COM1. */
#include "boot64.inc"

        .globl  main, ap_main, transfer, after_transfer, block, block_end, blocks
main:
        say     $'r'
        mov     $0xe9, %edx
        cld
again:
        mov     $block, %esi
        mov     $block_end - block, %ecx
transfer:
        rep outsb
after_transfer:
        incq    blocks
        jmp     again
ap_main:
        hlt
        jmp     ap_main

        .data
        .balign 64
blocks: .quad   0
block:  .ascii  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"
block_end:
