/* A kernel that GRUB 2's protocol alone starts (Multiboot2 Specification 2.0): says the command line and
   the words of each module from the list of tags, a line each. Then in real mode, where it calls what a
   BIOS has: "c" if INT 10h comes back and INT 15h says that it has no such function. Then "t" if the test
   device's register keeps a byte (--test-device), and switches the machine off. */
#define COM1            0x3f8
#define HEADER_MAGIC    0xe85250d6
#define LOADER_MAGIC    0x36d76289
#define COMMAND_LINE    1
#define MODULE          3
#define MODULE_ALIGNMENT 6
#define REAL_MODE       0x7000  /* nobody's below 0x8000 */

        .section .multiboot, "a"
        .balign 8
header: .long   HEADER_MAGIC, 0, header_end - header, -(HEADER_MAGIC + header_end - header)
        .word   MODULE_ALIGNMENT, 0
        .long   8
        .word   0, 0
        .long   8
header_end:

        .text
        .code32
        .globl  _start
_start:
        mov     $stack_top, %esp
        cmp     $LOADER_MAGIC, %eax
        jne     bad
        lea     8(%ebx), %ebx
next_tag:
        mov     (%ebx), %eax
        test    %eax, %eax
        jz      real_mode
        lea     8(%ebx), %esi
        cmp     $COMMAND_LINE, %eax
        je      say_line
        lea     16(%ebx), %esi
        cmp     $MODULE, %eax
        jne     skip
say_line:
        call    say_text
        mov     $'\n', %al
        call    say
skip:   mov     4(%ebx), %eax
        lea     7(%ebx, %eax), %ebx
        and     $-8, %ebx
        jmp     next_tag

bad:    mov     $'!', %al
        call    say
        jmp     power_off

/* The zero-terminated text at ESI. */
say_text:
        lodsb
        test    %al, %al
        jz      1f
        call    say
        jmp     say_text
1:      ret

say:    mov     %al, %ah
        mov     $(COM1 + 5), %edx
2:      in      %dx, %al
        test    $0x20, %al              /* transmitter holding register empty */
        jz      2b
        mov     %ah, %al
        mov     $COM1, %edx
        out     %al, %dx
        ret

/* Through 16-bit protected mode (SDM 3A 9.9.2). */
real_mode:
        mov     $real_start, %esi
        mov     $REAL_MODE, %edi
        mov     $(real_end - real_start), %ecx
        rep movsb
        lgdt    gdt_pointer
        lidt    real_idt_pointer
        ljmp    $0x08, $REAL_MODE

/* Back again, with the answer in BL. */
back:   mov     $0x18, %eax
        mov     %eax, %ds
        mov     %eax, %ss
        mov     $stack_top, %esp
        mov     %bl, %al
        call    say
        mov     $0x5a, %al
        out     %al, $0xe1
        xor     %eax, %eax
        in      $0xe9, %al
        cmp     $0x5a, %al
        mov     $'t', %al
        je      3f
        mov     $'-', %al
3:      call    say
power_off:
        mov     $0x604, %edx            /* sleep type 5, and sleep */
        mov     $0x3400, %eax
        out     %ax, %dx
        hlt

        .code16
real_start:
        mov     $0x10, %ax
        mov     %ax, %ds
        mov     %ax, %ss
        mov     %cr0, %eax
        and     $~1, %al
        mov     %eax, %cr0
        ljmp    $0, $(REAL_MODE + in_real_mode - real_start)
in_real_mode:
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %ss
        mov     $REAL_MODE, %sp
        mov     $'x', %bl
        mov     $0x0e41, %ax
        int     $0x10
        cmp     $0x0e41, %ax
        jne     4f
        mov     $0xe820, %ax
        clc
        int     $0x15
        jnc     4f
        cmp     $0x86, %ah
        jne     4f
        mov     $'c', %bl
4:      mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmpl   $0x20, $back
real_end:

        .data
        .balign 8
gdt:    .quad   0
        .quad   0x00009b000000ffff      /* 08 code, 16-bit */
        .quad   0x000093000000ffff      /* 10 data, 16-bit */
        .quad   0x00cf93000000ffff      /* 18 data */
        .quad   0x00cf9b000000ffff      /* 20 code, 32-bit */
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt
real_idt_pointer:
        .word   0x3ff
        .long   0
        .bss
        .balign 16
        .skip   1024
stack_top:
