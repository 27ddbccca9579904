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

class Flavours : public ::testing::TestWithParam<testing::KernelFlavour> {
 protected:
  void SetUp() override {
    // The second task, by which a kernel without types is known.
    guest.process(guest.direct + 0x700000, 2, "kthreadd");
    guest.process(guest.direct + 0x700200, 1, "init");
  }
  bool is_wide() const { return guest.word == Word::Bits64; }
  SyntheticKernel guest{2, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(LinuxKernel, Flavours, ::testing::ValuesIn(testing::kFlavours));

TEST_P(Flavours, AreKnownByTheirOwnTables) {
  guest.build();
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel) << kernel.error().text();
  EXPECT_EQ((*kernel)->word(), guest.word);
  EXPECT_EQ((*kernel)->lowest(), Gva{is_wide() ? 0xffff800000000000 : 0xc0000000});
  EXPECT_EQ((*kernel)->banner(), "Linux version 6.1.0-synthetic (nobody)");
  EXPECT_EQ((*kernel)->moved_by(), 0u);
  EXPECT_EQ((*kernel)->init_task(), Gva{guest.data(0x1000)});
  EXPECT_EQ((*kernel)->module_list(), Gva{guest.data(0x2000)});
  EXPECT_EQ((*kernel)->cpu_count(), 2u);
  EXPECT_TRUE((*kernel)->is_text(Gva{guest.text}));
  EXPECT_FALSE((*kernel)->is_text(Gva{guest.text + 0x80000}));
  ASSERT_TRUE((*kernel)->tasks()) << (*kernel)->tasks().error().text();
  const TaskLayout& task = *(*kernel)->tasks();
  const std::uint32_t offsets[] = {
      task.state.offset, task.pid.offset,          task.tgid.offset,   task.comm.offset,
      task.tasks.offset, task.thread_node.offset,  task.signal.offset, task.thread_head.offset,
      task.stack.offset, task.stack_pointer.offset};
  EXPECT_THAT(offsets, ::testing::ElementsAre(0, 8, 12, 16, 32, 48, 64, 16, 72, 88));
}

TEST_P(Flavours, SayWhatTheirVcpusRun) {
  const std::uint64_t task = guest.direct + 0x1234;
  guest.run(1, task);
  guest.build();
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel);
  const auto running = (*kernel)->running({1});
  ASSERT_TRUE(running);
  EXPECT_EQ(running->task, Gva{task});
  EXPECT_EQ(running->cpu, 1u);
  // In a program the segment is the program's.
  x86::CpuState& cpu = guest.vm.vcpu({1}).cpu;
  std::uint64_t& base = cpu.seg(is_wide() ? x86::SegmentName::Gs : x86::SegmentName::Fs).base;
  cpu.kernel_gs_base = std::exchange(base, 0x7000);
  EXPECT_TRUE((*kernel)->running({1}));
  cpu.kernel_gs_base = 0x1234;
  cpu.gdtr.limit = 0xd0;
  EXPECT_FALSE((*kernel)->running({1})) << "no CPU of this kernel";
  cpu.gdtr = {guest.device, 0xffff};
  EXPECT_FALSE((*kernel)->running({1}));
  EXPECT_TRUE(guest.vm.memory().mmio_log.empty()) << "a device was touched";
}

TEST_P(Flavours, AreFoundFromTheirPrograms) {
  guest.build();
  for (std::uint32_t i = 0; i < 2; ++i) {
    x86::CpuState& cpu = guest.vm.vcpu({i}).cpu;
    cpu.rip = 0x401000;
    cpu.lstar = guest.text + 0x300;
    cpu.seg(x86::SegmentName::Ss).attributes = 0xc0f3;
  }
  EXPECT_TRUE(LinuxKernel::find(guest.vm)) << "by the handler of page faults";
  for (std::uint32_t i = 0; i < 2; ++i) {
    x86::CpuState& cpu = guest.vm.vcpu({i}).cpu;
    cpu.idtr.base = guest.device;
    cpu.sysenter_eip = guest.text + 0x300;
  }
  EXPECT_TRUE(LinuxKernel::find(guest.vm)) << "by where system calls go";
  for (std::uint32_t i = 0; i < 2; ++i)
    guest.vm.vcpu({i}).cpu.sysenter_eip = guest.vm.vcpu({i}).cpu.lstar = 0x1000;
  EXPECT_THAT(error_of(guest.vm), HasSubstr("no vCPU is in a Linux kernel"));
  EXPECT_TRUE(guest.vm.memory().mmio_log.empty()) << "a device was touched";
}

