/* Firmware of one page, from the reset vector to long mode:
     real mode at F000:xxxx with the base 0xffff0000, where the processor starts (SDM 3A 10.1.4),
     real mode at 0800:xxxx, code copied to RAM first, with a stack at 0700:1000,
     protected mode, then 64-bit mode, identity-mapped, with the code in upper addresses as well.
   Each part counts its calls and says a letter. Symbols are linear addresses. */
#define COM1     0x3f8
#define LOW_CODE 0x8000         /* where `low16` is copied to */
#define COUNTS   0x9000         /* five 64-bit counters */
#define TABLES   0x10000        /* PML4, PDPT */
#define UPPER    0xffffffff80000000     /* the last 2 GiB show the first and the last GiB below 4 */

        .globl  _start, reset_vector, rom16, rom16_call, rom16_function, rom16_after, low16
        .globl  low16_call, low16_function, low16_after, low16_end, protected32, after_paging
        .globl  long64, upper64, long_function, spin, counts, stage

        .macro  say16 character
        mov     $COM1, %dx
        mov     $\character, %al
        out     %al, %dx
        .endm

        .text
        .code16
_start:
rom16:
        cli
        say16   'a'
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     $0x700, %ax
        mov     %ax, %ss
        mov     $0x1000, %sp
        mov     $(COUNTS), %di
        mov     $20, %cx
        cld
        xor     %ax, %ax
        rep stosw
rom16_call:
        call    rom16_function
rom16_after:
        mov     $(low16_end - low16_source), %cx
        mov     $(low16_source - rom_base + 0xf000), %si
        mov     $LOW_CODE, %di
        rep movsb %cs:(%si), %es:(%di)
        ljmp    $(LOW_CODE >> 4), $0
rom16_function:
        incw    COUNTS
        ret

low16_source:
        .set    low16, LOW_CODE
low16_code:
        say16   'b'
        .set    low16_call, LOW_CODE + (. - low16_source)
        call    1f
        .set    low16_after, LOW_CODE + (. - low16_source)
        lgdtl   %cs:(gdt_pointer_source - low16_source)
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmpl   $8, $protected32
        .set    low16_function, LOW_CODE + (. - low16_source)
1:      incw    COUNTS + 8
        ret
gdt_pointer_source:
        .word   gdt_end - gdt - 1
        .long   gdt
low16_end:

        .code32
protected32:
        mov     $16, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $0xa000, %esp
        incl    COUNTS + 16
        mov     $COM1, %edx
        mov     $'c', %al
        out     %al, %dx
        mov     $TABLES, %edi           /* all of both tables: nothing mapped */
        mov     $0x800, %ecx
        xor     %eax, %eax
        rep stosl
        movl    $(TABLES + 0x1000 + 3), TABLES
        movl    $(TABLES + 0x1000 + 3), TABLES + 511 * 8
        movl    $0x83, TABLES + 0x1000                  /* pages of 1 GiB */
        movl    $0xc0000083, TABLES + 0x1000 + 3 * 8
        movl    $0x83, TABLES + 0x1000 + 510 * 8
        movl    $0xc0000083, TABLES + 0x1000 + 511 * 8
        mov     $0x20, %eax             /* CR4.PAE */
        mov     %eax, %cr4
        mov     $TABLES, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx       /* EFER.LME */
        rdmsr
        or      $0x100, %eax
        wrmsr
        mov     %cr0, %eax
        or      $0x80000000, %eax
        mov     %eax, %cr0
after_paging:
        ljmp    $24, $long64

        .code64
long64:
        incq    COUNTS + 24
        mov     $COM1, %edx
        mov     $'d', %al
        out     %al, %dx
        lea     upper_target(%rip), %rax
        mov     $0xffffffff00000000, %rcx
        or      %rcx, %rax
        jmp     *%rax
upper_target:
        .set    upper64, upper_target + 0xffffffff00000000
        mov     $COM1, %edx
        mov     $'r', %al
        out     %al, %dx
spin_source:
        .set    spin, spin_source + 0xffffffff00000000
        call    2f
        jmp     spin_source
        .set    long_function, 2f + 0xffffffff00000000
2:      incq    COUNTS + 32
        ret

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* 08 code, 32-bit */
        .quad   0x00cf93000000ffff      /* 10 data */
        .quad   0x00af9b000000ffff      /* 18 code, 64-bit */
gdt_end:

        .set    counts, COUNTS
        .set    rom_base, _start

        .org    0xff0
        .code16
reset_vector:
        jmp     rom16
        .org    0x1000
