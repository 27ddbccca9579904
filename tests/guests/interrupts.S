/* Interrupts on, and the local APIC's timer firing all the time: a debugger's step must not land in
   the handler. `sled` is a run of one-byte instructions that starts over for ever. Vector 0x41 counts
   interrupts that a debugger sends through the APIC. */
#include "boot64.inc"

        .globl  main, ap_main, sled, sled_end, handler, handler_end, sent_handler
        .globl  period, ticks, rounds, sent
main:
        call    mask_pics
        gate    0x40, handler
        gate    0x41, sent_handler
        lapic   LAPIC_SPURIOUS, 0x1ff
        lapic   LAPIC_DIVIDE, 0xb              /* by 1 */
        lapic   LAPIC_TIMER, 0x20040           /* periodic, vector 0x40 */
        mov     $LAPIC, %eax
        mov     period, %ecx
        mov     %ecx, LAPIC_INITIAL(%rax)
        say     $'r'
        sti
sled:
        .fill   64, 1, 0x90
        incq    rounds
sled_end:
        jmp     sled

handler:
        incq    ticks
        push    %rax
        mov     8(%rsp), %rax                  /* what was interrupted, for the comparison of runs */
        xor     %rax, trail
        rolq    $7, trail
        pop     %rax
        lapic   LAPIC_EOI, 0
handler_end:
        iretq

sent_handler:
        incq    sent
        lapic   LAPIC_EOI, 0
        iretq

ap_main:
        jmp     ap_main

        .data
        .balign 8
ticks:  .quad   0
rounds: .quad   0
trail:  .quad   0
sent:   .quad   0
period: .quad   20000                  /* of the timer, in ns; read once, before `r` is said */