TEST_P(Flavours, HaveTheirVmcoreinfo) {
  const std::string text = "OSRELEASE=6.1\nKERNELOFFSET=3000000\n";
  const std::uint64_t note = guest.data(0xa000);
  guest.put(note, testing::TableWriter()
                      .put<std::uint32_t>(11)
                      .put(static_cast<std::uint32_t>(text.size()))
                      .put<std::uint32_t>(0)
                      .text("VMCOREINFO")
                      .align(Word::Bits32)
                      .raw(text)
                      .bytes());
  guest.poke_word(guest.data(0x5000), note);
  if (guest.has_types) {
    guest.symbols[guest.data(0x5000)] = "vmcoreinfo_data";
    guest.symbols[guest.data(0x5010)] = "vmcoreinfo_size";
    guest.poke_word(guest.data(0x5000), note + 24);
    guest.poke_word(guest.data(0x5010), text.size());
  }
  guest.build();
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel);
  EXPECT_EQ((*kernel)->vmcoreinfo(), text);
  EXPECT_EQ((*kernel)->moved_by(), 0x3000000u);
}

TEST(LinuxKernel, SaysWhatItLacks) {
  SyntheticKernel guest;
  EXPECT_THAT(error_of(guest.vm), HasSubstr("no table of its symbols (kallsyms)"));
  guest.symbols.erase(kText + SyntheticKernel::kTypes);
  guest.symbols.erase(guest.data(0x1000));
  guest.build();
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel);
  ASSERT_FALSE((*kernel)->tasks());
  EXPECT_THAT((*kernel)->tasks().error().text(), HasSubstr("without CONFIG_DEBUG_INFO_BTF"));
  for (unsigned i = 0; i < 2; ++i)
    guest.vm.vcpu({i}).cpu.rip = 0x1000;
  EXPECT_THAT(error_of(guest.vm), HasSubstr("no vCPU is in a Linux kernel"));
}

// To search is much work, and debuggers ask much at a stop.
TEST(LinuxKernels, AreSearchedForWhereTheGuestHasRun) {
  SyntheticKernel guest(1);
  LinuxKernels kernels(guest.vm);
  auto& vcpu = guest.vm.vcpu({0});
  const auto finds = [&](std::uint64_t executed) {
    vcpu.retired = InsnCount{executed};
    return kernels.now().has_value();
  };
  EXPECT_FALSE(finds(16'000'000));
  EXPECT_FALSE(finds(16'000'000));
  EXPECT_THAT(kernels.now().error().text(), HasSubstr("no table of its symbols (kallsyms)"));
  EXPECT_FALSE(finds(16'900'000)) << "in the same image, a little later";
  EXPECT_EQ(kernels.searches(), 1u);
  guest.build();
  EXPECT_TRUE(finds(17'000'000));
  EXPECT_EQ(kernels.searches(), 2u);
  // It has no VMCOREINFO yet, so that it is looked for again, but once for a stop.
  EXPECT_TRUE(finds(17'000'000));
  EXPECT_EQ(kernels.searches(), 2u);
  EXPECT_TRUE(finds(17'000'001));
  EXPECT_EQ(kernels.searches(), 3u);
  // Where nobody counts, registers tell.
  vcpu.retired.reset();
  EXPECT_TRUE(kernels.now() && kernels.now());
  EXPECT_EQ(kernels.searches(), 4u);
  vcpu.cpu.gpr[0] += 1;
  EXPECT_TRUE(kernels.now());
  EXPECT_EQ(kernels.searches(), 5u);
}

TEST(LinuxKernel, ExportsMayBeAddresses) {
  SyntheticKernel guest(1, {Word::Bits32, false});
  guest.put(guest.data(0x8000),
            testing::export_table({{"a", 1}, {"init_task", guest.data(0x1000)}, {"x", 2}, {"y", 3}},
                                  guest.data(0x8000), false));
  guest.build();
  EXPECT_EQ((*LinuxKernel::find(guest.vm))->init_task(), Gva{guest.data(0x1000)});
}

// A kernel with symbols of code alone, whose exports are not in the order of their names.
TEST(LinuxKernel, ExportsThatAreNoneAreNotBelieved) {
  SyntheticKernel guest(1, {Word::Bits32, false});
  guest.put(guest.data(0x8000),
            testing::export_table({{"a", 1}, {"init_task", guest.data(0x1000)}, {"x", 2}, {"y", 3}},
                                  guest.data(0x8000)));
  // The name of the last is before all others.
  const std::uint64_t last = guest.data(0x8000) + 3 * 12 + 4;
  guest.poke(last, static_cast<std::uint32_t>(guest.data(0x8000) + 4 * 12 - last));
  guest.build();
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel);
  EXPECT_FALSE((*kernel)->init_task());
  EXPECT_THAT((*kernel)->tasks().error().text(), HasSubstr("CONFIG_DEBUG_INFO_BTF"));
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

// 32 MiB further, which is all that a 32-bit kernel's memory tells.
TEST(LinuxKernel, A32BitOneThatWasMovedSaysByHowMuch) {
  SyntheticKernel guest(1, {Word::Bits32, true}, 0x2000000);
  guest.build();
  const auto kernel = LinuxKernel::find(guest.vm);
  ASSERT_TRUE(kernel) << kernel.error().text();
  EXPECT_EQ((*kernel)->moved_by(), 0x2000000u);
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
