/* Two address spaces: under the same linear address vCPU 0 has one frame, all others have another.
   Both run the same code, which counts in the private frame. */
#define WINDOW
#include "boot64.inc"

        .globl  main, ap_main, private, loop, frame_a, frame_b
        .set    private, WINDOW_BASE
main:
        call    start_aps
        jmp     ready
ap_main:
        mov     $pml4_b, %eax
        mov     %rax, %cr3
ready:
        lea     '0'(%rdi), %ecx
        say     %ecx
        mov     $private, %ebx
loop:
        incq    8(%rbx)
        jmp     loop

        .data
        .balign 4096
window_pt:
        .quad   frame_a + P + W
        .skip   4096 - 8
pml4_b: .quad   pdpt_b + P + W + U
        .skip   4096 - 8
pdpt_b: .quad   pd_low + P + W + U
        .quad   pd_b + P + W + U
        .quad   0
        .quad   pd_high + P + W
        .skip   4096 - 32
pd_b:   .quad   pt_b + P + W + U
        .skip   4096 - 8
pt_b:   .quad   frame_b + P + W
        .skip   4096 - 8
frame_a:
        .ascii  "space  A"
        .balign 4096
frame_b:
        .ascii  "space  B"
        .balign 4096
