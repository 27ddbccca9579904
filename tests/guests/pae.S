/* PAE paging (SDM 3A 4.4): a 4 KiB page and a 2 MiB page, each under an address of its own. */
#include "multiboot.inc"

        .text
        .code32
        .globl  _start, small_page, large_page, spin
_start:
        mov     $0x20, %eax             /* CR4.PAE */
        mov     %eax, %cr4
        mov     $pointers, %eax
        mov     %eax, %cr3
        mov     %cr0, %eax
        or      $0x80000000, %eax
        mov     %eax, %cr0
        say     $'r'
spin:   jmp     spin

        .set    small_page, 0x40003000
        .set    large_page, 0x80000000 + large_frame
        .data
        .balign 4096
pointers:
        .long   low + P, 0
        .long   middle + P, 0
        .long   low + P, 0
        .long   0, 0
        .balign 4096
low:    .long   P + W + LARGE, 0           /* the first 2 MiB; at 0x80000000 the same again */
        .skip   4096 - 8
middle: .long   table + P + W, 0
        .skip   4096 - 8
table:  .skip   24
        .long   small_frame + P + W, 0
        .skip   4096 - 32
small_frame:
        .ascii  "small frame"
        .balign 4096
large_frame:
        .ascii  "large frame"
        .balign 4096
