// One software CPU with a little memory and no machine, for tests of instructions and events:
// tables are laid out for the mode that the test asks for, code is given as hex bytes, and each
// vector has a handler address of its own, so that a test sees where an event arrived. A real
// Board and Cpu; only the platform is a fake. Header only, used by the *_test.cc files of this
// folder.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/run/run.h"
#include "platform/guest_ram.h"
#include "x86/apic_registers.h"
#include "x86/msr_numbers.h"

namespace ringside::soft::testing {

class TestPlatform final : public hypervisor::Platform {
 public:
  struct PortAccess {
    std::uint16_t port;
    unsigned width;
    std::optional<std::uint32_t> written;  // nothing: a read
  };
  std::vector<PortAccess> ports;
  std::uint32_t port_value = 0x12345678;
  bool ports_wait = false;
  bool output_full = false;
  std::optional<std::uint8_t> vector;  // what an acknowledge gives
  std::uint8_t priority = 0;
  VirtualTime due = kNever;          // of an event, once
  std::optional<VirtualTime> fired;  // when it was
  std::map<std::uint32_t, std::uint64_t> msrs{
      {x86::msr::kApicBase,
       x86::apic::kDefaultBase | x86::apic::kBaseEnable | x86::apic::kBaseBoot},
      {x86::msr::kTscDeadline, 0}};

  hypervisor::Access port_read(VcpuId, std::uint16_t port, unsigned width,
                               std::uint32_t& value) override {
    if (ports_wait) return hypervisor::Access::Wait;
    ports.push_back({port, width, std::nullopt});
    value = port_value;
    return hypervisor::Access::Done;
  }
  hypervisor::Access port_write(VcpuId, std::uint16_t port, unsigned width,
                                std::uint32_t value) override {
    if (ports_wait) return hypervisor::Access::Wait;
    ports.push_back({port, width, value});
    return hypervisor::Access::Done;
  }
  bool takes_write(VcpuId, std::uint16_t, unsigned) override { return !output_full; }
  bool mmio_read(VcpuId, Gpa, unsigned, std::uint64_t&) override { return false; }
  bool mmio_peek(VcpuId, Gpa, unsigned, std::uint64_t&) const override { return false; }
  bool mmio_write(VcpuId, Gpa, unsigned, std::uint64_t) override { return false; }
  bool is_mmio(Gpa) const override { return false; }
  unsigned acknowledged = 0;
  std::optional<std::uint8_t> acknowledge_interrupt(VcpuId) override {
    ++acknowledged;
    return vector;
  }
  std::optional<std::uint8_t> peek_interrupt(VcpuId) const override { return vector; }
  std::uint8_t task_priority(VcpuId) override { return priority; }
  void set_task_priority(VcpuId, std::uint8_t value) override { priority = value; }
  bool apic_msr_read(VcpuId, std::uint32_t msr, std::uint64_t& value) override {
    const auto found = msrs.find(msr);
    if (found == msrs.end()) return false;
    value = found->second;
    return true;
  }
  bool apic_msr_write(VcpuId, std::uint32_t msr, std::uint64_t value) override {
    const auto found = msrs.find(msr);
    if (found == msrs.end()) return false;
    found->second = value;
    return true;
  }
  VirtualTime next_event() const override { return due; }
  void run_events(VirtualTime now) override {
    fired = now;
    due = kNever;
  }
};

// Where everything lies. Memory is 2 MiB unless a test asks for more, identity-mapped where there
// is paging.
namespace at {
inline constexpr std::uint64_t kPml4 = 0x1000, kPdpt = 0x2000, kPd = 0x3000, kPt = 0x7000,
                               kGdt = 0x4000, kIdt = 0x5000, kTss = 0x6000, kTss2 = 0x6800,
                               kLdt = 0x8000, kCode = 0x10000, kData = 0x18000,
                               kHandlers = 0x20000,  // 16 bytes for each vector
    kStack0 = 0x30000, kStack3 = 0x38000, kIst = 0x3c000, kStack = 0x40000;
}
// Selectors of the GDT, in an order that suits SYSRET and SYSEXIT.
namespace sel {
inline constexpr std::uint16_t kCode0 = 0x08, kData0 = 0x10, kCode32User = 0x18 | 3,
                               kData3 = 0x20 | 3, kCode3 = 0x28 | 3, kTss = 0x30, kTss2 = 0x40,
                               kLdt = 0x50, kCode32 = 0x60, kConforming = 0x68, kGate = 0x70,
                               kFree = 0x80;  // 0x80.. are for the test
}

class TestCpu {
 public:
  enum class Mode { Real, Protected32, Long64 };

