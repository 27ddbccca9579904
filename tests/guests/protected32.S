/* 32-bit protected mode with segmentation and paging in earnest (SDM 3A chapters 3 to 6 and 8): an LDT, an
   expand-down segment, limits, a 16-bit code segment, ring 3 and back, call gates, and tasks by jump, call,
   interrupt and double fault. Each part that holds says its letter; what does not says its line number in
   binary ("0" and "1") and leaves with status 3 by the debug-exit port. */
#include "multiboot.inc"

#define CODE0   0x08
#define DATA0   0x10
#define CODE3   0x1b
#define DATA3   0x23
#define LDT     0x28
#define TASK    0x30                    /* the task that this program is */
#define OTHER   0x38
#define RESCUE  0x40
#define GATE    0x4b                    /* a call gate for ring 3 */
#define ABSENT  0x58
#define SMALL   0x60
#define TRAPPED 0x68                    /* a task with the T flag */
#define DOWN    0x04                    /* in the LDT: expand-down data, */
#define BASED   0x0c                    /* 32-bit code with a base and a limit, */
#define NARROW  0x14                    /* 16-bit code */

/* The condition must hold; a comparison of 32 bits, or of 16, must find the same. */
#define NEED(condition) \
        j##condition 9f; mov $__LINE__, %ebx; jmp failed; 9:
#define SAME(expected, place) \
        cmpl expected, place; NEED(e)
#define SAME16(expected, place) \
        cmpw expected, place; NEED(e)

/* INSTRUCTION must fault with this vector and error code (0 where there is none). */
#define FAULTS(vector, error, ...) \
        movl    $8f, resume; \
        movl    $-1, last_vector; \
        __VA_ARGS__; \
8:      SAME($vector, last_vector); \
        SAME($error, last_error)

        .text
        .code32
        .globl  _start
_start:
        cli
        mov     $stack_top, %esp
        call    build_pages
        lgdt    gdt_pointer
        lidt    idt_pointer
        ljmp    $CODE0, $1f
1:      mov     $DATA0, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $directory, %eax
        mov     %eax, %cr3
        mov     %cr0, %eax
        or      $0x80010000, %eax       /* PG and WP */
        mov     %eax, %cr0
        call    fill_tables
        mov     $LDT, %eax
        lldt    %ax
        mov     $TASK, %eax
        ltr     %ax
        cmpb    $0x8b, gdt + TASK + 5   /* now busy */
        NEED(e)
        say     $'a'

/* ---- limits ---- */
        mov     $DOWN, %eax
        mov     %eax, %gs
        movl    $0x12345678, area + 0x1000
        mov     %gs:0x1000, %eax
        SAME($0x12345678, %eax)
        FAULTS(13, 0, mov %gs:0xffc, %eax)
        FAULTS(13, 0, mov %gs:0xfff, %eax)
        mov     $DOWN, %eax             /* the same segment as a stack */
        mov     %eax, %ss
        mov     $stack_top - area, %esp
        FAULTS(12, 0, mov %ss:0xffc, %eax)
        mov     $DATA0, %eax
        mov     %eax, %ss
        mov     $stack_top, %esp
        mov     $SMALL, %eax
        mov     %eax, %fs
        movb    %fs:0xf, %al
        FAULTS(13, 0, movw %fs:0xf, %ax)
        FAULTS(13, 0, movb %al, %fs:0x10)
        FAULTS(11, ABSENT, mov $ABSENT, %eax; mov %eax, %fs)
        FAULTS(13, CODE0, mov $CODE0, %eax; mov %eax, %ss)
        FAULTS(13, 0x1000, mov $0x1000, %eax; mov %eax, %fs)
        FAULTS(13, 0x1c, mov $0x1c, %eax; mov %eax, %fs)  /* behind the LDT's end */
        xor     %eax, %eax
        mov     %eax, %fs
        FAULTS(13, 0, movb %fs:0, %al)
        FAULTS(14, 0, movb hole, %al)
        FAULTS(14, 2, movb %al, hole + 1)
        mov     $hole + 1, %eax
        mov     %cr2, %ebx
        SAME(%eax, %ebx)
        mov     $SMALL, %eax
        lsl     %eax, %ecx
        NEED(e)
        SAME($0xf, %ecx)
        lar     %eax, %ecx
        NEED(e)
        SAME($0x409300, %ecx)
        mov     $0x1000, %eax
        verr    %ax
        NEED(ne)
        say     $'b'

