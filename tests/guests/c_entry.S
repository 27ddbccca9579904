/* The way into guests written in C: every vCPU calls `vcpu_main(number)`; the first one starts the
   others before. `common_exception` brings #DB and #BP to `on_exception(frame)` with all registers,
   for guests that have one. With TIMER defined the first vCPU's local timer interrupts it that often
   (in its ticks), which is counted in `timer_ticks`. With INTERRUPTS defined that vector is the first
   vCPU's for `on_interrupt()`, and interrupts are still off (interrupts.h). */
#include "boot64.inc"

        .globl  main, ap_main
main:
#ifdef EXCEPTIONS
        gate    1, exception_1
        gate    3, exception_3
#endif
        call    start_aps
#ifdef INTERRUPTS
        call    mask_pics
        gate    INTERRUPTS, interrupt
        lapic   LAPIC_SPURIOUS, 0x1ff
        xor     %edi, %edi
#endif
#ifdef TIMER
        call    mask_pics
        gate    0x40, timer_tick
        lapic   LAPIC_SPURIOUS, 0x1ff
        lapic   LAPIC_DIVIDE, 0xb              /* by 1 */
        lapic   LAPIC_TIMER, 0x20040           /* periodic, vector 0x40 */
        lapic   LAPIC_INITIAL, TIMER
        xor     %edi, %edi
        sti
#endif
ap_main:
        call    vcpu_main
1:      hlt
        jmp     1b

#ifdef TIMER
        .globl  timer_tick, timer_ticks
timer_tick:
        incq    timer_ticks
        push    %rax
        lapic   LAPIC_EOI, 0
        pop     %rax
        iretq
        .data
        .balign 8
timer_ticks:
        .quad   0
        .text
#endif

#ifdef INTERRUPTS
interrupt:                              /* saves what a function may change */
        push    %rax
        push    %rcx
        push    %rdx
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        call    on_interrupt
        lapic   LAPIC_EOI, 0
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %rcx
        pop     %rax
        iretq
#endif

#ifdef EXCEPTIONS
exception_1:
        push    $1
        jmp     common_exception
exception_3:
        push    $3
common_exception:                       /* struct frame in stub.c, from its end */
        push    %r15
        push    %r14
        push    %r13
        push    %r12
        push    %r11
        push    %r10
        push    %r9
        push    %r8
        push    %rbp
        push    %rdi
        push    %rsi
        push    %rdx
        push    %rcx
        push    %rbx
        push    %rax
        mov     %rsp, %rdi
        call    on_exception
        pop     %rax
        pop     %rbx
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
        pop     %rbp
        pop     %r8
        pop     %r9
        pop     %r10
        pop     %r11
        pop     %r12
        pop     %r13
        pop     %r14
        pop     %r15
        add     $8, %rsp                /* the vector */
        iretq
#endif
