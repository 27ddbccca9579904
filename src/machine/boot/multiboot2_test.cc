#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "machine/boot/acpi_placement.h"
#include "machine/boot/boot.h"
#include "machine/testing/multiboot2_images.h"

namespace ringside::machine {
namespace {

using ::testing::HasSubstr;
using testing::HeaderTag;
using testing::Image;
using x86::Gpr;

constexpr std::uint16_t kOptional = 1;

class Multiboot2 : public ::testing::Test {
 protected:
  Multiboot2() : ram(hypervisor::GuestRam::create(64u << 20).value()) {}

  Result<BootResult> boot_kernel(const Image& kernel) {
    request.kernel_name = "test-kernel";
    request.kernel = kernel;
    return boot(request, ram);
  }
  BootResult booted(const Image& kernel) {
    Result<BootResult> result = boot_kernel(kernel);
    EXPECT_TRUE(result) << (result ? "" : result.error().text());
    if (!result) return {};
    read_information(result->entry.reg(Gpr::Rbx));
    return *std::move(result);
  }
  // An ELF file at 2 MiB with such a header.
  static Image elf(const std::vector<HeaderTag>& asked) {
    return testing::make_elf32(
        0x200040, {{0x200000, 0x200000, testing::multiboot2_content(asked, 0x200), 0x2000}});
  }
  std::string error(const std::vector<HeaderTag>& asked) {
    const Result<BootResult> result = boot_kernel(elf(asked));
    return result ? "it boots as " + result->format : result.error().text();
  }

  template <typename T>
  T peek(std::uint64_t address) const {
    T value{};
    const std::uint8_t* host = ram.host({address}, sizeof value);
    EXPECT_NE(host, nullptr) << std::hex << address;
    if (host != nullptr) std::memcpy(&value, host, sizeof value);
    return value;
  }
  std::string text_at(std::uint64_t address) const {
    std::string text;
    while (const char c = peek<char>(address + text.size()))
      text += c;
    return text;
  }
  // Goes through the tags as a kernel does.
  void read_information(std::uint64_t at) {
    tags.clear();
    EXPECT_EQ(at % 8, 0u);
    const std::uint64_t end = at + peek<std::uint32_t>(at);
    EXPECT_EQ(peek<std::uint32_t>(at + 4), 0u);
    for (at += 8; at < end; at += (peek<std::uint32_t>(at + 4) + 7) / 8 * 8) {
      const auto type = peek<std::uint32_t>(at);
      if (type == 0) {
        EXPECT_EQ(peek<std::uint32_t>(at + 4), 8u);
        EXPECT_EQ(at + 8, end);
        return;
      }
      tags.emplace(type, at);
    }
    ADD_FAILURE() << "no tag ends the information";
  }
  std::uint64_t tag(std::uint32_t type) const {
    const auto found = tags.find(type);
    EXPECT_NE(found, tags.end()) << type;
    return found == tags.end() ? 0 : found->second;
  }

  hypervisor::GuestRam ram;
  BootRequest request;
  std::multimap<std::uint32_t, std::uint64_t> tags;
};

TEST_F(Multiboot2, AnElfKernelIsEnteredWithItsInformation) {
  request.command_line = "one two";
  const BootResult result = booted(elf({}));
  EXPECT_EQ(result.format, "multiboot 2, ELF32");
  EXPECT_EQ(result.entry.rip, 0x200040u);
  EXPECT_EQ(result.entry.reg(Gpr::Rax), 0x36d76289u);
  EXPECT_EQ(result.entry.cr0 & (x86::cr0::PE | x86::cr0::PG), x86::cr0::PE);
  EXPECT_EQ(result.entry.rflags, x86::rflags::Fixed);

  EXPECT_EQ(text_at(tag(1) + 8), "one two");
  EXPECT_EQ(text_at(tag(2) + 8), "ringside");
  EXPECT_EQ(peek<std::uint32_t>(tag(4) + 8), 639u);
  EXPECT_EQ(peek<std::uint32_t>(tag(4) + 12), 63u * 1024);
  EXPECT_EQ(peek<std::uint32_t>(tag(6) + 4), 16u + 5 * 24);
  EXPECT_EQ(peek<std::uint32_t>(tag(6) + 8), 24u);
  EXPECT_EQ(peek<std::uint64_t>(tag(6) + 16 + 3 * 24), 0x100000u);
  EXPECT_EQ(peek<std::uint64_t>(tag(6) + 16 + 3 * 24 + 8), 63u << 20);
  EXPECT_EQ(peek<std::uint32_t>(tag(6) + 16 + 3 * 24 + 16), 1u);
  EXPECT_EQ(peek<std::uint32_t>(tag(14) + 4), 28u);
  EXPECT_EQ(peek<std::uint32_t>(tag(15) + 4), 44u);
  for (const std::uint32_t rsdp : {14, 15})
    EXPECT_EQ(text_at(tag(rsdp) + 8).substr(0, 8), "RSD PTR ");
  EXPECT_EQ(peek<std::uint64_t>(tag(15) + 8 + 24), peek<std::uint64_t>(kAcpiStart.value + 24));
  EXPECT_EQ(tags.count(21), 0u);
}

TEST_F(Multiboot2, ModulesAreOnPagesWithTheirWords) {
  const Image first(5000, std::byte{1}), second(3, std::byte{2});
  request.modules = {{"first", "alpha beta", first}, {"second", "", second}, {"empty", "x", {}}};
  booted(elf({{.type = 6}}));
  const char* texts[] = {"alpha beta", "", "x"};
  std::uint64_t last_end = 0x202000;
  unsigned i = 0;
  for (auto [at, end] = tags.equal_range(3); at != end; ++at, ++i) {
    const auto begin = peek<std::uint32_t>(at->second + 8);
    const auto stop = peek<std::uint32_t>(at->second + 12);
    EXPECT_EQ(begin % kPageSize, 0u);
    EXPECT_GE(begin, last_end);
    ASSERT_EQ(stop - begin, request.modules[i].content.size());
    if (stop > begin) {
      EXPECT_EQ(peek<std::uint8_t>(stop - 1), i + 1);
    }
    EXPECT_EQ(text_at(at->second + 16), texts[i]);
    last_end = stop;
  }
  EXPECT_EQ(i, 3u);
}

TEST_F(Multiboot2, AddressesInTheHeader) {
  // The header is 0x10 bytes into what is loaded, and 8 bytes of the file are before that.
  Image kernel(0x18);
  const Image header =
      testing::multiboot2_content({{.type = 2, .words = {0x300010, 0x300000, 0x300080, 0x300400}},
                                   {.type = 3, .words = {0x300008}}},
                                  0x100);
  kernel.insert(kernel.end(), header.begin(), header.end());
  kernel[0x87] = std::byte{0xcc};
  *ram.host({0x300080}, 1) = 1;
  const BootResult result = booted(kernel);
  EXPECT_EQ(result.format, "multiboot 2, loaded by the addresses of its header");
  EXPECT_EQ(result.entry.rip, 0x300008u);
  EXPECT_EQ(peek<std::uint32_t>(0x300010), 0xe85250d6u);
  EXPECT_EQ(peek<std::uint8_t>(0x30007f), 0xcc);
  EXPECT_EQ(peek<std::uint8_t>(0x300080), 0);
  // -1: from the beginning of the file.
  testing::put<std::uint32_t>(kernel, 0x18 + 16 + 12, 0xffffffff);
  testing::put<std::uint32_t>(kernel, 0x18 + 16 + 16, 0);
  booted(kernel);
  EXPECT_EQ(peek<std::uint32_t>(0x300010), 0xe85250d6u);
  EXPECT_EQ(peek<std::uint8_t>(0x2ffff8 + 0x87), 0xcc);
}

TEST_F(Multiboot2, AnEntryInTheHeaderIsTaken) {
  EXPECT_EQ(booted(elf({{.type = 3, .words = {0x200123}}})).entry.rip, 0x200123u);
}

TEST_F(Multiboot2, AKernelThatCanMoveIsWhereItWants) {
  const auto entry = [&](std::uint32_t lowest, std::uint32_t highest, std::uint32_t alignment,
                         std::uint32_t preference) {
    const BootResult result =
        booted(elf({{.type = 10, .words = {lowest, highest, alignment, preference}}}));
    const auto base = peek<std::uint32_t>(tag(21) + 8);
    EXPECT_EQ(result.entry.rip, base + 0x40);
    EXPECT_EQ(peek<std::uint32_t>(base), 0xe85250d6u);
    return base;
  };
  EXPECT_EQ(entry(0, 0xffffffff, 0x1000, 0), 0x200000u);
  EXPECT_EQ(entry(0, 0xffffffff, 0x1000, 1), 0x100000u);
  EXPECT_EQ(entry(0x150000, 0xffffffff, 0x30000, 1), 0x150000u);
  EXPECT_EQ(entry(0, 0xffffffff, 0x200000, 2), (64u << 20) - 0x200000);
  EXPECT_EQ(entry(0, 0x2ffffff, 0x1000, 2), 0x3000000u - 0x2000);
  EXPECT_EQ(entry(0x400000, 0x600000, 0x1000, 0), 0x400000u);
  request.modules = {{"module", "", Image(1)}};
  EXPECT_EQ(entry(0, 0xffffffff, 0x1000, 2), (64u << 20) - 0x2000);
  EXPECT_EQ(peek<std::uint32_t>(tag(3) + 8), 0x100000u);
  EXPECT_THAT(error({{.type = 10, .words = {0x5000000, 0x6000000, 1, 0}}}),
              HasSubstr("wants 8K between 0x5000000 and 0x6000000"));
  EXPECT_THAT(error({{.type = 10, .words = {0x400000, 0x400fff, 0, 1}}}), HasSubstr("no room"));
}

TEST_F(Multiboot2, SymbolsAreHandedOn) {
  Image kernel = elf({});
  const auto symbols = static_cast<std::uint32_t>(kernel.size());
  testing::put_text(kernel, symbols, "symbols!");
  const std::size_t headers = kernel.size();
  Elf32_Shdr section{};
  section.sh_type = SHT_STRTAB;
  section.sh_offset = symbols;
  section.sh_size = 8;
  testing::put(kernel, headers, Elf32_Shdr{});
  testing::put(kernel, headers + sizeof section, section);
  testing::put(kernel, offsetof(Elf32_Ehdr, e_shoff), static_cast<std::uint32_t>(headers));
  testing::put<std::uint16_t>(kernel, offsetof(Elf32_Ehdr, e_shentsize), sizeof section);
  testing::put<std::uint16_t>(kernel, offsetof(Elf32_Ehdr, e_shnum), 2);
  testing::put<std::uint16_t>(kernel, offsetof(Elf32_Ehdr, e_shstrndx), 1);
  booted(kernel);
  EXPECT_EQ(peek<std::uint32_t>(tag(9) + 8), 2u);
  EXPECT_EQ(peek<std::uint32_t>(tag(9) + 12), sizeof section);
  EXPECT_EQ(peek<std::uint32_t>(tag(9) + 16), 1u);
  const auto placed = peek<Elf32_Shdr>(tag(9) + 20 + sizeof section);
  EXPECT_EQ(placed.sh_size, 8u);
  ASSERT_NE(placed.sh_addr, 0u);
  EXPECT_EQ(peek<char>(placed.sh_addr), 's');
  EXPECT_EQ(peek<char>(placed.sh_addr + 7), '!');

  section.sh_offset = 0;
  section.sh_size = static_cast<std::uint32_t>(kernel.size());
  testing::put(kernel, headers, section);
  testing::put(kernel, headers + sizeof section, section);
  EXPECT_EQ(boot_kernel(kernel).error().text(),
            "multiboot 2 kernel 'test-kernel' is an ELF file whose symbols overlap");
}

TEST_F(Multiboot2, WhatIsWishedForMayBeLackingWhatIsRequiredMayNot) {
  for (const HeaderTag& fine :
       std::vector<HeaderTag>{{.type = 5, .words = {1024, 768, 32}},           // framebuffer
                              {.type = 4, .words = {2}},                       // it could show text
                              {.type = 4, .flags = kOptional, .words = {1}},   // consoles
                              {.type = 1, .words = {6, 8, 15}},                // information
                              {.type = 1, .flags = kOptional, .words = {99}},  //
                              {.type = 7, .flags = kOptional},                 // UEFI
                              {.type = 9, .words = {0x200000}},
                              {.type = 77, .flags = kOptional, .words = {1, 2}}}) {
    EXPECT_EQ(booted(elf({fine})).format, "multiboot 2, ELF32") << fine.type;
  }
  const std::string name = "multiboot 2 kernel 'test-kernel' ";
  EXPECT_EQ(error({{.type = 4, .words = {1}}}),
            name + "requires a console with graphics, and there is none");
  EXPECT_EQ(error({{.type = 4, .words = {3}}}),
            name + "requires a console; --vga text gives it one");
  EXPECT_EQ(error({{.type = 1, .words = {6, 99}}}),
            name + "requires information of type 99, which is unknown");
  EXPECT_EQ(error({{.type = 7}}),
            name + "wants UEFI's boot services, which only firmware has: start it by --bios");
  EXPECT_EQ(error({{.type = 77}}),
            name + "requires a feature that is not known here (header tag 77)");
}

TEST_F(Multiboot2, ATextScreenIsAConsole) {
  request.text_card = true;
  EXPECT_THAT(error({{.type = 4, .words = {1}}}), HasSubstr("requires a console with graphics"));
  booted(elf({{.type = 4, .words = {3}}}));
  const std::uint64_t screen = tag(8);
  EXPECT_EQ(peek<std::uint32_t>(screen + 4), 32u);
  EXPECT_EQ(peek<std::uint64_t>(screen + 8), 0xb8000u);
  EXPECT_EQ(peek<std::uint32_t>(screen + 16), 160u);  // a row's bytes
  EXPECT_EQ(peek<std::uint32_t>(screen + 20), 80u);
  EXPECT_EQ(peek<std::uint32_t>(screen + 24), 25u);
  EXPECT_EQ(peek<std::uint8_t>(screen + 28), 16);
  EXPECT_EQ(peek<std::uint8_t>(screen + 29), 2);
  request.text_card = false;
  booted(elf({}));
  EXPECT_FALSE(tags.contains(8));
}

TEST_F(Multiboot2, HeadersThatLieAreNamed) {
  EXPECT_THAT(error({{.type = 2, .words = {0x200000, 0x200000, 0, 0}}}),
              HasSubstr("has addresses in its header, but no entry"));
  EXPECT_THAT(error({{.type = 2, .words = {1}}}), HasSubstr("addresses that is cut short"));
  EXPECT_THAT(error({{.type = 10, .words = {1}}}), HasSubstr("relocation that is cut short"));
  Image kernel = elf({{.type = 6}});
  const auto at = static_cast<std::size_t>(std::search(kernel.begin(), kernel.end(),
                                                       testing::kMultiboot2Magic.begin(),
                                                       testing::kMultiboot2Magic.end()) -
                                           kernel.begin());
  testing::put<std::uint32_t>(kernel, at + 16 + 4, 3);
  EXPECT_THAT(boot_kernel(kernel).error().text(), HasSubstr("tag of 3 bytes that cannot be"));
  testing::put<std::uint32_t>(kernel, at + 16 + 4, 0xfffffff0);
  EXPECT_THAT(boot_kernel(kernel).error().text(), HasSubstr("bytes that cannot be"));
}

// As a loader that knows the first protocol alone would: it is the one that kernels are tried with.
TEST_F(Multiboot2, AKernelOfBothIsLoadedByTheFirst) {
  Image content = testing::multiboot2_content({}, 0x200);
  const Image first = testing::multiboot_content();
  std::copy(first.begin(), first.begin() + 12, content.begin() + 0x100);
  const Image kernel = testing::make_elf32(0x200040, {{0x200000, 0x200000, content, 0}});
  EXPECT_EQ(boot_kernel(kernel)->format, "multiboot 1, ELF32");
}

TEST_F(Multiboot2, EveryFieldMayLieAndEveryTruncationIsAnswered) {
  const Image kernels[] = {
      elf({{.type = 1, .words = {1}},
           {.type = 3, .words = {0x200040}},
           {.type = 10, .words = {0, 0xffffffff, 4096, 2}}}),
      testing::multiboot2_content({{.type = 2, .words = {0x300000, 0x300000, 0x300080, 0x300400}},
                                   {.type = 3, .words = {0x300008}}},
                                  0x100)};
  const auto try_it = [&](const Image& image) {
    const Result<BootResult> result = boot_kernel(image);
    if (!result) {
      EXPECT_FALSE(result.error().text().empty());
    }
  };
  for (const Image& kernel : kernels) {
    for (std::size_t at = 0; at + 4 <= std::min<std::size_t>(kernel.size(), 0x120); ++at) {
      for (const std::uint32_t lie : {0u, 1u, 7u, 0x7fffffffu, 0x80000000u, 0xfffff000u, ~0u}) {
        Image broken = kernel;
        testing::put(broken, at, lie);
        try_it(broken);
      }
      try_it(Image(kernel.begin(), kernel.begin() + static_cast<std::ptrdiff_t>(at)));
    }
  }
}

}  // namespace
}  // namespace ringside::machine
