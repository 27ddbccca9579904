/* A page that is used in every way at once: data, a lock between vCPUs, stacks, code. Each round of
   vCPU 0 reads `target`, increments it, writes `crossing` (over the end of the page) and copies
   four bytes to `area`; all vCPUs lock, count, push, call and return there. R8 is the vCPU number.
   Each vCPU says its number. */
#include "boot64.inc"

        .globl  main, ap_main, round, after_read, after_increment, after_crossing, after_copy
        .globl  source, watched, shared, plain, target, area, crossing, unused, rounds, filler
main:
        call    start_aps
ap_main:
        mov     %rdi, %r8
        lea     '0'(%r8), %ecx
        say     %ecx
round:
        lock incq shared
        incq    plain(, %r8, 8)
        mov     page_stacks(, %r8, 8), %rax
        xchg    %rax, %rsp
        push    %r8
        call    in_page
        pop     %rdx
        xchg    %rax, %rsp
        test    %r8, %r8
        jnz     others
        mov     target, %rbx
after_read:
        incq    target
after_increment:
        mov     %ebx, crossing
after_crossing:
        mov     $source, %esi
        mov     $area, %edi
        mov     $4, %ecx
        rep movsb
after_copy:
others:
        incq    rounds(, %r8, 8)
        jmp     round

        .data
        .balign 4096
watched:
target: .quad   0
shared: .quad   0
plain:  .fill   4, 8, 0
unused: .fill   64, 1, 0
area:   .fill   8, 1, 0
source: .ascii  "copy"
in_page:
        incq    plain(, %r8, 8)
        decq    plain(, %r8, 8)
        ret
        .org    watched + 4096 - 2
crossing:
        .long   0
        .balign 4096
page_stacks:
        .quad   watched + 0x800, watched + 0xa00, watched + 0xc00, watched + 0xe00
rounds: .fill   4, 8, 0
filler: .fill   4, 8, 0
