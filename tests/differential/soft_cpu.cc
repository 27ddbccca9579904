#include "differential/soft_cpu.h"

#include <cstring>

#include "differential/native_modes.h"
#include "engine/soft/decode/lower.h"
#include "engine/soft/instructions/instructions.h"
#include "engine/soft/state/fault.h"
#include "engine/soft/state/xstate.h"
#include "ringside/x86/bits.h"

namespace ringside::differential {
namespace {

using soft::Width;

// The one that has all that there is.
constexpr auto kProcessor = soft::Processor::V3;

// Guest-physical: page tables, then the region's pages one after the other.
constexpr std::uint64_t kTables = 0x100000, kPages = 0x200000;
// A task state segment without I/O map, in a page of the supervisor's far from the rest.
constexpr std::uint64_t kTss = kRegion + 0x1ff000;
constexpr std::uint32_t kTssLimit = 0x67;
constexpr std::uint64_t kPresent = 1, kWritable = 2, kUser = 4;

Width code_width(Mode mode) {
  return mode == Mode::Code16   ? Width::Bits16
         : mode == Mode::Code32 ? Width::Bits32
                                : Width::Bits64;
}

hypervisor::GuestRam make_ram() {
  auto ram = hypervisor::GuestRam::create(16u << 20);
  return std::move(*ram);
}

x86::Segment segment(std::uint16_t selector, std::uint16_t attributes, std::uint64_t base,
                     std::uint32_t limit) {
  x86::Segment result;
  result.selector = selector;
  result.attributes = static_cast<std::uint16_t>(attributes | 0x60);  // DPL 3
  result.base = base;
  result.limit = limit;
  return result;
}

}  // namespace

// There is no device.
class SoftCpu::Bus final : public hypervisor::Platform {
 public:
  using Access = hypervisor::Access;
  Access port_read(VcpuId, std::uint16_t, unsigned, std::uint32_t& value) override {
    value = ~0u;
    return Access::Done;
  }
  Access port_write(VcpuId, std::uint16_t, unsigned, std::uint32_t) override {
    return Access::Done;
  }
  bool mmio_read(VcpuId, Gpa, unsigned, std::uint64_t&) override { return false; }
  bool mmio_peek(VcpuId, Gpa, unsigned, std::uint64_t&) const override { return false; }
  bool mmio_write(VcpuId, Gpa, unsigned, std::uint64_t) override { return false; }
  bool is_mmio(Gpa) const override { return false; }
  std::optional<std::uint8_t> acknowledge_interrupt(VcpuId) override { return std::nullopt; }
  std::uint8_t task_priority(VcpuId) override { return 0; }
  void set_task_priority(VcpuId, std::uint8_t) override {}
  bool apic_msr_read(VcpuId, std::uint32_t, std::uint64_t&) override { return false; }
  bool apic_msr_write(VcpuId, std::uint32_t, std::uint64_t) override { return false; }
  VirtualTime next_event() const override { return kNever; }
  void run_events(VirtualTime) override {}
};

SoftCpu::SoftCpu()
    : ram_(make_ram()),
      bus_(std::make_unique<Bus>()),
      board_(std::make_unique<soft::Board>(ram_, *bus_)),
      cpu_(std::make_unique<soft::Cpu>(VcpuId{0}, *board_)) {
  board_->cpus.push_back(cpu_.get());
  board_->processor = kProcessor;
  const auto put = [&](std::uint64_t table, std::uint64_t index, std::uint64_t entry) {
    std::memcpy(ram_.host({kTables + table * kPageSize + index * 8}, 8), &entry, 8);
  };
  const auto next = [](std::uint64_t table) {
    return (kTables + table * kPageSize) | kPresent | kWritable | kUser;
  };
  put(0, 0, next(1));
  put(1, kRegion >> 30, next(2));
  put(2, (kRegion >> 21) & 511, next(3));
  const auto map = [&](std::uint64_t linear, std::uint64_t size, std::uint64_t bits) {
    for (std::uint64_t at = linear; at < linear + size; at += kPageSize) {
      put(3, (at >> 12) & 511, (kPages + at - kRegion) | kPresent | kUser | bits);
    }
  };
  map(kCodePage, kPageSize, kWritable);
  put(3, (kTss >> 12) & 511, (kPages + kTss - kRegion) | kPresent);
  const std::uint16_t no_map = kTssLimit + 1;
  std::memcpy(ram_.host({kPages + kTss - kRegion + 0x66}, 2), &no_map, 2);
  base_.tr = {0x40, x86::kAttributesTss64Busy, kTssLimit, kTss};
  map(kData, kDataSize, kWritable);
  map(kReadOnly, kReadOnlySize, 0);

  base_.cr0 = x86::cr0::PE | x86::cr0::PG | x86::cr0::WP | x86::cr0::NE | x86::cr0::MP |
              x86::cr0::AM | x86::cr0::ET;
  base_.cr3 = kTables;
  base_.cr4 = x86::cr4::PAE | x86::cr4::OSFXSR | x86::cr4::OSXMMEXCPT | x86::cr4::OSXSAVE;
  base_.xcr0 = soft::xstate::kAll;
  base_.efer = x86::efer::LME | x86::efer::LMA | x86::efer::NXE | x86::efer::SCE;
  set_mode(Mode::Code64);
}

SoftCpu::~SoftCpu() = default;

void SoftCpu::set_mode(Mode mode) {
  mode_ = mode;
  const bool small = mode == Mode::Code16;
  const std::uint32_t limit = small ? 0xffff : 0xffffffff;
  const std::uint16_t data = small ? x86::kAttributesData16 : x86::kAttributesData32;
  const std::uint16_t code = small                  ? x86::kAttributesCode16
                             : mode == Mode::Code32 ? x86::kAttributesCode32
                                                    : x86::kAttributesCode64;
  const CodeSegments& selectors = code_segments(mode);
  for (auto& segment_register : base_.segment) {
    segment_register = segment(selectors.data, data, data_base(mode), limit);
  }
  base_.seg(x86::SegmentName::Cs) = segment(selectors.code, code, code_base(mode), limit);
  // FS and GS hold null selectors, as in the test's own process.
  for (const auto name : {x86::SegmentName::Fs, x86::SegmentName::Gs}) {
    base_.seg(name) = x86::Segment{};
    base_.seg(name).attributes = 0;
  }
  cpu_->set_state(base_);
}

std::span<std::uint8_t> SoftCpu::data() {
  return {ram_.host({kPages + kData - kRegion}, kDataSize), kDataSize};
}
std::span<std::uint8_t> SoftCpu::read_only() {
  return {ram_.host({kPages + kReadOnly - kRegion}, kReadOnlySize), kReadOnlySize};
}

bool SoftCpu::implemented(const Case& test) const {
  // What no family takes has the same handler as these bytes, which are no instruction.
  static constexpr std::uint8_t kInvalid[] = {0x0f, 0x04, 0x90, 0x90};
  static const soft::Handler undefined = soft::decode(kInvalid, Width::Bits64, kProcessor).execute;
  return soft::decode(test.bytes, code_width(test.mode), kProcessor).execute != undefined;
}

Outcome SoftCpu::run(const Case& test, bool stepwise, unsigned* retired) {
  if (test.mode != mode_) set_mode(test.mode);
  soft::Cpu& cpu = *cpu_;
  std::copy(test.state.gpr.begin(), test.state.gpr.end(), cpu.gpr.begin());
  cpu.rip() = test.state.rip;
  cpu.flags.set_value(test.state.rflags | x86::rflags::IF);
  cpu.update_mode();  // AC
  if (test.uses_fpu) {
    x86::CpuState state = cpu.state();
    state.fpu = test.state.fpu;
    cpu.set_state(state);
  }
  cpu.one_iteration = stepwise;
  cpu.retired = true;
  const soft::Insn insn = soft::decode(test.bytes, code_width(test.mode), kProcessor);
  Outcome outcome;
  unsigned count = 0;
  try {
    do {
      cpu.insn_rip = cpu.rip();
      cpu.rip() += insn.length;
      insn.execute(cpu, insn);
      count += cpu.retired ? 1 : 0;
      cpu.retired = true;
    } while (test.repeats && cpu.rip() == test.state.rip);
  } catch (const soft::GuestFault& fault) {
    cpu.rip() = cpu.insn_rip;
    outcome.fault = Fault{static_cast<unsigned>(fault.exception.vector),
                          fault.exception.error_code.value_or(0), fault.exception.fault_address};
  }
  cpu.one_iteration = false;
  if (retired != nullptr) *retired = count;
  std::copy_n(cpu.gpr.begin(), 16, outcome.state.gpr.begin());
  outcome.state.rip = cpu.rip();
  outcome.state.rflags = cpu.flags.value();
  if (test.uses_fpu) outcome.state.fpu = cpu.state().fpu;
  return outcome;
}

}  // namespace ringside::differential
