/* The way into guests written in C: every vCPU calls `vcpu_main(number)`; the first one starts the
   others before. `common_exception` brings #DB and #BP to `on_exception(frame)` with all registers,
   for guests that have one. */
#include "boot64.inc"

        .globl  main, ap_main
main:
#ifdef EXCEPTIONS
        gate    1, exception_1
        gate    3, exception_3
#endif
        call    start_aps
ap_main:
        call    vcpu_main
1:      hlt
        jmp     1b

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
