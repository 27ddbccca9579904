// The whole state of a CPU as a value, as a snapshot, and at reset.
#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/control.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/state/x87_words.h"
#include "x86/apic_registers.h"
#include "x86/msr_numbers.h"

namespace ringside::soft {
namespace {

using x86::SegmentName;

// Software cannot change it.
constexpr std::uint64_t kBootProcessor = x86::apic::kBaseBoot;

x86::FpuState fpu_state(const Fpu& fpu) {
  x86::FpuState state;
  state.control = fpu.control;
  state.status = fpu.status;
  state.tag = x87::tag_word(fpu);
  for (unsigned i = 0; i < 8; ++i) {
    const X87Value& st = fpu.st(i);
    std::memcpy(state.st[i].data(), &st.significand, 8);
    std::memcpy(state.st[i].data() + 8, &st.sign_exponent, 2);
  }
  state.opcode = fpu.opcode;
  state.instruction_pointer = fpu.instruction_pointer;
  state.data_pointer = fpu.data_pointer;
  state.instruction_selector = fpu.instruction_selector;
  state.data_selector = fpu.data_selector;
  state.mxcsr = fpu.mxcsr;
  for (unsigned i = 0; i < 16; ++i) {
    std::memcpy(state.vector[i].data(), fpu.xmm[i].bytes.data(), 16);
    std::memcpy(state.vector[i].data() + 16, fpu.ymm_high[i].bytes.data(), 16);
  }
  return state;
}

void set_fpu_state(Fpu& fpu, const x86::FpuState& state) {
  fpu.control = x87::control_word(state.control);
  fpu.status = state.status;
  x87::set_tag_word(fpu, state.tag);
  x87::update_summary(fpu);
  for (unsigned i = 0; i < 8; ++i) {
    X87Value& st = fpu.st(i);
    std::memcpy(&st.significand, state.st[i].data(), 8);
    std::memcpy(&st.sign_exponent, state.st[i].data() + 8, 2);
  }
  fpu.opcode = state.opcode;
  fpu.instruction_pointer = state.instruction_pointer;
  fpu.data_pointer = state.data_pointer;
  fpu.instruction_selector = state.instruction_selector;
  fpu.data_selector = state.data_selector;
  fpu.mxcsr = state.mxcsr & 0xffff;  // the rest is reserved
  for (unsigned i = 0; i < 16; ++i) {
    std::memcpy(fpu.xmm[i].bytes.data(), state.vector[i].data(), 16);
    std::memcpy(fpu.ymm_high[i].bytes.data(), state.vector[i].data() + 16, 16);
  }
}

void visit(StateVisitor& visitor, x86::Segment& segment) {
  visitor.fields(segment.selector, segment.attributes, segment.limit, segment.base);
}

template <typename T>
void visit(StateVisitor& visitor, std::optional<T>& value) {
  bool there = value.has_value();
  visitor.field(there);
  if (visitor.loading()) value = there ? std::optional<T>(T{}) : std::nullopt;
}

}  // namespace

Cpu::Cpu(VcpuId id, Board& board) : id_(id), board_(board) { reset(); }

CpuOffsets Cpu::offsets() {
  const auto of = [this](const auto& field) {
    return static_cast<int>(reinterpret_cast<const std::uint8_t*>(&field) - host_base());
  };
  CpuOffsets result;
  result.base = -of(*this);
  result.gpr = of(gpr);
  result.left = of(frame.left);
  result.flags = of(frame.flags);
  result.target = of(frame.target);
  result.data = of(frame.data);
  result.fetch = of(frame.fetch);
  result.fetch_page = of(frame.fetch_page);
  result.fetch_gpa_page = of(frame.fetch_gpa_page);
  result.fetch_page_checked = of(frame.fetch_page_checked);
  result.generation = of(tlb_.generation());
  result.fs_base = of(seg(SegmentName::Fs).base);
  result.gs_base = of(seg(SegmentName::Gs).base);
  result.xmm = of(fpu.xmm);
  result.mxcsr = of(fpu.mxcsr);
  result.control_loaded = of(frame.control_loaded);
  result.host_control = of(frame.host_control);
  result.cr0 = of(cr0);
  result.cr4 = of(cr4);
  return result;
}

x86::CpuState Cpu::state() const {
  x86::CpuState s;
  std::copy_n(gpr.begin(), 16, s.gpr.begin());
  s.rip = rip();
  s.rflags = flags.value();
  s.segment = segment;
  s.ldtr = ldtr;
  s.tr = tr;
  s.gdtr = gdtr;
  s.idtr = idtr;
  s.cr0 = cr0;
  s.cr2 = cr2;
  s.cr3 = cr3;
  s.cr4 = cr4;
  s.cr8 = board_.platform.task_priority(id_);
  s.efer = efer;
  s.xcr0 = xcr0;
  s.dr = dr;
  s.dr6 = dr6;
  s.dr7 = dr7;
  board_.platform.apic_msr_read(id_, x86::msr::kApicBase, s.apic_base);
  s.star = star;
  s.lstar = lstar;
  s.cstar = cstar;
  s.sfmask = sfmask;
  s.kernel_gs_base = kernel_gs_base;
  s.tsc_aux = tsc_aux;
  s.sysenter_cs = sysenter_cs;
  s.sysenter_esp = sysenter_esp;
  s.sysenter_eip = sysenter_eip;
  s.pat = pat;
  s.pkru = pkru;
  s.fpu = fpu_state(fpu);
  return s;
}

void Cpu::set_state(const x86::CpuState& s) {
  set_core_state(s);
  reload_pdptes(*this);
  hypervisor::Platform& platform = board_.platform;
  platform.set_task_priority(id_, static_cast<std::uint8_t>(s.cr8 & 15));
  std::uint64_t apic_base = 0;
  if (platform.apic_msr_read(id_, x86::msr::kApicBase, apic_base)) {
    const std::uint64_t wanted = (s.apic_base & ~kBootProcessor) | (apic_base & kBootProcessor);
    if (wanted != apic_base) platform.apic_msr_write(id_, x86::msr::kApicBase, wanted);
  }
}

void Cpu::set_core_state(const x86::CpuState& s) {
  std::copy_n(s.gpr.begin(), 16, gpr.begin());
  gpr[kNoRegister] = 0;
  rip() = s.rip;
  flags.set_value(s.rflags);
  segment = s.segment;
  ldtr = s.ldtr;
  tr = s.tr;
  gdtr = s.gdtr;
  idtr = s.idtr;
  cr0 = s.cr0;
  cr2 = s.cr2;
  cr3 = s.cr3;
  cr4 = s.cr4;
  efer = s.efer;
  xcr0 = s.xcr0;
  dr = s.dr;
  dr6 = s.dr6;
  dr7 = s.dr7;
  star = s.star;
  lstar = s.lstar;
  cstar = s.cstar;
  sfmask = s.sfmask;
  kernel_gs_base = s.kernel_gs_base;
  tsc_aux = s.tsc_aux;
  sysenter_cs = s.sysenter_cs;
  sysenter_esp = s.sysenter_esp;
  sysenter_eip = s.sysenter_eip;
  pat = s.pat;
  pkru = s.pkru;
  set_fpu_state(fpu, s.fpu);
  cpl_ = static_cast<std::uint8_t>(seg(SegmentName::Ss).dpl());
  update_mode();
  flush_tlb();
  leave_soon();
}

void Cpu::reset(ResetKind kind) {
  const bool power_on = kind == ResetKind::PowerOn;
  set_core_state(power_on ? x86::reset_state(kProcessorSignature)
                          : x86::init_state(state(), kProcessorSignature));
  if (power_on) {
    tsc_offset = 0;
    mtrrs = {};
    misc_enable = misc_enable::kReset;
  }
  interrupt_shadow_until = debug_shadow_until = 0;
  nmi_pending = nmi_blocked = init_pending = false;
  pending_debug = 0;
  injected.reset();
  retired = true;
  string_lines = 0;
  one_iteration = false;
  forget_caught();
  activity = id_.value == 0 ? Activity::Running : Activity::WaitingForStartUp;
}

// As Tlb::visit_state.
void Cpu::visit_fetch_entries(StateVisitor& visitor) {
  struct Kept {
    std::uint64_t place, tag, gpa_page;
  };
  std::vector<Kept> kept;
  for (unsigned i = 0; i < 2 * kFetchEntries && !visitor.loading(); ++i) {
    const FetchEntry& entry = fetch_entries_[i / kFetchEntries][i % kFetchEntries];
    if (tlb_.is_live(entry.tag)) kept.push_back({i, entry.tag, entry.gpa_page});
  }
  std::uint64_t count = kept.size();
  visitor.field(count);
  visitor.expect(count <= 2 * kFetchEntries);
  kept.resize(std::min<std::uint64_t>(count, 2 * kFetchEntries));
  visitor.bytes(std::as_writable_bytes(std::span(kept)));
  if (!visitor.loading()) return;
  for (auto& bank : fetch_entries_)
    bank.fill(FetchEntry{});
  for (const Kept& one : kept) {
    visitor.expect(one.place < 2 * kFetchEntries && tlb_.is_live(one.tag) &&
                   one.gpa_page % kPageSize == 0);
    if (one.place >= 2 * kFetchEntries) continue;
    FetchEntry& entry = fetch_entries_[one.place / kFetchEntries][one.place % kFetchEntries];
    entry.tag = one.tag;
    entry.gpa_page = one.gpa_page;
    entry.checked = board_.page_has_breakpoint(one.tag & kPageMask);
  }
  forget_fetch_page();
}

void Cpu::visit_state(StateVisitor& visitor) {
  visitor.field(gpr);
  flags.visit_state(visitor);
  for (x86::Segment& s : segment)
    visit(visitor, s);
  visit(visitor, ldtr);
  visit(visitor, tr);
  visitor.fields(gdtr.base, gdtr.limit, idtr.base, idtr.limit);
  visitor.fields(cr0, cr2, cr3, cr4, efer, xcr0, dr, dr6, dr7);
  visitor.fields(star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux);
  visitor.fields(sysenter_cs, sysenter_esp, sysenter_eip, pat, tsc_offset, pkru);
  mtrrs.visit_state(visitor);
  visitor.field(misc_enable);
  fpu.visit_state(visitor);
  visitor.fields(activity, pdpte, cpl_);

  visitor.fields(icount, interrupt_shadow_until, debug_shadow_until, string_lines);
  visitor.fields(interrupt_pin, nmi_pending, nmi_blocked, init_pending, pending_debug);
  visit(visitor, injected);
  if (injected) {
    visitor.fields(injected->vector, injected->fault_address);
    visit(visitor, injected->error_code);
    if (injected->error_code) visitor.field(*injected->error_code);
  }
  visitor.field(entry_insn_length);

  tlb_.visit_state(visitor);
  visit_fetch_entries(visitor);
  if (visitor.loading()) {
    forget_caught();
    update_mode();
    leave_soon();
  }
}

}  // namespace ringside::soft
