/* A kernel that only the PVH protocol starts (Xen's public/arch-x86/hvm/start_info.h): says the command
   line, and of each module the command line and the content, a line each, and switches the machine off. */
#define COM1            0x3f8
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define MAGIC           0x336ec578
/* Members of hvm_start_info and of hvm_modlist_entry; the upper halves of addresses are zero. */
#define MODULE_COUNT    12
#define MODULES         16
#define COMMAND_LINE    24
#define ADDRESS         0
#define SIZE            8
#define MODULE_LINE     16
#define MODULE_SIZE     32

        .section .note.Xen, "a", @note
        .balign 4
        .long   4, 4, XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   _start

        .text
        .code32
        .globl  _start
_start:
        mov     $stack_top, %esp
        cmpl    $MAGIC, (%ebx)
        jne     bad
        mov     COMMAND_LINE(%ebx), %esi
        call    say_line
        mov     MODULES(%ebx), %edi
        mov     MODULE_COUNT(%ebx), %ebp
next_module:
        sub     $1, %ebp
        jb      power_off
        mov     MODULE_LINE(%edi), %esi
        call    say_line
        mov     ADDRESS(%edi), %esi
        mov     SIZE(%edi), %ecx
1:      lodsb
        call    say
        loop    1b
        mov     $'\n', %al
        call    say
        add     $MODULE_SIZE, %edi
        jmp     next_module

bad:    mov     $'!', %al
        call    say
power_off:
        mov     $0x604, %edx            /* sleep type 5, and sleep */
        mov     $0x3400, %eax
        out     %ax, %dx
        hlt

/* The zero-terminated text at ESI, and the end of a line. */
say_line:
        lodsb
        test    %al, %al
        jz      2f
        call    say
        jmp     say_line
2:      mov     $'\n', %al
say:    mov     %al, %ah
        mov     $(COM1 + 5), %edx
3:      in      %dx, %al
        test    $0x20, %al              /* transmitter holding register empty */
        jz      3b
        mov     %ah, %al
        mov     $COM1, %edx
        out     %al, %dx
        ret

        .bss
        .balign 16
        .skip   1024
stack_top:
