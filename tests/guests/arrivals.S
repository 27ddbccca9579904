/* Goes where it is told, so that a debugger sees it arrive: through a page that cannot be fetched from,
   at an address that leads elsewhere by now, in another address space. Waits for a number in `job`:
     1  calls `target`
     2  the same in ring 3, which comes back by a fault
     3  puts `value` into the page-table entry at `entry`, says so to the processor, and calls `target`
     4  calls `target` in the second address space
     5  gives frame A away: its bytes are written anew (another function). Then calls `target`
     6  calls `target` with a breakpoint of its own there (DR0)
   and puts 0 into it when that is over. `events` has a letter for each exception: P for a page fault,
   D for a debug exception. A fault ends the job; a debug exception does not.
   The window of the first address space:
     +0x0000 not mapped                 +0x1000 frame A, not to be executed
     +0x2000 frame A                    +0x3000 frame A again
     +0x4000 a reserved bit is set      +0x5000 frame B, supervisor only, as is all but +0x6000
     +0x6000 frame B for ring 3
   In the second one +0x0000 and +0x2000 are frame B, and nothing else is there. */
#define WINDOW
#include "boot64.inc"

#define NX (1 << 63)
#define RESERVED (1 << 51)

        .globl  main, ap_main, wait, job, target, entry, value, events, event_count, window, window_pt
        .globl  frame_a, frame_b, calls_a, calls_b, calls_c, space_b
        .set    window, WINDOW_BASE
        .set    space_b, pml4_b
main:
        mov     $0xc0000080, %ecx       /* EFER.NXE */
        rdmsr
        or      $0x800, %eax
        wrmsr
        gate    1, on_debug
        gate    14, on_page_fault
        call    load_tss
        say     $'r'
wait:
        pause
        mov     job, %eax
        test    %eax, %eax
        jz      wait
        mov     %rsp, saved_rsp
        mov     target, %rbx
        dec     %eax
        jz      call_target
        dec     %eax
        jz      call_in_ring_3
        dec     %eax
        jz      map
        dec     %eax
        jz      call_in_other_space
        dec     %eax
        jz      give_away
        mov     %rbx, %dr0
        mov     $0x402, %eax            /* DR7: G0, execution */
        mov     %rax, %dr7
call_target:
        call    *%rbx
done:
        mov     saved_rsp, %rsp
        mov     $0x400, %eax
        mov     %rax, %dr7
        movl    $0, job
        jmp     wait
call_in_ring_3:
        movq    $window, user_stack     /* its return address, which is not mapped */
        push    $USER_DATA
        push    $user_stack
        push    $2                      /* RFLAGS: interrupts off */
        push    $USER_CODE
        push    %rbx
        iretq
map:
        mov     entry, %rcx
        mov     value, %rax
        mov     %rax, (%rcx)
        invlpg  (%rbx)
        jmp     call_target
call_in_other_space:
        mov     $pml4_b, %eax
        mov     %rax, %cr3
        call    *%rbx
        mov     $pml4, %eax
        mov     %rax, %cr3
        jmp     done
give_away:
        mov     $frame_c, %esi
        mov     $frame_a, %edi
        mov     $4096, %ecx
        rep movsb
        jmp     call_target

on_page_fault:
        mov     $'P', %al
        call    note
        mov     $pml4, %eax
        mov     %rax, %cr3
        jmp     done
on_debug:
        push    %rax
        push    %rcx
        mov     $'D', %al
        call    note
        mov     $0xffff0ff0, %eax
        mov     %rax, %dr6
        pop     %rcx
        pop     %rax
        orl     $0x10000, 16(%rsp)      /* RF: go on with the instruction */
        iretq
note:
        mov     event_count, %ecx
        and     $63, %ecx
        mov     %al, events(%rcx)
        incl    event_count
        ret

ap_main:
        jmp     ap_main

        .data
        .balign 4096
window_pt:
        .quad   0
        .quad   frame_a + P + W + NX
        .quad   frame_a + P + W
        .quad   frame_a + P + W
        .quad   frame_b + P + W + RESERVED
        .quad   frame_b + P + W
        .quad   frame_b + P + W + U
        .skip   4096 - 7 * 8
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
        .quad   0
        .quad   frame_b + P + W
        .skip   4096 - 24
frame_a:
        incq    calls_a
        ret
        .balign 4096
frame_b:
        incq    calls_b
        ret
        .balign 4096
frame_c:
        nop
        incq    calls_c
        ret
        .balign 4096
job:    .quad   0
target: .quad   0
entry:  .quad   0
value:  .quad   0
saved_rsp:
        .quad   0
user_stack:
        .quad   0
calls_a:
        .quad   0
calls_b:
        .quad   0
calls_c:
        .quad   0
event_count:
        .quad   0
events: .skip   64
