/* What features.c needs of assembler: a way back from every exception, ring 3, and paging modes that
   can only be entered from 32-bit code. */
#include "boot64.inc"

#define USER_PAGE 0x200000

        .globl  main, ap_main
main:
        call    mask_pics
        call    load_tss
        xor     %ebx, %ebx
1:      mov     %ebx, %edi
        mov     %ebx, %esi
        shl     $4, %esi
        add     $stubs, %esi
        call    set_gate
        inc     %ebx
        cmp     $256, %ebx
        jne     1b
        xor     %ecx, %ecx              /* all but the page for ring 3 are the kernel's alone */
2:      cmp     $(USER_PAGE >> 21), %ecx
        je      3f
        andb    $~U, pd_low(, %rcx, 8)
3:      inc     %ecx
        cmp     $512, %ecx
        jne     2b
        mov     %cr3, %rax
        mov     %rax, %cr3
        mov     $0x620, %eax            /* CR4: PAE OSFXSR OSXMMEXCPT */
        mov     %rax, %cr4
        call    features_main
ap_main:
        cli
        hlt
        jmp     ap_main

/* attempt(function): the vector of the exception that ends it, -1 if it returns. */
        .globl  attempt, error_code, interrupted
attempt:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, escape
        call    *%rdi
        mov     $-1, %eax
attempt_end:
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret
exception:                              /* vector, perhaps error code, frame */
        pop     %rax
        mov     (%rsp), %rdx
        mov     %rdx, error_code
escaped:
        cld
        mov     $KERNEL_DATA, %edx
        mov     %dx, %ss
        mov     escape, %rsp
        jmp     attempt_end

/* Ring 3 leaves through SYSCALL or SYSENTER: as if an exception 256 or 257 had come. */
        .globl  after_syscall, after_sysenter
after_syscall:
        mov     $256, %eax
        jmp     escaped
after_sysenter:
        mov     $257, %eax
        jmp     escaped

        .globl  enter_user              /* at RDI */
enter_user:
        push    $USER_DATA
        push    $(USER_PAGE + 0x1000)
        push    $2
        push    $USER_CODE
        push    %rdi
        iretq

        .set    number, 0
        .balign 16
stubs:  .rept   256
        .balign 16
        .if     number < 32
        pushq   $number
        jmp     exception
        .else
        movl    $number, interrupted
        iretq
        .endif
        .set    number, number + 1
        .endr

/* legacy_read(cr3, cr4, address): the 32 bits there with 32-bit paging or, if CR4 says so, PAE. */
        .globl  legacy_read, long_read
legacy_read:
        mov     $0, %ecx
        jmp     read_elsewhere
/* long_read(cr3, cr4, address): in 64-bit mode with paging that can only be entered from outside. */
long_read:
        mov     $1, %ecx
read_elsewhere:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, own_rsp
        mov     %rdx, address
        mov     %ecx, long
        mov     %cr3, %rax
        mov     %eax, own_cr3
        mov     %cr4, %rax
        mov     %eax, own_cr4
        ljmp    *to_32
        .code32
1:      mov     $KERNEL_DATA, %eax
        mov     %eax, %ds
        mov     %eax, %ss
        mov     %cr0, %ebx
        and     $0x7fffffff, %ebx       /* PG */
        mov     %ebx, %cr0
        mov     long, %eax
        call    set_lme
        mov     %esi, %cr4
        mov     %edi, %cr3
        or      $0x80000000, %ebx
        mov     %ebx, %cr0
        cmpl    $0, long
        jne     2f
        mov     address, %eax
        mov     (%eax), %ebp
        jmp     4f
2:      ljmp    $KERNEL_CODE, $3f
        .code64
3:      mov     address, %rax
        mov     (%rax), %ebp
        ljmp    *back_to_32
        .code32
4:      and     $0x7fffffff, %ebx
        mov     %ebx, %cr0
        mov     $1, %eax
        mov     %ebp, value
        call    set_lme
        mov     own_cr4, %eax
        mov     %eax, %cr4
        mov     own_cr3, %eax
        mov     %eax, %cr3
        or      $0x80000000, %ebx
        mov     %ebx, %cr0
        ljmp    $KERNEL_CODE, $5f
set_lme:                                /* EFER.LME = EAX */
        mov     %eax, %ebp
        mov     $0xc0000080, %ecx
        rdmsr
        and     $~0x100, %eax
        shl     $8, %ebp
        or      %ebp, %eax
        wrmsr
        ret
        .code64
5:      mov     own_rsp, %rsp
        mov     value, %eax
        jmp     attempt_end

        .data
        .balign 8
to_32:  .long   1b
        .word   KERNEL_CODE32
        .balign 8
back_to_32:
        .long   4b
        .word   KERNEL_CODE32
        .balign 8
escape: .quad   0
own_rsp:
        .quad   0
address:
        .quad   0
error_code:
        .quad   0
own_cr3:
        .long   0
own_cr4:
        .long   0
long:   .long   0
value:  .long   0
interrupted:
        .long   0

        .globl  pml4, pdpt, pd_low
