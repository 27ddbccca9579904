#include "guests/core/core_notes.h"

#include <elf.h>
#include <sys/procfs.h>

#include <cstdint>
#include <cstring>

#include "guests/core/core_xstate.h"
#include "x86/linear_address.h"

namespace ringside::guests {
namespace {

using x86::Gpr;
using x86::SegmentName;

static_assert(sizeof(elf_prstatus) == 336, "the layout of Linux on x86-64");

void append(std::vector<std::byte>& notes, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  notes.insert(notes.end(), bytes, bytes + size);
  notes.resize((notes.size() + 3) / 4 * 4);
}

void append_note(std::vector<std::byte>& notes, std::string_view name, std::uint32_t type,
                 const void* description, std::size_t size) {
  const Elf64_Nhdr header{static_cast<std::uint32_t>(name.size() + 1),
                          static_cast<std::uint32_t>(size), type};
  append(notes, &header, sizeof header);
  append(notes, std::string(name).c_str(), name.size() + 1);
  append(notes, description, size);
}

// Where a debugger's program counter is a linear address, it is that here too.
elf_prstatus prstatus(const CoreVcpu& vcpu) {
  const x86::CpuState& state = vcpu.state;
  elf_prstatus status{};
  status.pr_pid = kFirstThread + static_cast<int>(vcpu.id.value);
  user_regs_struct registers{};
  registers.r15 = state.reg(Gpr::R15);
  registers.r14 = state.reg(Gpr::R14);
  registers.r13 = state.reg(Gpr::R13);
  registers.r12 = state.reg(Gpr::R12);
  registers.rbp = state.reg(Gpr::Rbp);
  registers.rbx = state.reg(Gpr::Rbx);
  registers.r11 = state.reg(Gpr::R11);
  registers.r10 = state.reg(Gpr::R10);
  registers.r9 = state.reg(Gpr::R9);
  registers.r8 = state.reg(Gpr::R8);
  registers.rax = state.reg(Gpr::Rax);
  registers.rcx = state.reg(Gpr::Rcx);
  registers.rdx = state.reg(Gpr::Rdx);
  registers.rsi = state.reg(Gpr::Rsi);
  registers.rdi = state.reg(Gpr::Rdi);
  registers.orig_rax = ~std::uint64_t{0};  // in no system call
  registers.rip = x86::linear_pc(state).value;
  registers.cs = state.seg(SegmentName::Cs).selector;
  registers.eflags = state.rflags;
  registers.rsp = state.reg(Gpr::Rsp);
  registers.ss = state.seg(SegmentName::Ss).selector;
  registers.fs_base = state.seg(SegmentName::Fs).base;
  registers.gs_base = state.seg(SegmentName::Gs).base;
  registers.ds = state.seg(SegmentName::Ds).selector;
  registers.es = state.seg(SegmentName::Es).selector;
  registers.fs = state.seg(SegmentName::Fs).selector;
  registers.gs = state.seg(SegmentName::Gs).selector;
  static_assert(sizeof registers == sizeof status.pr_reg);
  std::memcpy(&status.pr_reg, &registers, sizeof registers);
  return status;
}

// The note "QEMU", version 1, as its readers (crash, volatility, QEMU's own elf2dmp) take it.
struct QemuSegment {
  std::uint32_t selector, limit, flags, zero;
  std::uint64_t base;
};
struct QemuState {
  std::uint32_t version, size;
  std::uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
  std::uint64_t extended[8];  // r8 to r15
  std::uint64_t rip, rflags;
  QemuSegment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
  std::uint64_t cr[5];
  std::uint64_t kernel_gs_base;
};
static_assert(sizeof(QemuState) == 440);

// Its flags are the descriptor's second half.
QemuSegment qemu_segment(const x86::Segment& segment) {
  return {segment.selector, segment.limit, static_cast<std::uint32_t>(segment.attributes) << 8, 0,
          segment.base};
}

QemuState qemu_state(const x86::CpuState& state) {
  QemuState result{};
  result.version = 1;
  result.size = sizeof result;
  result.rax = state.reg(Gpr::Rax);
  result.rbx = state.reg(Gpr::Rbx);
  result.rcx = state.reg(Gpr::Rcx);
  result.rdx = state.reg(Gpr::Rdx);
  result.rsi = state.reg(Gpr::Rsi);
  result.rdi = state.reg(Gpr::Rdi);
  result.rsp = state.reg(Gpr::Rsp);
  result.rbp = state.reg(Gpr::Rbp);
  for (std::size_t i = 0; i < 8; ++i)
    result.extended[i] = state.gpr[static_cast<std::size_t>(Gpr::R8) + i];
  result.rip = state.rip;
  result.rflags = state.rflags;
  result.cs = qemu_segment(state.seg(SegmentName::Cs));
  result.ds = qemu_segment(state.seg(SegmentName::Ds));
  result.es = qemu_segment(state.seg(SegmentName::Es));
  result.fs = qemu_segment(state.seg(SegmentName::Fs));
  result.gs = qemu_segment(state.seg(SegmentName::Gs));
  result.ss = qemu_segment(state.seg(SegmentName::Ss));
  result.ldt = qemu_segment(state.ldtr);
  result.tr = qemu_segment(state.tr);
  result.gdt.base = state.gdtr.base;
  result.gdt.limit = state.gdtr.limit;
  result.idt.base = state.idtr.base;
  result.idt.limit = state.idtr.limit;
  result.cr[0] = state.cr0;
  result.cr[2] = state.cr2;
  result.cr[3] = state.cr3;
  result.cr[4] = state.cr4;
  result.kernel_gs_base = state.kernel_gs_base;
  return result;
}

}  // namespace

// In QEMU's order, which is that of readers which count. GDB takes a note of the extended state for
// that of the thread before it.
std::vector<std::byte> core_notes(std::span<const CoreVcpu> vcpus, std::string_view vmcoreinfo) {
  std::vector<std::byte> notes;
  for (const CoreVcpu& vcpu : vcpus) {
    const elf_prstatus status = prstatus(vcpu);
    append_note(notes, "CORE", NT_PRSTATUS, &status, sizeof status);
    const XstateArea area = xstate_area(vcpu.state);
    append_note(notes, "LINUX", NT_X86_XSTATE, area.data(), area.size());
  }
  for (const CoreVcpu& vcpu : vcpus) {
    const QemuState state = qemu_state(vcpu.state);
    append_note(notes, "QEMU", 0, &state, sizeof state);
  }
  if (!vmcoreinfo.empty())
    append_note(notes, "VMCOREINFO", 0, vmcoreinfo.data(), vmcoreinfo.size());
  return notes;
}

}  // namespace ringside::guests