  explicit TestCpu(Mode mode, std::uint64_t memory = 2u << 20)
      : ram_(hypervisor::GuestRam::create(memory).value()),
        board_(std::make_unique<Board>(ram_, platform)) {
    cpu_ = std::make_unique<Cpu>(VcpuId{0}, *board_);
    board_->cpus.push_back(cpu_.get());
    board_->dead = [this](Cpu&, std::string reason) { death = std::move(reason); };
    switch (mode) {
      case Mode::Real:
        enter_real();
        break;
      case Mode::Protected32:
        enter_protected();
        break;
      case Mode::Long64:
        enter_long();
        break;
    }
  }

  TestCpu(const TestCpu&) = delete;  // the board refers to the platform
  TestCpu& operator=(const TestCpu&) = delete;

  Cpu* operator->() { return cpu_.get(); }
  Cpu& operator*() { return *cpu_; }
  Board& board() { return *board_; }
  hypervisor::GuestRam& ram() { return ram_; }

  TestPlatform platform;
  std::string death;  // why the CPU died

  // ---- Memory
  template <typename T>
  void put(std::uint64_t address, T value) {
    std::memcpy(host(address), &value, sizeof value);
    board_->ram_written({address}, sizeof value);
  }
  template <typename T>
  T get(std::uint64_t address) {
    T value;
    std::memcpy(&value, host(address), sizeof value);
    return value;
  }
  std::uint8_t* host(std::uint64_t address) { return ram_.host({address}, 1); }

