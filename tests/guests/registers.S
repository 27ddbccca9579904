/* Known values in all 24 registers of the `g` packet, then nothing but a jump to itself. */
#include "boot64.inc"

        .globl  main, ap_main, spin
main:
        mov     $USER_DATA, %eax
        mov     %eax, %es
        mov     %eax, %fs
        mov     $KERNEL_DATA, %eax
        mov     %eax, %ds
        mov     %eax, %gs
        push    $0xcd7                  /* CF PF AF ZF SF DF OF and the fixed bit */
        popfq
        mov     $0x1111111111111111, %rax
        mov     $0x2222222222222222, %rbx
        mov     $0x3333333333333333, %rcx
        mov     $0x4444444444444444, %rdx
        mov     $0x5555555555555555, %rsi
        mov     $0x6666666666666666, %rdi
        mov     $0x7777777777777777, %rbp
        mov     $0x8888888888888888, %rsp
        mov     $0x9999999999999999, %r8
        mov     $0xaaaaaaaaaaaaaaaa, %r9
        mov     $0xbbbbbbbbbbbbbbbb, %r10
        mov     $0xcccccccccccccccc, %r11
        mov     $0xdddddddddddddddd, %r12
        mov     $0xeeeeeeeeeeeeeeee, %r13
        mov     $0xfedcba9876543210, %r14
        mov     $0x0123456789abcdef, %r15
spin:
ap_main:
        jmp     spin
