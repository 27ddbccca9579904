/* Takes exceptions in 32-bit protected mode, with segmentation and a task gate, and then in real mode.
   The handler of every vector loads what was pushed and CR2 into registers, where a comparison with
   another processor sees them. Spins at the end. */
#include "multiboot.inc"

        .set    CODE, 0x08
        .set    DATA, 0x10
        .set    USER_CODE, (0x18 | 3)
        .set    USER_DATA, (0x20 | 3)
        .set    TSS, 0x28
        .set    OTHER_TSS, 0x30
        .set    SMALL, 0x38                /* data of 4096 bytes */
        .set    NOT_PRESENT, 0x40
        .set    DOWN, 0x48                /* data that expands down from 4 GiB to 4096 */
        .set    GATE, (0x50 | 3)          /* a call gate to ring 0 with two parameters */
        .set    CODE16, 0x58
        .set    DATA16, 0x60
        .set    EXECUTE, 0x68                /* code that cannot be read */
        .set    SMALL_USER, (0x70 | 3)
        .set    REAL, 0x100               /* the paragraph of the real-mode part */
        .set    NOWHERE, 0x50000000

        .macro  attempt code
        movl    $.Lbehind\@, resume
        mov     $test_stack, %esp
        \code
.Lbehind\@:
        .endm
        .macro  attempt_user flags, code
        movl    $.Lbehind\@, resume
        mov     $test_stack, %esp
        push    $USER_DATA
        push    $user_stack
        push    $(\flags | 2)
        push    $USER_CODE
        push    $.Luser\@
        iret
.Luser\@:
        mov     $USER_DATA, %esi        /* IRET has cleared what ring 3 may not have */
        mov     %esi, %ds
        \code
.Lbehind\@:
        .endm

        .text
        .code32
        .globl  _start, common, finished, handlers
_start:
        cli
        mov     $tss, %eax
        mov     %ax, gdt + TSS + 2
        shr     $16, %eax
        mov     %al, gdt + TSS + 4
        mov     $other_tss, %eax
        mov     %ax, gdt + OTHER_TSS + 2
        shr     $16, %eax
        mov     %al, gdt + OTHER_TSS + 4
        mov     $called, %eax
        mov     %ax, gdt + (GATE & ~7)
        shr     $16, %eax
        mov     %ax, gdt + (GATE & ~7) + 6
        xor     %ebx, %ebx
1:      mov     %ebx, %eax
        shl     $4, %eax
        add     $handlers, %eax
        mov     %ax, idt(, %ebx, 8)
        movw    $CODE, idt + 2(, %ebx, 8)
        movw    $0xee00, idt + 4(, %ebx, 8)
        shr     $16, %eax
        mov     %ax, idt + 6(, %ebx, 8)
        inc     %ebx
        cmp     $256, %ebx
        jne     1b
        movb    $0x8e, idt + 8 * 0x50 + 5
        lgdt    gdt_pointer
        lidt    idt_pointer
        ljmp    $CODE, $1f
1:      mov     $DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     %eax, %ss
        mov     $test_stack, %esp
        mov     $TSS, %eax
        ltr     %ax
        mov     $0x610, %eax            /* CR4: OSXMMEXCPT OSFXSR PSE */
        mov     %eax, %cr4
        mov     $directory, %eax
        mov     %eax, %cr3
        mov     $0x80010033, %eax
        mov     %eax, %cr0
#ifdef QUIRKS
#include "quirks32.inc"
#endif
simple:
        attempt "xor %ecx, %ecx; div %ecx"
        attempt "int3"
        attempt "mov $0x7f, %al; add $1, %al; into"
        attempt "mov $5, %eax; bound %eax, limits"
        attempt_user 0, "mov $-1, %eax; bound %eax, limits"
        attempt "ud2"
        attempt "pushf; orl $0x100, (%esp); popf; nop; nop"
        attempt "pushf; orl $0x100, (%esp); popf; mov %ss, %eax; mov %eax, %ss; nop; nop"
        attempt_user 0x100, "nop"
        attempt_user 0, "int $0x40"
        attempt_user 0, "int $0x50"
        attempt "int $0x50"
