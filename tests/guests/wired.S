/* Programs every interrupt controller and timer and lets all of them ask, with interrupts off: the 8259s
   (vectors 0x20 and 0x28), the 8254 and the local APICs' timers (both periodic), the I/O APIC's pin 4
   (vector 0x44), one message from each local APIC to itself (vector 0x50). Each vCPU says its number when
   that has been requested, the boot processor also waits for the 8259's line 0. */
#include "boot64.inc"

#define IOAPIC  0xfec00000
#define REQUEST_50      0x220           /* of the local APIC's request register: vectors 0x40 to 0x5f */

        .globl  main, ap_main, idle
        .macro  port number, value
        mov     $\value, %al
        out     %al, $\number
        .endm
        .macro  redirect register, value
        mov     $IOAPIC, %eax
        movl    $\register, (%rax)
        movl    $\value, 0x10(%rax)
        .endm
main:
        port    0x20, 0x11
        port    0x21, 0x20
        port    0x21, 0x04
        port    0x21, 0x01
        port    0xa0, 0x11
        port    0xa1, 0x28
        port    0xa1, 0x02
        port    0xa1, 0x01
        port    0x21, 0xfa              /* all masked but the timer and the slave */
        port    0xa1, 0x7f
        redirect 0x18, 0x8044           /* pin 4: level, to APIC 0 */
        redirect 0x19, 0
        port    0x43, 0x34              /* channel 0, both bytes, mode 2 */
        port    0x40, 0xff
        port    0x40, 0x03              /* about 1.2 kHz */
        port    0x20, 0x0a              /* its request register is what is read */
1:      in      $0x20, %al
        test    $1, %al
        jz      1b
        call    start_aps
ap_main:
        lapic   LAPIC_SPURIOUS, 0x1ff
        lapic   LAPIC_DIVIDE, 0xb
        lapic   LAPIC_TIMER, 0x20040
        lapic   LAPIC_INITIAL, 20000
        lapic   LAPIC_ICR_LOW, 0x44050  /* to itself */
        mov     $LAPIC, %eax
2:      mov     REQUEST_50(%rax), %ecx
        and     $0x10001, %ecx
        cmp     $0x10001, %ecx
        jne     2b
        lea     '0'(%rdi), %ecx
        say     %ecx
idle:
        jmp     idle
