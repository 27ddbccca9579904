#include "translator/handlers.h"

// Absolute numbers are the addresses of stage.h: 0x22000 the counters, 0x22800 the index of the
// list at 0x22900, 0x22880 whether there is AVX, 0x7000 the page table, with 8 bytes an entry in
// long mode and 4 otherwise.
asm(R"(
  .section .rodata.translator_handlers, "a", @progbits

  .macro stubs kind
  .set vector, 0
  .rept 256
    .balign 16
    .ifnc \kind, 16
      .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
      .else
        push $0
      .endif
      push $vector
    .else
      pushw $(vector & 0x7f)
    .endif
    jmp common\kind
    .set vector, vector + 1
  .endr
  .endm

  # XCR0, which is there with CR4.OSXSAVE. RAX, RCX and RDX change.
  .macro set_xcr0 value
  mov $\value, %eax
  xor %ecx, %ecx
  xor %edx, %edx
  xsetbv
  .endm

  # What 64- and 32-bit handlers share. `a`, `c` and `sp` are their names of RAX, RCX and RSP, and
  # `flags` is where the frame has its flags on the stack. Of the calls 7 is for 64 bits only.
  .macro answers kind, a, c, sp, flags
  .set entry, \kind / 8       # bytes in the page table
unit\kind:                    # the vector unit was taken away: it comes back
  clts
  jmp elsewhere\kind
undefined\kind:
  testb $3, 0x22030
  jnz elsewhere\kind
  mov %cr4, %\c
  or $0x600, %ecx
  mov %\c, %cr4
  mov %cr0, %\c
  and $~4, %ecx
  mov %\c, %cr0
  cmpb $0, 0x22880
  je elsewhere\kind
  mov %cr4, %\c
  or $0x40000, %ecx
  mov %\c, %cr4
  set_xcr0 0x207
  jmp elsewhere\kind
debug\kind:
  testb $7, 0x22008
  jnz back\kind
  andl $~0x100, \flags(%\sp)
  jmp back\kind
call\kind:
  sub $0x30, %al
  .irp number, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
    .if \number != 7 || \kind == 64
      cmp $\number, %al
      je call\kind\()_\number
    .endif
  .endr
  jmp back\kind
call\kind\()_10:  # TS
  mov %cr0, %\a
  xor $8, %eax
  mov %\a, %cr0
  jmp back\kind
call\kind\()_11:  # OSFXSR
  mov %cr4, %\a
  xor $0x200, %eax
  mov %\a, %cr4
  jmp back\kind
call\kind\()_12:  # EM
  mov %cr0, %\a
  xor $4, %eax
  mov %\a, %cr0
  jmp back\kind
call\kind\()_13:  # OSXSAVE
  cmpb $0, 0x22880
  je back\kind
  mov %cr4, %\a
  xor $0x40000, %eax
  mov %\a, %cr4
  jmp back\kind
call\kind\()_14:  # XCR0 without AVX, and with it again
  mov %cr4, %\a
  test $0x40000, %eax
  jz back\kind
  xor %ecx, %ecx
  xgetbv
  xor $4, %eax
  xsetbv
  jmp back\kind
call\kind\()_1:  # moves the page, and flushes nothing
  xorl $0x1000, 0x7000 + entry * 0x130
  jmp back\kind
call\kind\()_2:  # moves it, and says so
  xorl $0x1000, 0x7000 + entry * 0x130
  invlpg 0x130000
  jmp back\kind
call\kind\()_3:  # moves it, and loads CR3
  xorl $0x1000, 0x7000 + entry * 0x130
call\kind\()_8:
  mov %cr3, %\a
  mov %\a, %cr3
  jmp back\kind
call\kind\()_4:  # takes or gives the right to write a page of data
  xorb $2, 0x7000 + entry * 0x1a
  jmp back\kind
call\kind\()_5:
  xorb $2, 0x7000 + entry * 0x1a
  invlpg 0x1a000
  jmp back\kind
call\kind\()_6:  # the second mapping of a page of code comes and goes
  xorb $1, 0x7000 + entry * 0x100
  invlpg 0x100000
  jmp back\kind
  .if \kind == 64
call\kind\()_7:  # the page that moves holds code, or does not
  btcq $63, 0x7000 + entry * 0x130
  invlpg 0x130000
  jmp back\kind
  .endif
call\kind\()_9:  # the second mapping of a page of code is the kernel's, or not
  xorb $4, 0x7000 + entry * 0x101
  jmp back\kind
  .endm

  # ---- 64-bit code. Above RSP behind the pushes: RDX, RCX, RAX, vector, error code, and the frame.
  .balign 4096
  .globl ringside_handlers64, ringside_handlers64_end
ringside_handlers64:
  .code64
  stubs 64
  .balign 4096
common64:
  push %rax
  push %rcx
  push %rdx
  mov 24(%rsp), %rax
  incq 0x22000(,%rax,8)
  cmp $1, %al
  je debug64
  cmp $3, %al
  je back64
  cmp $4, %al
  je back64
  cmp $0x30, %al
  jae call64
  cmp $6, %al
  je undefined64
  cmp $7, %al
  je unit64
  cmp $0x20, %al
  jb elsewhere64
  testb $1, 0x22000(,%rax,8)
  jz back64
elsewhere64:
  mov 0x22800, %ecx
  incl 0x22800
  and $63, %ecx
  mov 0x22900(,%rcx,8), %rdx
  mov %rdx, 40(%rsp)
  imul $24, %ecx, %ecx
  testb $3, 48(%rsp)
  jz kernel64
  movq $0x2b, 48(%rsp)
  movq $0x23, 72(%rsp)
  lea 0x38000(%rcx), %rcx
  jmp flags64
kernel64:
  movq $0x08, 48(%rsp)
  movq $0x10, 72(%rsp)
  lea 0x40000(%rcx), %rcx
flags64:
  mov %rcx, 64(%rsp)
  andl $~0x44100, 56(%rsp)
  orl $0x200, 56(%rsp)
back64:
  pop %rdx
  pop %rcx
  pop %rax
  add $16, %rsp
  iretq
  answers 64, rax, rcx, rsp, 56
ringside_handlers64_end:

  # ---- 32-bit code: EDX, ECX, EAX, vector, error code, EIP, CS, EFLAGS; ESP and SS from outside.
  .balign 4096
  .globl ringside_handlers32, ringside_handlers32_end
ringside_handlers32:
  .code32
  stubs 32
  .balign 4096
common32:
  push %eax
  push %ecx
  push %edx
  mov 12(%esp), %eax
  incl 0x22000(,%eax,8)
  cmp $1, %al
  je debug32
  cmp $3, %al
  je back32
  cmp $4, %al
  je back32
  cmp $0x30, %al
  jae call32
  cmp $2, %al
  je nmi32
  cmp $6, %al
  je undefined32
  cmp $7, %al
  je unit32
  cmp $0x20, %al
  jb elsewhere32
  testb $1, 0x22000(,%eax,8)
  jz back32
elsewhere32:
  mov 0x22800, %ecx
  incl 0x22800
  and $63, %ecx
  mov 0x22900(,%ecx,8), %edx
  mov %edx, 20(%esp)
  andl $~0x44100, 28(%esp)
  orl $0x200, 28(%esp)
  testb $3, 24(%esp)
  jz back32
  imul $24, %ecx, %ecx
  lea 0x38000(%ecx), %ecx
  mov %ecx, 32(%esp)
  movl $0x23, 36(%esp)
  movl $0x2b, 24(%esp)
back32:
  pop %edx
  pop %ecx
  pop %eax
  add $8, %esp
  iretl
nmi32:                        # in a handler it changes nothing: its stack is in use
  testb $3, 24(%esp)
  jz back32
  jmp elsewhere32
  answers 32, eax, ecx, esp, 28
ringside_handlers32_end:

  # ---- Real mode: DS, BP, BX, AX, vector, IP, CS, FLAGS. The code's segment is 0x1000.
  .balign 4096
  .globl ringside_handlers16, ringside_handlers16_end
ringside_handlers16:
  .code16
  stubs 16
  .balign 4096
common16:
  push %ax
  push %bx
  push %bp
  push %ds
  mov %sp, %bp
  mov $0x2200, %ax
  mov %ax, %ds
  mov 8(%bp), %bx
  shl $3, %bx
  incw (%bx)
  mov 8(%bp), %al
  cmp $1, %al
  je debug16
  cmp $3, %al
  je back16
  cmp $4, %al
  je back16
  cmp $0x30, %al
  jae back16
  cmp $0x20, %al
  jb elsewhere16
  testb $1, (%bx)
  jz back16
elsewhere16:
  mov 0x800, %bx
  incw 0x800
  and $63, %bx
  shl $3, %bx
  mov 0x900(%bx), %ax
  mov %ax, 10(%bp)
  movw $0x1000, 12(%bp)
  andw $~0x4100, 14(%bp)
  orw $0x200, 14(%bp)
back16:
  pop %ds
  pop %bp
  pop %bx
  pop %ax
  add $2, %sp
  iret
debug16:
  testb $7, 8
  jnz back16
  andw $~0x100, 14(%bp)
  jmp back16
ringside_handlers16_end:
  .code64
  .text
)");

extern "C" const std::uint8_t ringside_handlers64[], ringside_handlers64_end[],
    ringside_handlers32[], ringside_handlers32_end[], ringside_handlers16[],
    ringside_handlers16_end[];

namespace ringside::testing {

std::span<const std::uint8_t> handlers_for(Setting setting) {
  switch (mode_of(setting)) {
    case CodeMode::Code64:
      return {ringside_handlers64, ringside_handlers64_end};
    case CodeMode::Code32:
      return {ringside_handlers32, ringside_handlers32_end};
    default:
      return {ringside_handlers16, ringside_handlers16_end};
  }
}

}  // namespace ringside::testing