/* ---- code segments of other shapes ---- */
        lcall   $BASED, $0
        SAME($0xba5e, %eax)
        FAULTS(13, 0, lcall $BASED, $(based_end - based_code))
        mov     $stack_top, %esp
        lcall   $NARROW, $0
        SAME($0x10016, %eax)            /* 16-bit increment: no carry into the upper half */
        mov     $stack_top, %esp
        say     $'c'

/* ---- ring 3 ---- */
        movl    $stack_top, task + 4    /* ESP0 */
        pushl   $DATA3
        pushl   $user_stack_top
        pushl   $0x3002                 /* IOPL 3: it may use the serial port */
        pushl   $CODE3
        pushl   $user
        iret

ring_0_again:                           /* by a call gate, for good */
        mov     $stack_top, %esp
        mov     $DATA0, %eax
        mov     %eax, %ds
        mov     %eax, %es
        say     $'f'

/* ---- tasks ---- */
        mov     $0x600d, %esi
        clts
        ljmp    $OTHER, $0              /* the offset means nothing */
        SAME($0x600d, %esi)             /* as it was saved */
        SAME($0x07e2, other_seen)
        mov     %cr0, %eax
        test    $8, %eax                /* TS */
        NEED(nz)
        clts
        SAME16($0, other)                 /* a jump leaves no link */
        movb    gdt + TASK + 5, %al
        cmp     $0x8b, %al
        NEED(e)
        movb    gdt + OTHER + 5, %al
        cmp     $0x89, %al
        NEED(e)
        say     $'g'
        lcall   $OTHER, $0
        SAME16($TASK, other)              /* the link back */
        SAME($0x4000, other_flags)      /* NT, while it ran */
        pushf
        pop     %eax
        test    $0x4000, %eax
        NEED(z)
        int     $0x43                   /* a task gate */
        SAME($3, other_rounds)
        say     $'h'
        clts
        FAULTS(13, OTHER, movb $0x8b, gdt + OTHER + 5; ljmp $OTHER, $0)  /* busy */
        movb    $0x89, gdt + OTHER + 5

/* A stack that is not there: the page fault cannot be delivered, nor can anything but a task help. */
        movl    $1f, rescue_to
        mov     $hole + 0x800, %esp
        push    %eax
        jmp     .
1:      SAME($0, rescue_error)
        SAME16($TASK, rescue)
        mov     %cr2, %eax
        and     $~0xfff, %eax
        SAME($hole, %eax)
        say     $'i'

        clts
        movl    $8f, resume
        movl    $-1, last_vector
        lcall   $TRAPPED, $0            /* #DB in the new task, before its first instruction */
8:      SAME($1, last_vector)
        mov     %db6, %eax
        test    $0x8000, %eax           /* BT */
        NEED(nz)
        SAME($trapped_start, trap_place)
        say     $'k'

        mov     $0x604, %edx            /* power off */
        mov     $0x3400, %eax
        out     %ax, %dx
        jmp     .

/* ---- exceptions: noted, and on at `resume` ---- */
        .macro  exception vector, has_code
entry_\vector:
        .if     \has_code == 0
        push    $0
        .endif
        push    $\vector
        jmp     exception_common
        .endm
        .irp    vector, 0, 1, 2, 3, 4, 5, 6, 7, 9, 16
        exception \vector, 0
        .endr
        .irp    vector, 10, 11, 12, 13, 14, 17
        exception \vector, 1
        .endr
exception_common:
        push    %eax
        push    %ds
        mov     $DATA0, %eax
        mov     %eax, %ds
        mov     8(%esp), %eax
        mov     %eax, last_vector
        mov     12(%esp), %eax
        mov     %eax, last_error
        mov     16(%esp), %eax
        mov     %eax, trap_place
        mov     resume, %eax
        mov     %eax, 16(%esp)
        pop     %ds
        pop     %eax
        add     $8, %esp
        iret

