#include "guests/linux/linux_kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guests/linux/testing/synthetic_kernel.h"

namespace ringside::guests {
namespace {

using ::testing::HasSubstr;
using testing::SyntheticKernel;

constexpr std::uint64_t kText = SyntheticKernel::kText;

std::string error_of(hypervisor::Vm& vm) {
  const auto kernel = LinuxKernel::find(vm);
  return kernel ? std::string() : kernel.error().text();
}

TEST(LinuxKernel, IsKnownByItsOwnTables) {
  SyntheticKernel guest;
  guest.build();
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel) << kernel.error().text();
  EXPECT_EQ((*kernel)->banner(), "Linux version 6.1.0-synthetic (nobody)");
  EXPECT_EQ((*kernel)->moved_by(), 0u);
  EXPECT_TRUE((*kernel)->is_text(Gva{kText}));
  EXPECT_FALSE((*kernel)->is_text(Gva{kText + 0x80000}));
  ASSERT_TRUE((*kernel)->tasks()) << (*kernel)->tasks().error().text();
  EXPECT_EQ((*kernel)->tasks()->stack_pointer.offset, 88u);
  ASSERT_TRUE((*kernel)->modules()) << (*kernel)->modules().error().text();
  EXPECT_EQ((*kernel)->modules()->section_size, 24u);
  EXPECT_EQ((*kernel)->module_comes(), Gva{kText + 0x1000});
}

TEST(LinuxKernel, WhatVcpusRunIsTold) {
  SyntheticKernel guest;
  guest.run(1, 0xffff888000001234);
  guest.build();
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel);
  const auto running = (*kernel)->running({1});
  ASSERT_TRUE(running);
  EXPECT_EQ(running->task, Gva{0xffff888000001234});
  EXPECT_EQ(running->cpu, 1u);
  // In a program GS is the program's.
  x86::CpuState& cpu = guest.vm.vcpu({1}).cpu;
  cpu.kernel_gs_base = std::exchange(cpu.seg(x86::SegmentName::Gs).base, 0x7000);
  EXPECT_TRUE((*kernel)->running({1}));
  cpu.kernel_gs_base = 0x1234;
  EXPECT_FALSE((*kernel)->running({1})) << "no CPU of this kernel";
}

TEST(LinuxKernel, SaysWhatItLacks) {
  SyntheticKernel guest;
  EXPECT_THAT(error_of(guest.vm), HasSubstr("no table of its symbols (kallsyms)"));
  guest.symbols.erase(kText + SyntheticKernel::kTypes);
  guest.build();
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel);
  ASSERT_FALSE((*kernel)->tasks());
  EXPECT_THAT((*kernel)->tasks().error().text(), HasSubstr("without CONFIG_DEBUG_INFO_BTF"));
  for (unsigned i = 0; i < 2; ++i)
    guest.vm.vcpu({i}).cpu.rip = 0x1000;
  EXPECT_THAT(error_of(guest.vm), HasSubstr("no vCPU is in a 64-bit Linux kernel"));
  x86::CpuState& cpu = guest.vm.vcpu({0}).cpu;
  cpu.efer = 0;
  cpu.seg(x86::SegmentName::Cs).attributes = 0xc09b;
  cpu.rip = 0xc1000000;
  EXPECT_THAT(error_of(guest.vm), HasSubstr("32-bit code; only 64-bit"));
}

TEST(LinuxKernel, TypesThatLackAMemberAreNamed) {
  SyntheticKernel guest;
  testing::BtfWriter w;
  w.structure("task_struct", 8, {{"pid", w.integer(4), 0}});
  guest.build({}, w.bytes());
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel);
  ASSERT_FALSE((*kernel)->tasks());
  EXPECT_THAT((*kernel)->tasks().error().text(), HasSubstr("__state"));
}

TEST(LinuxKernel, TypesOfHostileSizeAreRefused) {
  SyntheticKernel guest;
  guest.symbols[kText + 0x3fff0000] = "__stop_BTF";
  guest.put(kText + SyntheticKernel::kSymbols, testing::symbol_tables(guest.symbols, kText));
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel);
  ASSERT_FALSE((*kernel)->tasks());
  EXPECT_THAT((*kernel)->tasks().error().text(), HasSubstr("too large"));
}

TEST(LinuxKernel, OneThatWasMovedSaysByHowMuch) {
  SyntheticKernel guest;
  guest.symbols[0x800000] = "phys_startup_64";
  guest.build();
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel);
  EXPECT_EQ((*kernel)->moved_by(), 0x800000u);
}

TEST(LinuxKernels, FindsAnewWhatHasChanged) {
  SyntheticKernel guest;
  guest.build();
  LinuxKernels kernels(guest.vm);
  ASSERT_TRUE(kernels.now());
  guest.put(kText + SyntheticKernel::kSymbols, std::string(0x10000, '\0'));
  EXPECT_FALSE(kernels.now());
}

}  // namespace
}  // namespace ringside::guests
