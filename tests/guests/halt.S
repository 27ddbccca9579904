/* Every vCPU waits in HLT with interrupts on, and no interrupt comes. `wakes` counts what should not
   happen. Vector 0x41 wakes a vCPU on purpose and counts in `sent`. */
#include "boot64.inc"

        .globl  main, ap_main, at_hlt, after_hlt, handler, wakes, sent
main:
        call    mask_pics
        gate    0x41, handler
        call    start_aps
ap_main:
        lapic   LAPIC_SPURIOUS, 0x1ff
        lea     '0'(%rdi), %ecx
        say     %ecx
        sti
at_hlt:
        hlt
after_hlt:
        incq    wakes(, %rdi, 8)
        jmp     at_hlt

handler:
        lock incq sent
        lapic   LAPIC_EOI, 0
        iretq

        .data
        .balign 8
wakes:  .fill   64, 8, 0
sent:   .quad   0
