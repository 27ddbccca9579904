#include "engine/soft/cpu/tasks.h"

#include <array>

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/catches.h"
#include "engine/soft/cpu/control.h"
#include "engine/soft/cpu/new_stack.h"

namespace ringside::soft {
namespace {

using x86::Segment;
using x86::SegmentName;
using x86::Vector;

constexpr std::uint64_t kBusyBit = 1ull << 41;
constexpr std::uint32_t kNt = 1u << 14;
constexpr std::uint64_t kLocalBreakpoints = 0x155;  // DR7.L0..L3 and LE

bool is_tss32(const Segment& tss) {
  return tss.type() == x86::system_type::kTss || tss.type() == x86::system_type::kTssBusy;
}

// What a TSS holds of a task, whatever its format (SDM 3A figures 7-2 and 7-10).
struct TaskState {
  std::uint32_t cr3 = 0, eip = 0, eflags = 0;
  std::array<std::uint32_t, 8> gpr{};       // EAX ECX EDX EBX ESP EBP ESI EDI
  std::array<std::uint16_t, 6> selector{};  // ES CS SS DS FS GS
  std::uint16_t ldt = 0;
  bool trap = false;
};

TaskState read_task(Cpu& cpu, std::uint64_t base, bool wide) {
  TaskState task;
  const auto word = [&](unsigned offset) {
    return cpu.load_system<std::uint16_t>(x86::segmented_address(base, offset));
  };
  const auto dword = [&](unsigned offset) {
    return cpu.load_system<std::uint32_t>(x86::segmented_address(base, offset));
  };
  if (wide) {
    task.cr3 = dword(0x1c);
    task.eip = dword(0x20);
    task.eflags = dword(0x24);
    for (unsigned i = 0; i < 8; ++i)
      task.gpr[i] = dword(0x28 + 4 * i);
    for (unsigned i = 0; i < 6; ++i)
      task.selector[i] = word(0x48 + 4 * i);
    task.ldt = word(0x60);
    task.trap = (word(0x64) & 1) != 0;
  } else {
    task.eip = word(0x0e);
    task.eflags = word(0x10);
    for (unsigned i = 0; i < 8; ++i)
      task.gpr[i] = 0xffff0000u | word(0x12 + 2 * i);
    for (unsigned i = 0; i < 4; ++i)
      task.selector[i] = word(0x22 + 2 * i);
    task.ldt = word(0x2a);
  }
  return task;
}

void save_task(Cpu& cpu, std::uint32_t eflags) {
  const std::uint64_t base = cpu.tr.base;
  const auto eip = static_cast<std::uint32_t>(cpu.rip());
  if (is_tss32(cpu.tr)) {
    const auto put = [&](unsigned offset, std::uint32_t value) {
      cpu.store_system<std::uint32_t>(x86::segmented_address(base, offset), value);
    };
    put(0x20, eip);
    put(0x24, eflags);
    for (unsigned i = 0; i < 8; ++i)
      put(0x28 + 4 * i, static_cast<std::uint32_t>(cpu.gpr[i]));
    for (unsigned i = 0; i < 6; ++i) {
      cpu.store_system<std::uint16_t>(x86::segmented_address(base, 0x48 + 4 * i),
                                      cpu.segment[i].selector);
    }
  } else {
    const auto put = [&](unsigned offset, std::uint64_t value) {
      cpu.store_system<std::uint16_t>(x86::segmented_address(base, offset),
                                      static_cast<std::uint16_t>(value));
    };
    put(0x0e, eip);
    put(0x10, eflags);
    for (unsigned i = 0; i < 8; ++i)
      put(0x12 + 2 * i, cpu.gpr[i]);
    for (unsigned i = 0; i < 4; ++i)
      put(0x22 + 2 * i, cpu.segment[i].selector);
  }
}

void set_busy(Cpu& cpu, const Descriptor& tss, bool busy) {
  const std::uint64_t low = busy ? tss.low | kBusyBit : tss.low & ~kBusyBit;
  cpu.store_system<std::uint8_t>(tss.linear + 5, static_cast<std::uint8_t>(low >> 40));
}

// The new TSS, checked (SDM 3A 7.3, steps 2 to 6).
Descriptor read_new_tss(Cpu& cpu, std::uint16_t selector, TaskSwitch source,
                        std::uint32_t external) {
  using namespace x86::system_type;
  const Vector fault =
      source == TaskSwitch::Return ? Vector::InvalidTss : Vector::GeneralProtection;
  const std::uint32_t error = selector_error(selector, external);
  if (is_null(selector) || (selector & 4) != 0) raise(fault, error);
  const Descriptor d = read_descriptor(cpu, selector, fault, external);
  const unsigned wide = source == TaskSwitch::Return ? kTssBusy : kTss;
  const unsigned narrow = source == TaskSwitch::Return ? kTss16Busy : kTss16;
  if (!d.is_system(wide) && !d.is_system(narrow)) raise(fault, error);
  if (!d.segment.present()) raise(Vector::SegmentNotPresent, error);
  if (d.segment.limit < (d.is_system(wide) ? 0x67u : 0x2bu)) raise(Vector::InvalidTss, error);
  return d;
}

// ---- The second half: faults are the new task's (SDM 3A 7.3, steps 11 to 13)

void load_task_ldt(Cpu& cpu, std::uint16_t selector, std::uint32_t external) {
  if (is_null(selector)) return;
  const std::uint32_t error = selector_error(selector, external);
  if ((selector & 4) != 0) raise(Vector::InvalidTss, error);
  const Descriptor d = read_descriptor(cpu, selector, Vector::InvalidTss, external);
  if (!d.is_system(x86::system_type::kLdt) || !d.segment.present())
    raise(Vector::InvalidTss, error);
  cpu.ldtr = d.segment;
}

Descriptor read_task_code(Cpu& cpu, std::uint16_t selector, std::uint32_t external) {
  const std::uint32_t error = selector_error(selector, external);
  if (is_null(selector)) raise(Vector::InvalidTss, external);
  Descriptor d = read_descriptor(cpu, selector, Vector::InvalidTss, external);
  const Segment& s = d.segment;
  const unsigned rpl = rpl_of(selector);
  if (!s.is_code() || (s.conforming() ? s.dpl() > rpl : s.dpl() != rpl)) {
    raise(Vector::InvalidTss, error);
  }
  if (!s.present()) raise(Vector::SegmentNotPresent, error);
  return d;
}

void load_task_data(Cpu& cpu, SegmentName name, std::uint16_t selector, std::uint32_t external) {
  if (is_null(selector)) {
    cpu.seg(name) = null_segment(selector);
    return;
  }
  const std::uint32_t error = selector_error(selector, external);
  Descriptor d = read_descriptor(cpu, selector, Vector::InvalidTss, external);
  const Segment& s = d.segment;
  if (!s.is_code_or_data() || !s.readable() ||
      (!s.conforming() && (s.dpl() < rpl_of(selector) || s.dpl() < cpu.cpl()))) {
    raise(Vector::InvalidTss, error);
  }
  if (!s.present()) raise(Vector::SegmentNotPresent, error);
  mark_accessed(cpu, d);
  cpu.seg(name) = d.segment;
}

void load_task_segments(Cpu& cpu, const TaskState& task, std::uint32_t external) {
  load_task_ldt(cpu, task.ldt, external);
  if (cpu.virtual_8086()) {
    for (unsigned i = 0; i < 6; ++i) {
      load_real_segment(cpu, static_cast<SegmentName>(i), task.selector[i]);
    }
    cpu.update_mode();
    return;
  }
  const auto selector = [&](SegmentName name) {
    return task.selector[static_cast<unsigned>(name)];
  };
  Descriptor code = read_task_code(cpu, selector(SegmentName::Cs), external);
  if (is_null(selector(SegmentName::Ss))) raise(Vector::InvalidTss, external);
  Descriptor stack = read_stack_descriptor(cpu, selector(SegmentName::Ss), cpu.cpl(),
                                           Vector::InvalidTss, external);
  mark_accessed(cpu, stack);
  cpu.seg(SegmentName::Ss) = stack.segment;
  mark_accessed(cpu, code);
  cpu.seg(SegmentName::Cs) = code.segment;
  cpu.update_mode();
  for (const SegmentName name :
       {SegmentName::Es, SegmentName::Ds, SegmentName::Fs, SegmentName::Gs}) {
    load_task_data(cpu, name, selector(name), external);
  }
  if (task.eip > code.segment.limit) raise(Vector::GeneralProtection, external);
}

}  // namespace

InnerStack read_inner_stack(Cpu& cpu, unsigned cpl, std::uint32_t external) {
  const bool wide = is_tss32(cpu.tr);
  const std::uint64_t offset = wide ? 4 + 8 * cpl : 2 + 4 * cpl;
  const std::uint64_t size = wide ? 6 : 4;
  if (offset + size - 1 > cpu.tr.limit) {
    raise(Vector::InvalidTss, selector_error(cpu.tr.selector, external));
  }
  InnerStack inner;
  const std::uint64_t at = cpu.tr.base + offset;
  inner.pointer = wide ? cpu.load_system<std::uint32_t>(at) : cpu.load_system<std::uint16_t>(at);
  const auto selector = cpu.load_system<std::uint16_t>(at + (wide ? 4 : 2));
  if (is_null(selector)) raise(Vector::InvalidTss, external);
  inner.descriptor = read_stack_descriptor(cpu, selector, cpl, Vector::InvalidTss, external);
  return inner;
}

void switch_task(Cpu& cpu, std::uint16_t selector, TaskSwitch source,
                 std::optional<std::uint32_t> error_code, std::uint32_t external) {
  Descriptor tss = read_new_tss(cpu, selector, source, external);
  const bool wide = is_tss32(tss.segment);
  const TaskState task = read_task(cpu, tss.segment.base, wide);
  const bool nests = source == TaskSwitch::Call || source == TaskSwitch::Event;
  // Faults of the writes below shall come before anything has changed.
  const unsigned saved_size = is_tss32(cpu.tr) ? 0x60 : 0x2a;
  if (cpu.tr.limit + 1ull < saved_size) {
    raise(Vector::InvalidTss, selector_error(cpu.tr.selector, external));
  }
  cpu.check_write_system(cpu.tr.base, saved_size);
  if (nests) cpu.check_write_system(tss.segment.base, 2);
  const Descriptor old_tss = read_descriptor(cpu, cpu.tr.selector, Vector::InvalidTss, external);

  auto saved_flags = static_cast<std::uint32_t>(cpu.flags.value());
  if (source == TaskSwitch::Return) saved_flags &= ~kNt;
  if (!nests) set_busy(cpu, old_tss, false);
  save_task(cpu, saved_flags);
  if (nests) cpu.store_system<std::uint16_t>(tss.segment.base, cpu.tr.selector);
  if (source != TaskSwitch::Return) set_busy(cpu, tss, true);

  cpu.tr = tss.segment;
  cpu.tr.attributes |= 2;  // busy
  cpu.cr0 |= x86::cr0::TS;
  cpu.dr7 &= ~kLocalBreakpoints;
  // A flat copy of the registers first; then CR3, LDT and segments, which may fault in the new
  // task.
  for (unsigned i = 0; i < 8; ++i)
    cpu.gpr[i] = task.gpr[i];
  cpu.flags.set_value(task.eflags | (nests ? kNt : 0u));
  cpu.rip() = cpu.insn_rip = task.eip;
  for (unsigned i = 0; i < 6; ++i)
    cpu.segment[i] = null_segment(task.selector[i]);
  cpu.ldtr = null_segment(task.ldt);
  const unsigned cpl = rpl_of(task.selector[static_cast<unsigned>(SegmentName::Cs)]);
  cpu.seg(SegmentName::Ss) =
      null_segment(task.selector[static_cast<unsigned>(SegmentName::Ss)], cpl);
  cpu.set_cpl(cpl);
  cpu.update_mode();
  cpu.leave_soon();
  hypervisor::exit::Caught caught;
  caught.kind = hypervisor::CatchKind::TaskSwitch;
  caught.number = selector;
  note_caught(cpu, caught);
  cpu.switches_task = true;
  if (wide && (cpu.cr0 & x86::cr0::PG) != 0) write_cr3(cpu, task.cr3);

  load_task_segments(cpu, task, external);
  if (error_code) {
    NewStack stack(cpu, external);
    stack.push(*error_code, wide ? Width::Bits32 : Width::Bits16);
    cpu.set_rsp(stack.pointer(cpu.rsp()));
  }
  cpu.switches_task = false;
  if (task.trap) cpu.pending_debug |= x86::dr6::BT;
}

void return_to_previous_task(Cpu& cpu) {
  const auto link = cpu.load_system<std::uint16_t>(cpu.tr.base);
  switch_task(cpu, link, TaskSwitch::Return);
}

}  // namespace ringside::soft
