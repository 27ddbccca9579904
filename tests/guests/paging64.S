/* 4-level paging (SDM 3A 4.5): pages of 4 KiB, 2 MiB and 1 GiB, in the upper half of the linear
   addresses. With LA57 defined, 5-level paging: the same, under addresses that need 57 bits. */
#include "multiboot.inc"

#ifdef LA57
#define TABLE_BITS 0x1020
#define UPPER 0xff00000000000000        /* entry 256 of the top table */
#else
#define TABLE_BITS 0x20
#define UPPER 0xffff800000000000
#endif

        .text
        .code32
        .globl  _start, small_page, large_page, huge_page, spin
_start:
        lgdt    gdt_pointer
        mov     $TABLE_BITS, %eax       /* CR4 */
        mov     %eax, %cr4
        mov     $top, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx       /* EFER.LME */
        rdmsr
        or      $0x100, %eax
        wrmsr
        mov     $0x80000011, %eax       /* CR0: PG ET PE */
        mov     %eax, %cr0
        ljmp    $8, $1f
        .code64
1:      say     $'r'
spin:   jmp     spin

        .set    small_page, UPPER + 0x3000
        .set    large_page, UPPER + 0x40000000 + large_frame
        .set    huge_page, UPPER + 0x80000000 + huge_frame

        .data
        .balign 8
gdt:    .quad   0
        .quad   0x00af9b000000ffff      /* code, 64-bit */
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt
        .balign 4096
top:
#ifdef LA57
        .quad   lower_pml4 + P + W
        .skip   255 * 8
        .quad   upper_pml4 + P + W
        .skip   255 * 8
lower_pml4:
        .quad   lower_pdpt + P + W
        .skip   4096 - 8
upper_pml4:
        .quad   upper_pdpt + P + W
        .skip   4096 - 8
#else
        .quad   lower_pdpt + P + W
        .skip   255 * 8
        .quad   upper_pdpt + P + W
        .skip   255 * 8
#endif
lower_pdpt:
        .quad   identity + P + W
        .skip   4096 - 8
upper_pdpt:
        .quad   directory + P + W       /* + 0: 4 KiB pages */
        .quad   identity + P + W        /* + 1 GiB: 2 MiB pages */
        .quad   P + W + LARGE           /* + 2 GiB: one page of 1 GiB */
        .skip   4096 - 24
identity:
        .quad   P + W + LARGE           /* the first 2 MiB */
        .skip   4096 - 8
directory:
        .quad   table + P + W
        .skip   4096 - 8
table:  .quad   0, 0, 0
        .quad   small_frame + P + W
        .skip   4096 - 32
small_frame:
        .ascii  "small frame"
        .balign 4096
large_frame:
        .ascii  "large frame"
        .balign 4096
huge_frame:
        .ascii  "huge frame"
        .balign 4096
