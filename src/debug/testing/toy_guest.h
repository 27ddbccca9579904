// A guest for the debug server's unit tests: it executes a handful of real x86 instructions from a
// FakeVm's memory, one when the test says so, and honours traps, breakpoint exits, injected
// exceptions and interrupt masks as ringside/vm.h demands. Flat protected mode, no paging unless
// the test sets it up. Owned by the test; one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "hypervisor/testing/fake_vm.h"
#include "ringside/x86/bits.h"

namespace ringside::debug::testing {

namespace opcode {
inline constexpr std::uint8_t kNop = 0x90, kIncRax = 0x40, kInt3 = 0xcc, kRep = 0xf3, kHlt = 0xf4,
                              kJump = 0xeb, kStosb = 0xaa;
}

// Parks at once as FakeVm does, or, when `lazy`, only when the test says so, so that other events
// may come first.
class LazyVm final : public hypervisor::testing::FakeVm {
 public:
  using FakeVm::FakeVm;
  void suspend(VcpuId id) override {
    if (lazy) {
      asked_.push_back(id);
    } else {
      FakeVm::suspend(id);
    }
  }
  void resume(VcpuId id) override {
    // The event of the last time in the guest was the answer to any suspend.
    std::erase(asked_, id);
    FakeVm::resume(id);
  }
  void park_all() {
    for (const VcpuId id : std::exchange(asked_, {}))
      FakeVm::suspend(id);
  }
  bool lazy = false;

 private:
  std::vector<VcpuId> asked_;
};

class ToyGuest {
 public:
  static constexpr std::uint64_t kHandler = 0x500;  // where #BP and interrupts arrive

  explicit ToyGuest(unsigned vcpus) : vm(vcpus) {
    vm.memory().add_ram(Gpa{0}, 0x10000);
    for (unsigned i = 0; i < vcpus; ++i) {
      x86::CpuState& cpu = vm.vcpu({i}).cpu;
      cpu.cr0 = x86::cr0::PE | x86::cr0::ET;
      cpu.seg(x86::SegmentName::Cs).base = 0;
      cpu.rip = 0x1000;
    }
  }

  void write(std::uint64_t address, std::initializer_list<std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes)
      vm.memory().poke(Gpa{address++}, byte);
  }
  std::uint8_t byte(std::uint64_t address) { return vm.memory().peek<std::uint8_t>(Gpa{address}); }
  std::uint64_t rip(unsigned i) { return vm.vcpu({i}).cpu.rip; }
  std::uint64_t& rax(unsigned i) { return vm.vcpu({i}).cpu.reg(x86::Gpr::Rax); }

  // One instruction (or delivery) on every vCPU that is in the guest.
  void run(unsigned rounds = 1) {
    for (unsigned round = 0; round < rounds; ++round) {
      for (unsigned i = 0; i < vm.vcpu_count(); ++i)
        run_one(i);
    }
  }

  void run_one(unsigned i) {
    using hypervisor::Capability;
    hypervisor::testing::FakeVcpu& vcpu = vm.vcpu({i});
    if (!vcpu.in_guest()) return;
    if (interrupt_pending[i] && !vcpu.has(Capability::MaskInterrupts)) {
      interrupt_pending[i] = false;
      vm.set_halted({i}, false);
      vcpu.cpu.rip = kHandler;
    }
    if (vcpu.halted()) return;
    if (vcpu.injected) {
      frames.push_back(vcpu.cpu.rip + vcpu.entry_length);
      vcpu.injected.reset();
      vcpu.entry_length = 1;
      vcpu.cpu.rip = kHandler;
    } else if (!execute(i, vcpu)) {
      return;
    }
    if (vcpu.has(Capability::MonitorTrap)) vm.happen({i}, hypervisor::exit::MonitorTrap{});
  }

  LazyVm vm;
  std::vector<std::uint64_t> frames;  // RIPs pushed by delivered #BPs
  bool interrupt_pending[64] = {};

 private:
  // False when the instruction did not complete.
  bool execute(unsigned i, hypervisor::testing::FakeVcpu& vcpu) {
    std::uint64_t& rip = vcpu.cpu.rip;
    const std::uint8_t code = byte(rip);
    switch (code) {
      case opcode::kIncRax:
        ++rax(i), ++rip;
        return true;
      case opcode::kHlt:
        ++rip, vm.set_halted({i}, true);
        return true;
      case opcode::kJump:
        rip += 2 + static_cast<std::uint64_t>(static_cast<std::int8_t>(byte(rip + 1)));
        return true;
      case opcode::kStosb:
        vm.memory().poke(Gpa{vcpu.cpu.reg(x86::Gpr::Rdi)++}, static_cast<std::uint8_t>(rax(i)));
        ++rip;
        return true;
      case opcode::kInt3:
        return breakpoint(i, vcpu, 1);
      case opcode::kRep:
        if (byte(rip + 1) == opcode::kInt3) return breakpoint(i, vcpu, 2);
        rip += 2;
        return true;
      default:
        ++rip;
        return true;
    }
  }
  bool breakpoint(unsigned i, hypervisor::testing::FakeVcpu& vcpu, std::uint8_t length) {
    if (vcpu.has(hypervisor::Capability::BreakpointExit)) {
      vm.happen({i}, hypervisor::exit::Breakpoint{length});
      return false;
    }
    frames.push_back(vcpu.cpu.rip + length);
    vcpu.cpu.rip = kHandler;
    return true;
  }
};

}  // namespace ringside::debug::testing
