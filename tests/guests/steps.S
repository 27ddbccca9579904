/* Instructions that are awkward to step over, one after the other, for ever. Each has a label at_X,
   the instruction that must be next has after_X (or is a handler). */
#include "boot64.inc"

        .globl  main, ap_main, rounds, pushed_flags, popped_flags, iret_flags
        .globl  at_pushf, after_pushf, at_popf, after_popf, at_sti, after_sti, at_cli, after_cli
        .globl  at_iret, after_iret, at_syscall, after_syscall, at_syscall_entry, at_movss, after_movss
        .globl  at_int, after_int, on_int, at_ud2, after_ud2, on_ud2, at_fault, after_fault, on_fault
        .globl  at_rep, after_rep, at_hlt, after_hlt, on_timer, rep_to, frame_rip
main:
        call    mask_pics
        gate    6, on_ud2
        gate    14, on_fault
        gate    0x40, on_timer
        gate    0x50, on_int
        mov     $0xc0000081, %ecx       /* STAR: kernel code and data selectors */
        xor     %eax, %eax
        mov     $(0x180000 | KERNEL_CODE), %edx
        wrmsr
        mov     $0xc0000082, %ecx       /* LSTAR */
        mov     $at_syscall_entry, %eax
        xor     %edx, %edx
        wrmsr
        mov     $0xc0000084, %ecx       /* SFMASK: IF and DF */
        mov     $0x600, %eax
        xor     %edx, %edx
        wrmsr
        lapic   LAPIC_SPURIOUS, 0x1ff
        lapic   LAPIC_DIVIDE, 0xb
        lapic   LAPIC_TIMER, 0x40      /* one shot, vector 0x40 */
        say     $'r'
again:
at_pushf:
        pushfq
after_pushf:
        pop     %rax
        mov     %rax, pushed_flags
        push    $0xa02                  /* OF and IF */
at_popf:
        popfq
after_popf:
        pushfq
        pop     %rax
        mov     %rax, popped_flags
at_cli:
        cli
after_cli:
        nop
at_sti:
        sti
after_sti:
        nop
        cli
        mov     %rsp, %rcx
        push    $KERNEL_DATA
        push    %rcx
        push    $0xc03                  /* OF, DF and CF */
        push    $KERNEL_CODE
        push    $after_iret
at_iret:
        iretq
after_iret:
        pushfq
        pop     %rax
        mov     %rax, iret_flags
        cld
at_syscall:
        syscall
after_syscall:
        mov     $KERNEL_DATA, %eax
at_movss:
        mov     %eax, %ss
after_movss:
        nop
at_int:
        int     $0x50
after_int:
        nop
at_ud2:
        ud2
after_ud2:
        nop
        mov     $0x40000000, %ebx
at_fault:
        mov     (%rbx), %eax
after_fault:
        mov     $rep_from, %esi
        mov     $rep_to, %edi
        mov     $16, %ecx
at_rep:
        rep movsb
after_rep:
        lapic   LAPIC_INITIAL, 1000
        sti
at_hlt:
        hlt
after_hlt:
        cli
        incq    rounds
        jmp     again

at_syscall_entry:
        jmp     *%rcx

on_ud2:
        mov     (%rsp), %rax
        mov     %rax, frame_rip
        add     $2, %rax
        mov     %rax, (%rsp)
        iretq
on_fault:
        mov     8(%rsp), %rax
        mov     %rax, frame_rip
        add     $2, %rax
        mov     %rax, 8(%rsp)
        add     $8, %rsp                /* the error code */
        iretq
on_timer:
        lapic   LAPIC_EOI, 0
        iretq
on_int:
        iretq

ap_main:
        jmp     ap_main

        .data
        .balign 8
rounds: .quad   0
pushed_flags:
        .quad   0
popped_flags:
        .quad   0
iret_flags:
        .quad   0
frame_rip:
        .quad   0
rep_from:
        .ascii  "0123456789abcdef"
rep_to: .skip   16
