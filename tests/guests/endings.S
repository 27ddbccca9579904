/* How a guest can end; ENDING names one of the labels. It waits for a byte on COM1 first, so that a
   debugger can be there in time. */
#include "boot64.inc"

        .globl  main, ap_main, go
main:
        say     $'r'
1:      mov     $(COM1 + 5), %edx
        in      %dx, %al
        test    $1, %al                 /* data ready */
        jz      1b
        mov     $COM1, %edx
        in      %dx, %al
go:     jmp     ENDING

power_off:                              /* PM1a_CNT: SLP_TYP 5 and SLP_EN (ACPI 4.8.3.2.1) */
        mov     $0x604, %edx
        mov     $0x3400, %eax
        out     %ax, %dx
        jmp     forever
reboot:                                 /* the keyboard controller pulses the reset line */
        mov     $0xfe, %eax
        out     %al, $0x64
        jmp     forever
halt:                                   /* interrupts off: nothing can wake it */
        cli
        hlt
        jmp     forever
triple_fault:                           /* no IDT: the exception, the double fault, the end */
        lidt    no_idt
        ud2
debug_exit:
        mov     $0x2a, %eax
        out     %al, $0xf4
        jmp     forever
panic:                                  /* pvpanic's port; the guest can go on if it may */
        mov     $0x505, %edx
        in      %dx, %al
        and     $1, %al
        out     %al, %dx
        .globl  after_panic
after_panic:
        nop
forever:
        pause
        jmp     forever
ap_main:
        cli
        hlt
        jmp     ap_main

        .data
no_idt: .word   0
        .quad   0