  // Writes hex bytes ("0f 0b") at `address` (kCode) and lets RIP point there.
  void code(std::string_view hex, std::uint64_t address = at::kCode) {
    std::uint64_t to = address;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      while (hex[i] == ' ')
        ++i;
      put<std::uint8_t>(
          to++, static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    cpu_->rip() = address - cpu_->seg(x86::SegmentName::Cs).base;
  }
  // Runs code at kCode for so many instructions; each may end in an event's delivery.
  void run(std::string_view hex, unsigned steps = 1) {
    code(hex);
    step(steps);
  }
  void step(unsigned steps = 1) {
    for (unsigned i = 0; i < steps; ++i)
      soft::step(*cpu_);
  }

  // ---- Tables
  void descriptor(std::uint16_t selector, std::uint64_t value) {
    put<std::uint64_t>(at::kGdt + (selector & ~7u), value);
  }
  static constexpr std::uint64_t make_descriptor(std::uint32_t base, std::uint32_t limit,
                                                 std::uint16_t attributes) {
    return (limit & 0xffffu) | std::uint64_t{base & 0xffffffu} << 16 |
           std::uint64_t{attributes} << 40 | std::uint64_t{limit >> 16 & 15} << 48 |
           std::uint64_t{base >> 24} << 56;
  }
  // A gate as it lies in the IDT or, as a call gate, in the GDT.
  static constexpr std::uint64_t make_gate(std::uint16_t selector, std::uint32_t offset,
                                           unsigned type, unsigned dpl = 0, unsigned low = 0) {
    return (offset & 0xffffu) | std::uint64_t{selector} << 16 | std::uint64_t{low} << 32 |
           std::uint64_t{0x80 | dpl << 5 | type} << 40 | std::uint64_t{offset >> 16} << 48;
  }
  static std::uint64_t handler(unsigned vector) { return at::kHandlers + 16 * vector; }
  void gate64(unsigned vector, unsigned type, unsigned dpl = 0, unsigned ist = 0,
              std::uint16_t selector = sel::kCode0) {
    const auto offset = static_cast<std::uint32_t>(handler(vector));
    put<std::uint64_t>(at::kIdt + 16 * vector, make_gate(selector, offset, type, dpl, ist));
    put<std::uint64_t>(at::kIdt + 16 * vector + 8, 0);
  }
  void gate32(unsigned vector, unsigned type, unsigned dpl = 0,
              std::uint16_t selector = sel::kCode0) {
    const auto offset = static_cast<std::uint32_t>(handler(vector));
    put<std::uint64_t>(at::kIdt + 8 * vector, make_gate(selector, offset, type, dpl));
  }
  void no_gate(unsigned vector) {
    const unsigned size = cpu_->long_mode() ? 16 : 8;
    put<std::uint64_t>(at::kIdt + size * vector, 0);
  }

  // ---- What happened
  // The vector whose handler RIP is at, or -1.
  int arrived() const {
    const std::uint64_t linear = cpu_->seg(x86::SegmentName::Cs).base + cpu_->rip();
    const std::uint64_t offset = linear - at::kHandlers;
    return offset % 16 == 0 && offset / 16 < 256 ? static_cast<int>(offset / 16) : -1;
  }
  // The n-th value of the present stack from the top.
  template <typename T>
  T stack(unsigned n) {
    const std::uint64_t base = cpu_->code64() ? 0 : cpu_->seg(x86::SegmentName::Ss).base;
    return get<T>(base + (cpu_->rsp() & cpu_->stack_mask()) + n * sizeof(T));
  }
  std::uint64_t& rsp() { return cpu_->reg(x86::Gpr::Rsp); }
  std::uint64_t& rax() { return cpu_->reg(x86::Gpr::Rax); }
  std::uint64_t& rcx() { return cpu_->reg(x86::Gpr::Rcx); }
  std::uint64_t& rdx() { return cpu_->reg(x86::Gpr::Rdx); }
  std::uint16_t selector(x86::SegmentName name) const { return cpu_->seg(name).selector; }

  // Puts the CPU into ring 3 with the mode's user segments.
  void enter_user() {
    x86::CpuState s = cpu_->state();
    s.seg(x86::SegmentName::Cs) = from_gdt(sel::kCode3);
    for (const auto name : {x86::SegmentName::Ss, x86::SegmentName::Ds, x86::SegmentName::Es,
                            x86::SegmentName::Fs, x86::SegmentName::Gs}) {
      s.seg(name) = from_gdt(sel::kData3);
    }
    s.reg(x86::Gpr::Rsp) = at::kStack3;
    cpu_->set_state(s);
  }
  // Legacy: into virtual-8086 mode with CS = kCode / 16, SS = kStack3 / 16 - 0x100.
  void enter_8086(unsigned iopl = 3) {
    x86::CpuState s = cpu_->state();
    const auto paragraph = [](std::uint64_t base) {
      return x86::Segment{static_cast<std::uint16_t>(base >> 4), 0xf3, 0xffff, base};
    };
    for (auto& segment : s.segment)
      segment = paragraph(at::kData);
    s.seg(x86::SegmentName::Cs) = paragraph(at::kCode);
    s.seg(x86::SegmentName::Ss) = paragraph(at::kStack3 - 0x1000);
    s.reg(x86::Gpr::Rsp) = 0x1000;
    s.rflags = x86::rflags::Fixed | x86::rflags::VM | std::uint64_t{iopl} << 12;
    cpu_->set_state(s);
  }
  x86::Segment from_gdt(std::uint16_t selector) {
    return x86::segment_from_descriptor(selector, get<std::uint64_t>(at::kGdt + (selector & ~7u)));
  }
  // Replaces one 2 MiB mapping by 4 KiB pages that a test may take away. Long mode.
  void small_pages() {
    for (std::uint64_t i = 0; i < 512; ++i)
      put<std::uint64_t>(at::kPt + 8 * i, i << 12 | 7);
    put<std::uint64_t>(at::kPd, at::kPt | 7);
    cpu_->flush_tlb();
  }
  void unmap(std::uint64_t page) {
    put<std::uint64_t>(at::kPt + 8 * (page >> 12), 0);
    cpu_->flush_tlb();
  }

 private:
  void fill_gdt(std::uint16_t code_attributes) {
    constexpr std::uint32_t kAll = 0xfffff;
    descriptor(0, 0);
    descriptor(sel::kCode0, make_descriptor(0, kAll, code_attributes));
    descriptor(sel::kData0, make_descriptor(0, kAll, 0xc093));
    descriptor(sel::kCode32User, make_descriptor(0, kAll, 0xc0fb));
    descriptor(sel::kData3, make_descriptor(0, kAll, 0xc0f3));
    descriptor(sel::kCode3,
               make_descriptor(0, kAll, static_cast<std::uint16_t>(code_attributes | 0x60)));
    descriptor(sel::kTss, make_descriptor(at::kTss, 0x3ff, 0x8b));
    descriptor(sel::kTss + 8, 0);
    descriptor(sel::kTss2, make_descriptor(at::kTss2, 0x67, 0x89));
    descriptor(sel::kTss2 + 8, 0);
    descriptor(sel::kLdt, make_descriptor(at::kLdt, 0xff, 0x82));
    descriptor(sel::kLdt + 8, 0);
    descriptor(sel::kCode32, make_descriptor(0, kAll, 0xc09b));
    descriptor(sel::kConforming,
               make_descriptor(0, kAll, static_cast<std::uint16_t>(code_attributes | 4)));
  }

  x86::CpuState tables() {
    x86::CpuState s = cpu_->state();
    s.gdtr = {at::kGdt, 0xff};
    s.idtr = {at::kIdt, 0xfff};
    s.cr0 = x86::cr0::PE | x86::cr0::ET | x86::cr0::NE;
    s.ldtr = {};
    s.tr = from_gdt(sel::kTss);
    for (auto& segment : s.segment)
      segment = from_gdt(sel::kData0);
    s.seg(x86::SegmentName::Cs) = from_gdt(sel::kCode0);
    s.reg(x86::Gpr::Rsp) = at::kStack;
    s.rip = at::kCode;
    return s;
  }

  void enter_real() {
    x86::CpuState s = cpu_->state();
    for (auto& segment : s.segment)
      segment = {0, x86::kAttributesData16, 0xffff, 0};
    s.seg(x86::SegmentName::Cs) = {static_cast<std::uint16_t>(at::kCode >> 4),
                                   x86::kAttributesCode16, 0xffff, at::kCode};
    s.seg(x86::SegmentName::Ss) = {static_cast<std::uint16_t>(at::kStack >> 4),
                                   x86::kAttributesData16, 0xffff, at::kStack};
    s.reg(x86::Gpr::Rsp) = 0x1000;
    s.rip = 0;
    s.idtr = {0, 0x3ff};
    for (unsigned vector = 0; vector < 256; ++vector) {
      put<std::uint32_t>(4 * vector,
                         static_cast<std::uint32_t>((at::kHandlers >> 4) << 16 | 16 * vector));
    }
    cpu_->set_state(s);
  }

  void enter_protected() {
    fill_gdt(0xc09b);
    for (unsigned vector = 0; vector < 256; ++vector)
      gate32(vector, x86::system_type::kTrapGate);
    put<std::uint32_t>(at::kTss + 4, at::kStack0);
    put<std::uint32_t>(at::kTss + 8, sel::kData0);
    put<std::uint16_t>(at::kTss + 0x66, 0x68);
    x86::CpuState s = tables();
    s.idtr.limit = 0x7ff;
    cpu_->set_state(s);
  }

  void enter_long() {
    fill_gdt(0xa09b);
    put<std::uint64_t>(at::kPml4, at::kPdpt | 7);
    put<std::uint64_t>(at::kPdpt, at::kPd | 7);
    put<std::uint64_t>(at::kPd, 0x87);
    put<std::uint64_t>(at::kTss + 4, at::kStack0);
    put<std::uint16_t>(at::kTss + 0x66, 0x68);
    for (unsigned vector = 0; vector < 256; ++vector) {
      gate64(vector, x86::system_type::kInterruptGate);
    }
    x86::CpuState s = tables();
    s.cr0 |= x86::cr0::PG | x86::cr0::WP;
    s.cr3 = at::kPml4;
    s.cr4 = x86::cr4::PAE;
    s.efer = x86::efer::LME | x86::efer::LMA | x86::efer::NXE | x86::efer::SCE;
    cpu_->set_state(s);
  }

  hypervisor::GuestRam ram_;
  std::unique_ptr<Board> board_;
  std::unique_ptr<Cpu> cpu_;
};

}  // namespace ringside::soft::testing
