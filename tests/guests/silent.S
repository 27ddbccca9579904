/* Takes what comes to COM1, or to the guest-side debug port (GDB_PORT=1). It says 'r' until the first
   byte is there, and then nothing before a newline: then one byte that depends on all before it and on
   their order. It asks the port all the time: no interrupt, no HLT and no answer wakes anybody. */
#include "boot64.inc"

#ifdef GDB_PORT
#define PORT 0x224
#else
#define PORT COM1
#endif

        .globl  main, ap_main
main:
        mov     $(COM1 + 2), %edx
        mov     $1, %al                 /* the FIFOs on */
        out     %al, %dx
        xor     %ebx, %ebx
ready:
        mov     $'r', %al
        call    send
        call    receive
        jc      ready
take:
        rol     $1, %bl
        xor     %al, %bl
        cmp     $'\n', %al
        jne     next
        mov     %bl, %al
        call    send
next:
        call    receive
        jc      next
        jmp     take

/* To AL; CF: nothing is there. */
receive:
#ifdef GDB_PORT
        mov     $PORT, %edx
        in      %dx, %eax
        cmp     $-1, %eax
        je      1f
#else
        mov     $(PORT + 5), %edx
        in      %dx, %al
        test    $1, %al                 /* data ready */
        jz      1f
        mov     $PORT, %edx
        in      %dx, %al
#endif
        clc
        ret
1:      stc
        ret

send:
        movzbl  %al, %eax
        mov     $PORT, %edx
#ifdef GDB_PORT
        out     %eax, %dx
#else
        out     %al, %dx
#endif
        ret
ap_main:
        jmp     ap_main
