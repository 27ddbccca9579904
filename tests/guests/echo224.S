/* The guest's side of -g: probes port 0x224 for its signature, then sends back each byte that comes,
   with the letter case changed, so that an echo by anybody else would show. */
#include "boot64.inc"

        .globl  main, ap_main, signature
main:
        mov     $0x224, %edx
        in      %dx, %ax
        mov     %ax, signature
        say     $'r'
        mov     $0x224, %edx
1:      in      %dx, %eax
        cmp     $-1, %eax               /* nothing yet */
        je      1b
        xor     $0x20, %eax
        out     %eax, %dx
        jmp     1b
ap_main:
        jmp     ap_main

        .data
signature:
        .word   0
