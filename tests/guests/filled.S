/* Fills the RAM from 16 MiB on, as far as the debugger says in `fill_bytes` (16 MiB), with bytes
   without a pattern, says 'r' and waits for ever. */
#include "boot64.inc"

        .globl  main, ap_main, fill_bytes
main:
        mov     $0x1000000, %edi
        mov     fill_bytes, %rcx
        shr     $3, %rcx
        mov     $1, %eax
        movabs  $6364136223846793005, %rbx
        movabs  $1442695040888963407, %rsi
1:      imul    %rbx, %rax
        add     %rsi, %rax
        mov     %rax, %rdx
        bswap   %rdx                    /* the high bits are the random ones */
        xor     %rax, %rdx
        mov     %rdx, (%rdi)
        add     $8, %rdi
        dec     %rcx
        jnz     1b
        say     $'r'
ap_main:
        pause
        jmp     ap_main

        .data
        .balign 8
fill_bytes:
        .quad   16 << 20
