#include "debug/target/vcpu_words.h"

#include <gtest/gtest.h>

#include "hypervisor/testing/fake_vm.h"
#include "ringside/x86/bits.h"

namespace ringside::debug {
namespace {

using hypervisor::VcpuActivity;

x86::CpuState state_in(std::uint64_t cr0, std::uint64_t efer, std::uint16_t code, unsigned cpl) {
  x86::CpuState state;
  state.cr0 = cr0;
  state.efer = efer;
  state.seg(x86::SegmentName::Cs).attributes = code;
  state.seg(x86::SegmentName::Ss).attributes =
      static_cast<std::uint16_t>(x86::kAttributesData32 | cpl << 5);
  return state;
}

TEST(VcpuWords, EveryMode) {
  using namespace x86;
  constexpr std::uint64_t kProtected = cr0::PE, kLong = efer::LMA | efer::LME;
  EXPECT_EQ(words_of_mode(state_in(0, 0, kAttributesCode16, 3)), "real mode");
  EXPECT_EQ(words_of_mode(state_in(kProtected, 0, kAttributesCode16, 0)),
            "protected mode 16-bit, CPL 0");
  EXPECT_EQ(words_of_mode(state_in(kProtected, 0, kAttributesCode32, 3)),
            "protected mode 32-bit, CPL 3");
  EXPECT_EQ(words_of_mode(state_in(kProtected, kLong, kAttributesCode64, 1)), "long mode, CPL 1");
  EXPECT_EQ(words_of_mode(state_in(kProtected, kLong, kAttributesCode32, 3)),
            "compatibility mode 32-bit, CPL 3");
  EXPECT_EQ(words_of_mode(state_in(kProtected, kLong, kAttributesCode16, 2)),
            "compatibility mode 16-bit, CPL 2");
  x86::CpuState task = state_in(kProtected, 0, kAttributesCode16, 3);
  task.rflags |= rflags::VM;
  EXPECT_EQ(words_of_mode(task), "virtual-8086, CPL 3");
}

TEST(VcpuWords, WhatAVcpuInTheGuestDoesIsSaidWithoutItsRegisters) {
  hypervisor::testing::FakeVm vm;
  hypervisor::testing::FakeVcpu& vcpu = vm.vcpu({0});
  vcpu.cpu = state_in(x86::cr0::PE, 0, x86::kAttributesCode32, 0);
  EXPECT_EQ(describe(vcpu), "running, protected mode 32-bit, CPL 0");
  vm.set_halted({0}, true);
  EXPECT_EQ(describe(vcpu), "halted, protected mode 32-bit, CPL 0");
  vcpu.doing = VcpuActivity::WaitingForStartUp;
  EXPECT_EQ(describe(vcpu), "waiting for start-up");
  vcpu.doing = VcpuActivity::Dead;
  EXPECT_EQ(describe(vcpu), "dead, protected mode 32-bit, CPL 0");
  vcpu.doing.reset();
  vm.resume({0});
  EXPECT_EQ(describe(vcpu), "halted");
  vm.set_halted({0}, false);
  EXPECT_EQ(describe(vcpu), "running");
}

}  // namespace
}  // namespace ringside::debug
