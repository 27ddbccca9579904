/* Takes what comes to COM1, or to the guest-side debug port (GDB_PORT=1), and says nothing before a
   newline: then one byte that depends on all before it and on their order. It asks the port all the
   time, so no interrupt, no HLT and no answer wakes anybody. */
#include "boot64.inc"

        .globl  main, ap_main
main:
        mov     $(COM1 + 2), %edx
        mov     $1, %al                 /* the FIFOs on */
        out     %al, %dx
        xor     %ebx, %ebx
next:
#ifdef GDB_PORT
        mov     $0x224, %edx
        in      %dx, %eax
        cmp     $-1, %eax
        je      next
#else
        mov     $(COM1 + 5), %edx
        in      %dx, %al
        test    $1, %al                 /* data ready */
        jz      next
        mov     $COM1, %edx
        in      %dx, %al
#endif
        rol     $1, %bl
        xor     %al, %bl
        cmp     $'\n', %al
        jne     next
        movzbl  %bl, %eax
#ifdef GDB_PORT
        out     %eax, %dx
#else
        out     %al, %dx
#endif
        jmp     next
ap_main:
        jmp     ap_main
