/* A window of pages that only a debugger looks at, while the guest runs a loop in user mode:
     +0x0000 first frame      +0x1000 third frame (so the two are not neighbours in memory)
     +0x2000 second frame     +0x3000 not mapped
     +0x4000 read-only        +0x5000 supervisor only
     +0x6000 not mapped       +0x7000 first frame again
   Frames hold their name; the guest never touches the window itself. */
#define WINDOW
#include "boot64.inc"

        .globl  main, ap_main, window, window_pt, user_loop, user_count
        .globl  first_frame, second_frame, third_frame, read_only_frame, supervisor_frame
        .set    window, WINDOW_BASE
main:
        call    load_tss
        say     $'r'
        mov     $0x12345678, %eax       /* CR2: something to keep */
        mov     %rax, %cr2
        push    $USER_DATA
        push    $stacks + 2048
        push    $2                      /* RFLAGS: interrupts off */
        push    $USER_CODE
        push    $user_loop
        iretq
user_loop:
        incq    user_count
        jmp     user_loop
ap_main:
        jmp     ap_main

        .data
        .balign 4096
window_pt:
        .quad   first_frame + P + W + U
        .quad   third_frame + P + W + U
        .quad   second_frame + P + W + U
        .quad   0
        .quad   read_only_frame + P + U
        .quad   supervisor_frame + P + W
        .quad   0
        .quad   first_frame + P + W + U
        .skip   4096 - 8 * 8
first_frame:
        .rept   512
        .ascii  "1 FIRST1"
        .endr
second_frame:
        .rept   512
        .ascii  "2SECOND2"
        .endr
third_frame:
        .rept   512
        .ascii  "3 THIRD3"
        .endr
read_only_frame:
        .rept   512
        .ascii  "4RDONLY4"
        .endr
supervisor_frame:
        .rept   512
        .ascii  "5 SUPER5"
        .endr
user_count:
        .quad   0
