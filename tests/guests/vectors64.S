/* Takes exceptions in 64-bit mode in many ways, from ring 0 and ring 3, and all 256 software
   interrupts. The handler of every vector loads what was pushed, CR2 and DR6 into registers, where a
   comparison with another processor sees them. Spins at the end. */
#include "boot64.inc"

        .globl  main, ap_main, common, finished, handlers

        /* The attempts below are strings, which see assembler symbols only. */
        .set    kernel_code, KERNEL_CODE
        .set    kernel_data, KERNEL_DATA
        .set    user_code, USER_CODE
        .set    user_data, USER_DATA
        .set    task, TSS
        .set    NOT_PRESENT, 0x48               /* selectors that `main` adds behind the TSS */
        .set    NOWHERE, 0x50000000         /* not mapped */
        .set    SUPERVISOR, 0xc0000000         /* mapped, but not for ring 3 */
        .set    READ_ONLY, 0x20000000         /* pages of memory that does not exist; the walk is enough */
        .set    NO_EXECUTE, 0x20400000

/* Runs code that is expected to end in the handler, which goes on behind it. */
        .macro  attempt code
        movq    $.Lbehind\@, resume
        mov     $test_stack, %esp
        \code
.Lbehind\@:
        .endm

/* The same in ring 3, with flags. */
        .macro  attempt_user flags, code
        movq    $.Lbehind\@, resume
        mov     $test_stack, %esp
        pushq   $USER_DATA
        pushq   $user_stack
        pushq   $(\flags | 2)
        pushq   $USER_CODE
        pushq   $.Luser\@
        iretq
.Luser\@:
        \code
.Lbehind\@:
        .endm

main:
        movabs  $0x00cf13000000ffff, %rax
        mov     %rax, gdt + NOT_PRESENT
        movw    $(NOT_PRESENT + 7), new_gdt_pointer
        lgdt    new_gdt_pointer
        call    mask_pics
        call    load_tss
        xor     %ebx, %ebx              /* a gate for each vector */
1:      mov     %ebx, %edi
        mov     %ebx, %esi
        shl     $4, %esi
        add     $handlers, %esi
        call    set_gate
        inc     %ebx
        cmp     $256, %ebx
        jne     1b
        movw    $0x8e00, idt + 16 * 0x50 + 4    /* this one is not for ring 3 */
        andq    $~W, pd_low + 8 * (READ_ONLY >> 21)
        btsq    $63, pd_low + 8 * (NO_EXECUTE >> 21)
        mov     $0xc0000080, %ecx       /* EFER.NXE */
        rdmsr
        or      $0x800, %eax
        wrmsr
        mov     $pml4, %eax
        mov     %rax, %cr3
        mov     $0x80010033, %eax       /* CR0: PG WP NE MP ET PE */
        mov     %rax, %cr0
        mov     $0x620, %eax            /* CR4: OSXMMEXCPT OSFXSR PAE */
        mov     %rax, %cr4

#ifdef QUIRKS
#include "quirks64.inc"
#elif defined(EXTENDED)
#include "extended64.inc"
#else
divide:
        attempt "xor %ecx, %ecx; div %ecx"
        attempt "mov $0x80000000, %eax; cltd; mov $-1, %ecx; idiv %ecx"
        attempt_user 0, "xor %edx, %edx; divb %dl"
software:
        attempt "int3"
        attempt ".byte 0xcd, 3"
        attempt "int $4"
        attempt_user 0, "int3"
        attempt_user 0, "int $0x40"
        xor     %ebx, %ebx
2:      mov     %bl, 3f + 1
        movq    $4f, resume
        mov     $test_stack, %esp
        jmp     3f
3:      int     $0
4:      inc     %ebx
        cmp     $256, %ebx
        jne     2b
undefined:
        attempt "ud2"
        attempt ".byte 0x06"
        attempt ".byte 0xce"
        attempt ".byte 0x0f, 0xff, 0xc0"
        attempt ".byte 0xf0; nop"       /* LOCK */
        attempt_user 0, "ud2"
not_available:
        mov     %cr0, %rax
        or      $8, %eax                /* TS */
        mov     %rax, %cr0
        attempt "fnop"
        attempt "fwait"
        attempt "movd %eax, %mm0"
        attempt "addps %xmm0, %xmm0"
        clts
segments:
        attempt "mov $NOT_PRESENT, %eax; mov %eax, %gs"
        attempt "mov $NOT_PRESENT, %eax; mov %eax, %ss"
        attempt "mov $0xfff8, %eax; mov %eax, %ds"
        attempt "mov $kernel_code, %eax; mov %eax, %ss"
        attempt "mov $user_data, %eax; mov %eax, %ss"
        attempt "mov $task, %eax; ltr %ax"  /* busy */
        attempt "mov $kernel_data, %eax; lldt %ax"
        attempt "pushq $0; pushq $5f; lretq"
        attempt "pushq $NOT_PRESENT; pushq $5f; lretq"
        attempt "pushq $kernel_data; pushq $5f; lretq"
        attempt "pushq $0; pushq $0; pushq $2; pushq $0xfff8; pushq $5f; iretq"
        attempt "pushq $0x13; pushq $0; pushq $2; pushq $user_code; pushq $5f; iretq"
5:
general:
        movabs  $0x8000000000000000, %rbp
        attempt "mov %rbp, %rax; mov (%rax), %eax"
        attempt_user 0, "hlt"
        attempt_user 0, "cli"
        attempt_user 0, "in $0x80, %al"
        attempt_user 0, "out %eax, %dx"
        attempt_user 0, "mov %cr0, %rax"
        attempt_user 0, "mov %rax, %cr3"
        attempt_user 0, "mov %dr7, %rax"
        attempt_user 0, "rdmsr"
        attempt_user 0, "lgdt new_gdt_pointer"
        attempt_user 0, "invlpg (%rax)"
        attempt_user 0, "clts"
        attempt_user 0, "wbinvd"
        attempt_user 0, "swapgs"
pages:
        mov     $NOWHERE, %ebp
        attempt "mov (%rbp), %eax"
        attempt "mov %eax, (%rbp)"
        attempt "jmp *%rbp"
        attempt_user 0, "mov $NOWHERE, %esp; push %rax"
        attempt "lea -2(%rbp), %rsi; add $0x1000, %rsi; mov (%rsi), %rax"
        attempt_user 0, "mov $NOWHERE, %esi; mov (%rsi), %al"
        attempt_user 0, "mov $NOWHERE + 4, %esi; movb $1, (%rsi)"
        attempt_user 0, "mov $SUPERVISOR, %esi; mov (%rsi), %al"
        attempt_user 0, "mov $SUPERVISOR, %esi; mov %al, (%rsi)"
        attempt_user 0, "mov $SUPERVISOR, %esi; jmp *%rsi"
        attempt "movl $1, READ_ONLY"
        attempt_user 0, "movl $1, READ_ONLY"
        attempt "mov $NO_EXECUTE, %eax; jmp *%rax"
        attempt_user 0, "mov $NO_EXECUTE, %eax; jmp *%rax"
        attempt "mov $NOWHERE, %esi; mov $idt, %edi; mov $4, %ecx; rep movsb"
floating:
        fninit
        attempt "fldenv pending_x87; fwait"
        fninit
        attempt "movaps idt + 4, %xmm0"
debug:
        attempt "pushfq; orl $0x100, (%rsp); popfq; nop; nop"
        attempt "pushfq; orl $0x100, (%rsp); popfq; mov %ss, %eax; nop"
        attempt "pushfq; orl $0x100, (%rsp); popfq; pushfq; nop"
        attempt_user 0x100, "nop"
        attempt_user 0x100, "ud2"
        mov     $0x00000402, %eax       /* DR0: execution */
        mov     %rax, %dr7
        mov     $6f, %eax
        mov     %rax, %dr0
        attempt "nop; 6: nop"
        mov     $watched, %eax          /* DR0: four bytes, written */
        mov     %rax, %dr0
        mov     $0x000d0401, %eax
        mov     %rax, %dr7
        attempt "movl $1, watched; nop"
        attempt "movb $1, watched + 3; nop"
        attempt "movl watched, %eax; movb $1, watched + 4; nop"
        attempt "lock incq watched - 4; nop"
        attempt "push watched; pop watched; nop"
        attempt "mov $watched - 2, %edi; mov $4, %ecx; rep stosb; nop"
        attempt_user 0, "movl $1, watched; nop"
        mov     $0x000f0402, %eax       /* read or written */
        mov     %rax, %dr7
        attempt "mov watched + 3, %al; nop"
        attempt "mov $watched, %esp; pop %rax; nop"
        mov     %cr4, %rbx
        mov     %rbx, %rax
        or      $8, %rax                /* DE */
        mov     %rax, %cr4
        mov     $0x80, %eax             /* DR0: a port */
        mov     %rax, %dr0
        mov     $0x00020401, %eax
        mov     %rax, %dr7
        attempt "out %al, $0x80; nop"
        attempt "mov %dr4, %rax"
        mov     %rbx, %cr4
        mov     $0x400, %eax
        mov     %rax, %dr7
        xor     %eax, %eax
        mov     %rax, %dr0
