#include "guests/linux/vmcoreinfo.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "guests/linux/kernel_image.h"
#include "hypervisor/testing/fake_vm.h"

namespace ringside::guests {
namespace {

using hypervisor::testing::FakeVm;
using ::testing::HasSubstr;

std::string note(std::string_view text, std::string_view name = "VMCOREINFO",
                 std::optional<std::uint32_t> size = std::nullopt) {
  const Elf64_Nhdr header{static_cast<std::uint32_t>(name.size() + 1),
                          size.value_or(static_cast<std::uint32_t>(text.size())), 0};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes += name;
  bytes.resize((bytes.size() + 4) / 4 * 4);
  bytes += text;
  bytes.resize(kPageSize);
  return bytes;
}

std::optional<std::string> parse(const std::string& page) {
  return vmcoreinfo_note(std::as_bytes(std::span(page)));
}

TEST(VmcoreinfoNote, IsWhatTheKernelKeeps) {
  EXPECT_EQ(parse(note("OSRELEASE=6.1\nPAGESIZE=4096\n")), "OSRELEASE=6.1\nPAGESIZE=4096\n");
}

TEST(VmcoreinfoNote, WhatIsNoneIsRefused) {
  EXPECT_FALSE(parse(note("OSRELEASE=6.1\n", "VMCOREINFX")));
  EXPECT_FALSE(parse(note("OSRELEASE=6.1\n", "VMCOREINFO-"))) << "a longer name";
  EXPECT_FALSE(parse(note("PAGESIZE=4096\n")));
  EXPECT_FALSE(parse(note("OSRELEASE=6.1\n", "VMCOREINFO", 5000))) << "longer than the page";
  EXPECT_FALSE(parse(note("OSRELEASE=6.1\n", "VMCOREINFO", 0xffffffff)));
  EXPECT_FALSE(parse(note("OSRELEASE=6.1\x80\n"))) << "not text";
  EXPECT_FALSE(parse(note("OSRELEASE=6.1\n", "VMCOREINFO", 100))) << "zeros are no text";
  EXPECT_FALSE(parse(std::string(8, '\0')));
  EXPECT_FALSE(parse(""));
}

TEST(VmcoreinfoNote, TellsWhereThePageTablesAre) {
  EXPECT_EQ(kernels_page_table("SYMBOL(swapper_pg_dir)=ffffffff82a10000\nNUMBER(phys_base)=4096\n"),
            0x2a11000u);
  EXPECT_EQ(kernels_page_table("SYMBOL(swapper_pg_dir)=ffffffff82a10000\nNUMBER(phys_base)=-4096"),
            0x2a0f000u);
  EXPECT_FALSE(kernels_page_table("SYMBOL(swapper_pg_dir)=ffffffff82a10000\n"));
  EXPECT_FALSE(kernels_page_table("SYMBOL(swapper_pg_dir)=x\nNUMBER(phys_base)=0\n"));
  EXPECT_FALSE(kernels_page_table("SYMBOL(swapper_pg_dir)=10\nNUMBER(phys_base)=0\n"));
  EXPECT_FALSE(kernels_page_table(""));
}

// A 64-bit kernel whose image lies at 0x200000, moved by 32 MiB from where it was linked.
class Search : public ::testing::Test {
 protected:
  Search() {
    vm.memory().add_ram({0}, 0x400000);
    x86::CpuState& cpu = vm.vcpu({0}).cpu;
    cpu.cr0 = x86::cr0::PE | x86::cr0::PG;
    cpu.cr4 = x86::cr4::PAE;
    cpu.efer = x86::efer::LME | x86::efer::LMA;
    cpu.seg(x86::SegmentName::Cs).attributes = 0xa09b;
    cpu.cr3 = 0x1000;
    cpu.rip = 0xffffffff83000123;
    vm.memory().poke<std::uint64_t>({0x1000 + 511 * 8}, 0x2003);
    vm.memory().poke<std::uint64_t>({0x2000 + 510 * 8}, 0x3003);
    vm.memory().poke<std::uint64_t>({0x3000 + 24 * 8}, 0x200083);
  }
  void put(std::uint64_t address, std::string_view text) {
    for (const char c : text)
      vm.memory().poke({address++}, c);
  }
  VmcoreinfoSearch search() {
    VmcoreinfoSearch search(vm);
    while (!search.advance()) {
    }
    return search;
  }
  FakeVm vm;
};

TEST_F(Search, FindsTheNoteAtTheBeginningOfAPage) {
  put(0x301000, note("OSRELEASE=6.1\n"));
  put(0x300010, note("OSRELEASE=not at the beginning\n").substr(0, 100));
  const VmcoreinfoSearch found = search();
  EXPECT_EQ(found.origin(), VmcoreinfoOrigin::Kernels);
  EXPECT_EQ(found.text(), "OSRELEASE=6.1\n");
}

TEST_F(Search, AFormerKernelsNoteIsNotTaken) {
  put(0x301000, note("OSRELEASE=5.10\nNUMBER(phys_base)=0\n"));
  EXPECT_EQ(search().origin(), VmcoreinfoOrigin::None);
  put(0x302000, note("OSRELEASE=6.1\nNUMBER(phys_base)=-48234496\n"));
  EXPECT_EQ(search().text(), "OSRELEASE=6.1\nNUMBER(phys_base)=-48234496\n");
}

TEST_F(Search, WithoutAKernelThereIsNothing) {
  EXPECT_EQ(search().origin(), VmcoreinfoOrigin::None);
  put(0x250000, "Linux version 6.1.0 (somebody)");
  vm.vcpu({0}).cpu.rip = 0x1000;
  EXPECT_EQ(search().origin(), VmcoreinfoOrigin::None) << "nobody is in a kernel";
  vm.vcpu({0}).cpu.lstar = 0xffffffff83000200;
  EXPECT_EQ(search().origin(), VmcoreinfoOrigin::Inferred) << "a program's system calls go there";
}

TEST_F(Search, AKernelThatKeepsNoneYetIsRecognised) {
  put(0x250000, "Linux version %s (%s)");
  put(0x250100, "Linux version 6 (without a dot)");
  put(0x250200, "Linux version 6.");
  put(0x250300, "Linux version 6.1.0-" + std::string(100, 'x') + " (somebody)");
  put(0x251ff5, "Linux version 6.1.0-56-amd64 (over the end of a page)");
  const VmcoreinfoSearch found = search();
  EXPECT_EQ(found.origin(), VmcoreinfoOrigin::Inferred);
  EXPECT_EQ(found.text(),
            "OSRELEASE=6.1.0-56-amd64\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffff82e01000\n"
            "NUMBER(phys_base)=-48234496\nSYMBOL(init_top_pgt)=ffffffff82e01000\n"
            "NUMBER(pgtable_l5_enabled)=0\nKERNELOFFSET=2000000\n");
  EXPECT_EQ(kernels_page_table(found.text()), 0x1000u);
}

TEST_F(Search, MemoryThatCannotBeShownIsRead) {
  vm.memory().views = false;
  put(0x251ff5, "Linux version 6.1.0-56-amd64 (over the end of a page)");
  EXPECT_THAT(search().text(), HasSubstr("OSRELEASE=6.1.0-56-amd64\n"));
}

}  // namespace
}  // namespace ringside::guests
