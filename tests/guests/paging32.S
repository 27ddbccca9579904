/* 32-bit paging (SDM 3A 4.3): a 4 KiB page and a 4 MiB page, each under an address of its own. */
#include "multiboot.inc"

        .text
        .code32
        .globl  _start, small_page, large_page, spin
_start:
        mov     $0x10, %eax             /* CR4.PSE */
        mov     %eax, %cr4
        mov     $directory, %eax
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
directory:
        .long   P + W + LARGE           /* the first 4 MiB are themselves */
        .skip   0x100 * 4 - 4
        .long   table + P + W           /* 0x40000000 */
        .skip   0x100 * 4 - 4
        .long   P + W + LARGE           /* 0x80000000: the first 4 MiB again */
        .skip   4096 - 0x200 * 4 - 4
table:  .long   0, 0, 0
        .long   small_frame + P + W
        .skip   4096 - 16
small_frame:
        .ascii  "small frame"
        .balign 4096
large_frame:
        .ascii  "large frame"
        .balign 4096