/* From ring 3: its own selectors on the stack of ring 0. */
service:
        SAME16($DATA3, 16(%esp))
        SAME16($CODE3, 4(%esp))
        mov     %cs, %eax
        SAME($CODE0, %eax)
        mov     $0x5e21, %eax
        iret

/* Two parameters have come along from the stack of ring 3. */
gate_entry:
        mov     %cs, %ebx
        SAME($CODE0, %ebx)
        SAME16($CODE3, 4(%esp))
        mov     8(%esp), %eax
        sub     12(%esp), %eax
        SAME16($DATA3, 20(%esp))
        SAME($user_stack_top - 8, 16(%esp))
        cmp     $0, %eax
        je      ring_0_again
        lret    $8

other_start:
        mov     %edi, other_seen
        pushf
        pop     %eax
        and     $0x4000, %eax
        mov     %eax, other_flags
        incl    other_rounds
        mov     %gs, %ebx
        SAME($DOWN, %ebx)
        test    %eax, %eax
        jnz     1f
        ljmp    $TASK, $0
        jmp     other_start
1:      iret
        jmp     other_start

rescue_start:
        pop     rescue_error            /* the double fault's error code, always 0 */
        mov     rescue_to, %eax
        mov     %eax, task + 0x20       /* EIP */
        movl    $stack_top, task + 0x38 /* ESP */
        iret
        jmp     rescue_start

trapped_start:
        mov     $__LINE__, %ebx
        jmp     failed

/* ---- tables ---- */
/* The first 4 MiB are themselves, with a page that is not there and some for ring 3. */
build_pages:
        mov     $pages, %edi
        mov     $P + W, %eax
        mov     $1024, %ecx
1:      stosl
        add     $4096, %eax
        loop    1b
        mov     $hole, %eax
        shr     $10, %eax
        movl    $0, pages(%eax)
        movl    $pages + P + W + U, directory
        mov     $user_first, %eax
2:      mov     %eax, %ebx
        shr     $10, %ebx
        orl     $U, pages(%ebx)
        add     $4096, %eax
        cmp     $user_end, %eax
        jb      2b
        ret

/* Descriptors with addresses in them. */
        .macro  set_base selector, address
        mov     $\address, %eax
        movw    %ax, \selector + 2
        shr     $16, %eax
        movb    %al, \selector + 4
        movb    %ah, \selector + 7
        .endm
        .macro  interrupt vector, address, kind
        mov     $\address, %eax
        movw    %ax, idt + \vector * 8
        movw    $CODE0, idt + \vector * 8 + 2
        movw    $\kind << 8, idt + \vector * 8 + 4
        shr     $16, %eax
        movw    %ax, idt + \vector * 8 + 6
        .endm
fill_tables:
        set_base gdt+LDT, ldt
        set_base gdt+TASK, task
        set_base gdt+OTHER, other
        set_base gdt+RESCUE, rescue
        set_base gdt+TRAPPED, trapped
        set_base gdt+SMALL, area
        set_base ldt, area
        set_base ldt+8, based_code
        set_base ldt+16, narrow_code
        mov     $gate_entry, %eax
        movw    %ax, gdt + 0x48
        shr     $16, %eax
        movw    %ax, gdt + 0x48 + 6
        .irp    vector, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 16, 17
        interrupt \vector, entry_\vector, 0x8e
        .endr
        interrupt 0x40, service, 0xee
        interrupt 0x41, service, 0x8e
        movw    $RESCUE, idt + 8 * 8 + 2
        movw    $0x8500, idt + 8 * 8 + 4
        movw    $OTHER, idt + 0x43 * 8 + 2
        movw    $0x8500, idt + 0x43 * 8 + 4
        ret

based_code:
        mov     $0xba5e, %eax
        lret
based_end:
        .code16
narrow_code:
        movl    $0x1ffff, %eax
        incw    %ax
        addw    $0x16, %ax
        lretl
        .code32

/* ---- ring 3: its own pages ---- */
        .balign 4096