interrupts:                             /* the local APIC sends them to its own processor */
        lapic   LAPIC_SPURIOUS, 0x1ff
        mov     $LAPIC, %esi
        attempt "sti; movl $0x40051, 0x300(%rsi); nop; nop"
        cli
        movl    $0, 0xb0(%rsi)          /* the end of it */
        attempt "movl $0x40051, 0x300(%rsi); nop; sti; nop; nop"
        movl    $0, 0xb0(%rsi)
        attempt "movl $0x40051, 0x300(%rsi); nop; sti; mov %ss, %eax; mov %eax, %ss; nop; nop"
        movl    $0, 0xb0(%rsi)
        mov     $6, %eax                /* the task's priority lets nothing below 70 through */
        mov     %rax, %cr8
        attempt "movl $0x40051, 0x300(%rsi); sti; nop; nop; xor %eax, %eax; mov %rax, %cr8; nop"
        cli
        movl    $0, 0xb0(%rsi)
        movl    $0x40051, 0x300(%rsi)
        attempt_user 0x200, "nop; nop"
        movl    $0, 0xb0(%rsi)
        movl    $0, 0x310(%rsi)         /* an NMI */
        attempt "movl $0x4400, 0x300(%rsi); nop; nop"
        attempt "movl $0x4400, 0x300(%rsi); nop; nop"   /* blocked until IRET */
        attempt "pushq $0; pushq $test_stack; pushq $2; pushq $kernel_code; pushq $7f; iretq; 7: nop"
        attempt "movl $0x4400, 0x300(%rsi); nop"
        pushq   $0
        pushq   $test_stack
        pushq   $2
        pushq   $KERNEL_CODE
        pushq   $8f
        iretq
8:
double:
        andb    $0x7f, idt + 16 * 13 + 5
        attempt "movabs $0x8000000000000000, %rax; mov (%rax), %eax"
        orb     $0x80, idt + 16 * 13 + 5
        andb    $0x7f, idt + 16 * 14 + 5
        attempt "mov NOWHERE, %eax"
        orb     $0x80, idt + 16 * 14 + 5
        movq    $NOWHERE, tss + 4       /* no stack for ring 0: #PF, then #DF, then on with an IST */
        movq    $test_stack, tss + 36
        movb    $1, idt + 16 * 8 + 4
        attempt_user 0, "ud2"
        movb    $0, idt + 16 * 8 + 4
        movq    $kernel_stack, tss + 4
system_calls:
        mov     $0xc0000080, %ecx
        rdmsr
        or      $1, %eax
        wrmsr
        mov     $0xc0000081, %ecx       /* STAR: kernel 08, user 28 - 16 */
        xor     %eax, %eax
        mov     $0x001b0008, %edx
        wrmsr
        mov     $0xc0000082, %ecx
        mov     $called, %eax
        xor     %edx, %edx
        wrmsr
        mov     $0xc0000084, %ecx
        mov     $0x700, %eax
        wrmsr
        attempt_user 0x200, "syscall; pushfq; mov (%rsp), %rbx; mov %cs, %ecx; mov %ss, %edx; ud2"
        attempt "mov $0xc0000080, %ecx; rdmsr; and $~1, %eax; wrmsr; syscall"
finished:
        jmp     finished

#endif
called:
        mov     %cs, %eax
        mov     %ss, %edx
        sysretq

        .balign 16
handlers:
        .set    vector, 0
        .rept   256
        .balign 16
        mov     $vector, %edi
        jmp     common
        .set    vector, vector + 1
        .endr
common:
        pushq   16(%rsp)
        popq    pushed_flags
        mov     (%rsp), %r8
        mov     8(%rsp), %r9
        movzwl  16(%rsp), %r10d         /* without RF, where an emulator may differ */
        movzwl  24(%rsp), %r11d
        mov     32(%rsp), %r12
        mov     40(%rsp), %r13
        mov     %cr2, %r14
        mov     %dr6, %r15
        mov     $0xffff0ff0, %eax
        mov     %rax, %dr6
        jmp     *resume

ap_main:
        hlt
        jmp     ap_main

        .data
        .balign 8
resume: .quad   0
pushed_flags:                           /* without an error code */
        .quad   0
        .skip   128                     /* may be a stack */
watched:
        .quad   0, 0
        .balign 4
pending_x87:                            /* an invalid operation that is not masked */
        .long   0xffff037e, 0xffff8081, 0xffffffff, 0, 0, 0, 0
new_gdt_pointer:
        .word   0
        .quad   gdt
        .bss
        .balign 16
        .skip   1024
test_stack:
        .skip   64
        .skip   1024
user_stack:
        .skip   64
        .text