2:      mov     counter, %al
        mov     %al, 3f + 1
        movl    $4f, resume
        mov     $test_stack, %esp
        jmp     3f
3:      int     $0
4:      incb    counter
        jnz     2b
segments:
        attempt "mov $NOT_PRESENT, %eax; mov %eax, %gs"
        attempt "mov $NOT_PRESENT, %eax; mov %eax, %ss"
        attempt "mov $0xfff8, %eax; mov %eax, %es"
        attempt "xor %eax, %eax; mov %eax, %ss"
        attempt "mov $EXECUTE, %eax; mov %eax, %ss"
        attempt "ljmp $DATA, $0"
        attempt "ljmp $0, $0"
        attempt "ljmp $NOT_PRESENT, $0"
        attempt "ljmp $USER_CODE, $0"
        attempt "push $NOT_PRESENT; push $0; lret"
        attempt "push $2; push $DATA; push $0; iret"
        attempt "mov $DATA, %eax; lldt %ax"
        attempt "mov $TSS, %eax; ltr %ax"
        attempt "pushf; orl $0x4000, (%esp); popf; iret"  /* NT without a task to return to: #TS */
        pushf
        andl    $~0x4000, (%esp)
        popf
        attempt_user 0, "push $1; push $2; lcall $GATE, $0"
        attempt_user 0, "ljmp $GATE, $0"
        attempt_user 0, "mov $DATA, %eax; mov %eax, %gs"
        attempt_user 0, "hlt"
        attempt_user 0, "cli"
        attempt_user 0, "in $0x80, %al"
        attempt_user 0, "mov %cr0, %eax"
        attempt_user 0, "ltr %ax"
pages:
        attempt "mov NOWHERE, %eax"
        attempt "mov %eax, NOWHERE"
        attempt "mov $NOWHERE, %eax; jmp *%eax"
        attempt_user 0, "mov NOWHERE, %eax"
        attempt_user 0, "mov 0x400000, %eax"
        attempt_user 0, "mov %eax, 0x800000"
        attempt "mov %eax, 0x800000"
double:
        movw    $OTHER_TSS, idt + 8 * 8 + 2     /* a task gate for #DF */
        movb    $0x85, idt + 8 * 8 + 5
        andb    $0x7f, idt + 8 * 13 + 5
        attempt "mov $0xfff8, %eax; mov %eax, %es"
        orb     $0x80, idt + 8 * 13 + 5
        pushf
        andl    $~0x4000, (%esp)
        popf
        clts
        movb    $0x89, gdt + TSS + 5
        movb    $0x89, gdt + OTHER_TSS + 5
        mov     $TSS, %eax
        ltr     %ax
        attempt "lcall $OTHER_TSS, $0"
        jmp     real

task:
        pop     %eax                    /* the error code, or nothing of the sort */
        mov     resume, %ecx
        mov     tss + 0x20, %ebx        /* where the first task is */
        str     %edx
        mov     tss + 0x24, %esi
        jmp     *%ecx

called:
        mov     8(%esp), %eax
        mov     12(%esp), %ebx
        mov     (%esp), %ecx
        mov     4(%esp), %edx
        lret    $8

real:
        mov     $real_start, %esi       /* to where a paragraph number reaches */
        mov     $(REAL << 4), %edi
        mov     $(real_end - real_start), %ecx
        rep movsb
        ljmp    $CODE16, $0

        .code16
real_start:
        mov     $DATA16, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     %ax, %fs
        mov     %ax, %gs
        xor     %eax, %eax
        mov     %eax, %cr0
        ljmp    $REAL, $(1f - real_start)
1:      xor     %ax, %ax
        mov     %ax, %ss
        mov     $0x6000, %sp
        mov     $REAL, %ax
        mov     %ax, %ds
        xor     %bx, %bx
        mov     %bx, %es
2:      mov     %bx, %di                /* a vector of four bytes each at 0 */
        shl     $2, %di
        mov     %bx, %ax
        shl     $3, %ax
        add     $(real_handlers - real_start), %ax
        mov     %ax, %es:(%di)
        movw    $REAL, %es:2(%di)
        inc     %bx
        cmp     $256, %bx
        jne     2b
        lidtl   (real_idt - real_start)

        .macro  attempt16 code
        movw    $(.Lbehind\@ - real_start), (real_resume - real_start)
        mov     $0x6000, %sp
        \code
.Lbehind\@:
        .endm

        attempt16 "xor %cx, %cx; div %cx"
        attempt16 "int3"
        attempt16 "int $0x21"
        attempt16 "mov $0x7f, %al; add $1, %al; into"
        attempt16 "mov $9, %ax; bound %ax, (real_limits - real_start)"
        attempt16 "ud2"
        attempt16 "pushf; pop %ax; or $0x100, %ax; push %ax; popf; nop; nop"
        attempt16 "lldt %ax"
        attempt16 "str %ax"
        attempt16 "arpl %ax, %ax"
finished:
        jmp     finished

real_common:
        pop     %ax
        pop     %bx
        pop     %cx
        jmp     *(real_resume - real_start)

        .balign 8
real_handlers:
        .set    vector, 0
        .rept   256
        .balign 8
        mov     $vector, %dx
        jmp     real_common
        .set    vector, vector + 1
        .endr
real_idt:
        .word   0x3ff
        .long   0
real_limits:
        .word   0, 4
real_resume:
        .word   0
real_end:

        .code32
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
        mov     (%esp), %eax
        mov     4(%esp), %ebx
        movzwl  8(%esp), %ecx           /* without RF, where an emulator may differ */
        movzwl  12(%esp), %edx
        mov     16(%esp), %ebp
        mov     %cr2, %esi
        mov     $DATA, %esi
        mov     %esi, %ds
        mov     %esi, %es
        mov     %cr2, %esi
        jmp     *resume

        .data
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff
        .quad   0x00cf93000000ffff
        .quad   0x00cffb000000ffff
        .quad   0x00cff3000000ffff
        .quad   0x0000890000000067
        .quad   0x0000890000000067
        .quad   0x0040930000000fff      /* SMALL */
        .quad   0x00cf13000000ffff      /* NOT_PRESENT */
        .quad   0x00cf970000000000      /* DOWN */
        .quad   0x0000ec0200080000      /* GATE */
        .quad   0x00009b001000ffff      /* CODE16, where REAL is */
        .quad   0x000093001000ffff
        .quad   0x00cf99000000ffff      /* EXECUTE */
        .quad   0x0040f30000000fff      /* SMALL_USER */
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt
idt_pointer:
        .word   256 * 8 - 1
        .long   idt
limits: .long   0, 4
resume: .long   0
counter:
        .long   0
        .balign 16
tss:    .long   0, test_stack, DATA
        .skip   0x68 - 12
other_tss:
        .long   0, test_stack, DATA, 0, 0, 0, 0
        .long   directory, task, 2
        .long   0, 0, 0, 0, test_stack, 0, 0, 0
        .long   DATA, CODE, DATA, DATA, DATA, DATA, 0, 0x680000
        .balign 4096
directory:
        .long   P + W + U + LARGE
        .long   0x400000 + P + W + LARGE        /* not for ring 3 */
        .long   0x800000 + P + U + LARGE        /* read-only */
        .skip   4096 - 12
        .bss
        .balign 16
idt:    .skip   256 * 8
        .skip   1024
test_stack:
        .skip   64
        .skip   1024
user_stack:
        .skip   64