user_first:
user:   mov     $DATA3, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %cs, %eax
        SAME($CODE3, %eax)
        FAULTS(13, 0, hlt)
        FAULTS(13, 0, mov %cr3, %eax)
        FAULTS(13, DATA0, mov $DATA0, %eax; mov %eax, %ds)
        FAULTS(13, 0x20a, int $0x41)    /* an IDT entry's selector code */
        FAULTS(14, 5, movb gdt, %al)    /* a page of ring 0 */
        FAULTS(14, 7, movb %al, gdt)
        FAULTS(14, 4, movb hole, %al)
        FAULTS(13, CODE0, lcall $CODE0, $0)
        FAULTS(13, TASK, lcall $TASK, $0)
        int     $0x40
        SAME($0x5e21, %eax)
        say     $'d'
        pushl   $3
        pushl   $10
        lcall   $GATE, $0
        SAME($7, %eax)
        SAME($user_stack_top, %esp)
        mov     %cs, %eax
        SAME($CODE3, %eax)
        say     $'e'
        pushl   $10
        pushl   $10
        lcall   $GATE, $0
        jmp     .

/* What was not as it must be: the line number in EBX. For every ring. */
failed: mov     $32, %ecx
7:      rol     $1, %ebx
        mov     %ebx, %edi
        and     $1, %edi
        add     $'0', %edi
        say     %edi
        dec     %ecx
        jnz     7b
        mov     $1, %eax
        out     %al, $0xf4
        jmp     .

/* What ring 3 writes. */
        .balign 4
last_vector:    .long 0
last_error:     .long 0
resume:         .long 0
trap_place:     .long 0
        .skip   1024
user_stack_top:
        .balign 4096
user_end:

        .data
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* CODE0 */
        .quad   0x00cf93000000ffff      /* DATA0 */
        .quad   0x00cffb000000ffff      /* CODE3 */
        .quad   0x00cff3000000ffff      /* DATA3 */
        .quad   0x0000820000000017      /* LDT: three entries */
        .quad   0x0000890000000067      /* TASK */
        .quad   0x0000890000000067      /* OTHER */
        .quad   0x0000890000000067      /* RESCUE */
        .quad   0x0000ec0200080000      /* GATE: 32-bit, two parameters, DPL 3 */
        .quad   0
        .quad   0x00cf13000000ffff      /* ABSENT */
        .quad   0x004093000000000f      /* SMALL */
        .quad   0x0000890000000067      /* TRAPPED */
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt
ldt:    .quad   0x0040970000000fff      /* DOWN: valid from 0x1000 */
        .quad   0x00409b0000000000 + based_end - based_code - 1
        .quad   0x00009b000000ffff
idt_pointer:
        .word   0x44 * 8 - 1
        .long   idt
other_seen:     .long 0
other_flags:    .long 0
other_rounds:   .long 0
rescue_to:      .long 0
rescue_error:   .long -1

/* Task state segments (SDM 3A figure 8-2). */
        .macro  tss stack, start, edi, gs, ldt_selector, trap
        .long   0, \stack, DATA0, 0, 0, 0, 0, directory, \start, 2
        .long   0, 0, 0, 0, \stack, 0, 0, \edi
        .long   DATA0, CODE0, DATA0, DATA0, 0, \gs, \ldt_selector
        .long   0x00680000 + \trap
        .endm
        .balign 128
task:   tss     stack_top, 0, 0, 0, LDT, 0
        .balign 128
other:  tss     other_stack_top, other_start, 0x07e2, DOWN, LDT, 0
        .balign 128
rescue: tss     rescue_stack_top, rescue_start, 0, 0, 0, 0
        .balign 128
trapped: tss    other_stack_top, trapped_start, 0, 0, 0, 1

        .bss
        .balign 4096
directory: .skip 4096
        .globl  hole
hole:   .skip   4096
pages:  .skip   4096
idt:    .skip   0x44 * 8
area:   .skip   0x1004
        .balign 16
        .skip   1024
other_stack_top:
        .skip   1024
rescue_stack_top:
        .skip   4096
stack_top:
