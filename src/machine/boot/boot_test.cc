#include "machine/boot/boot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "machine/boot/boot_memory.h"
#include "machine/testing/packers.h"
#include "x86/paging.h"

namespace ringside::machine {
namespace {

using hypervisor::GuestRam;
using testing::Image;
using testing::TestSegment;
using x86::Gpr;
using x86::SegmentName;

constexpr std::uint64_t kRsdpSignature = 0x2052545020445352;  // "RSD PTR "

class Boot : public ::testing::Test {
 protected:
  explicit Boot(std::uint64_t memory = 64u << 20) : ram(GuestRam::create(memory).value()) {}

  // Modules point to what somebody else has.
  std::span<const std::byte> keep(Image image) {
    kept_.push_back(std::move(image));
    return kept_.back();
  }
  Result<BootResult> boot_kernel(const Image& kernel) {
    request.kernel_name = "test-kernel";
    request.kernel = kernel;
    return boot(request, ram);
  }
  BootResult booted(const Image& kernel) {
    Result<BootResult> result = boot_kernel(kernel);
    EXPECT_TRUE(result) << (result ? "" : result.error().text());
    return result ? *std::move(result) : BootResult{};
  }
  std::string error(const Image& kernel) {
    const Result<BootResult> result = boot_kernel(kernel);
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

  GuestRam ram;
  BootRequest request;
  std::deque<Image> kept_;
};

void expect_flat_32bit(const x86::CpuState& cpu) {
  EXPECT_EQ(cpu.cr0 & (x86::cr0::PE | x86::cr0::PG), x86::cr0::PE);
  EXPECT_EQ(cpu.efer, 0u);
  EXPECT_EQ(cpu.rflags, x86::rflags::Fixed);
  const x86::Segment& cs = cpu.seg(SegmentName::Cs);
  EXPECT_TRUE(cs.is_code() && cs.big() && !cs.long_mode() && cs.present() && cs.readable());
  EXPECT_EQ(cs.base, 0u);
  EXPECT_EQ(cs.limit, 0xffffffffu);
  for (const auto name :
       {SegmentName::Ds, SegmentName::Es, SegmentName::Ss, SegmentName::Fs, SegmentName::Gs}) {
    const x86::Segment& segment = cpu.seg(name);
    EXPECT_TRUE(segment.writable() && segment.present());
    EXPECT_EQ(segment.base, 0u);
    EXPECT_EQ(segment.limit, 0xffffffffu);
  }
}

TEST_F(Boot, MultibootElf32EntersFlat32Bit) {
  Image content = testing::multiboot_content();
  testing::put<std::uint32_t>(content, 0x20, 0xfeedface);
  *ram.host({0x101000}, 1) = 0x55;  // must be cleared: it lies in the bss
  request.command_line = "one two";
  const BootResult result =
      booted(testing::make_elf32(0x100010, {{0x100000, 0x100000, content, 0x3000}}));
  EXPECT_EQ(result.format, "multiboot 1, ELF32");
  expect_flat_32bit(result.entry);
  EXPECT_EQ(result.entry.rip, 0x100010u);
  EXPECT_EQ(result.entry.reg(Gpr::Rax), 0x2badb002u);
  EXPECT_EQ(peek<std::uint32_t>(0x100020), 0xfeedfaceu);
  EXPECT_EQ(peek<std::uint8_t>(0x101000), 0);

  const std::uint64_t info = result.entry.reg(Gpr::Rbx);
  EXPECT_EQ(peek<std::uint32_t>(info), 0x24du);
  EXPECT_EQ(peek<std::uint32_t>(info + 4), 639u);
  EXPECT_EQ(peek<std::uint32_t>(info + 8), 63u * 1024);
  EXPECT_EQ(text_at(peek<std::uint32_t>(info + 16)), "test-kernel one two");
  EXPECT_EQ(peek<std::uint32_t>(info + 20), 0u);
  EXPECT_EQ(text_at(peek<std::uint32_t>(info + 64)), "ringside");
  // The descriptor table in memory holds what the segment registers hold.
  const std::uint64_t code = peek<std::uint64_t>(result.entry.gdtr.base + 0x10);
  EXPECT_EQ(x86::segment_from_descriptor(0x10, code).attributes,
            result.entry.seg(SegmentName::Cs).attributes);
}

TEST_F(Boot, MultibootElf64StartsAtThePhysicalAddressOfItsEntry) {
  const BootResult result = booted(testing::make_elf64(
      0xffffffff80100030, {{0x200000, 0xffffffff80100000, testing::multiboot_content(), 0}}));
  EXPECT_EQ(result.format, "multiboot 1, ELF64");
  EXPECT_EQ(result.entry.rip, 0x200030u);
  expect_flat_32bit(result.entry);
}

Image make_addresses(std::uint32_t load_end, std::uint32_t bss_end) {
  Image image(0x20);
  const Image header = testing::multiboot_content(0x10003, 32);
  image.insert(image.end(), header.begin(), header.end());
  testing::put<std::uint32_t>(image, 0x2c, 0x100010);  // header: 0x10 bytes after the load address
  testing::put<std::uint32_t>(image, 0x30, 0x100000);
  testing::put<std::uint32_t>(image, 0x34, load_end);
  testing::put<std::uint32_t>(image, 0x38, bss_end);
  testing::put<std::uint32_t>(image, 0x3c, 0x100008);
  image.resize(0x100, std::byte{0xcc});
  return image;
}

TEST_F(Boot, MultibootByAddresses) {
  *ram.host({0x100080}, 1) = 1;
  const BootResult result = booted(make_addresses(0x100080, 0x100400));
  EXPECT_EQ(result.entry.rip, 0x100008u);
  EXPECT_EQ(peek<std::uint32_t>(0x100010), 0x1badb002u);  // 0x10 bytes of the file are skipped
  EXPECT_EQ(peek<std::uint8_t>(0x10007f), 0xcc);
  EXPECT_EQ(peek<std::uint8_t>(0x100080), 0);
}

TEST_F(Boot, MultibootByAddressesToTheEndOfTheFile) {
  booted(make_addresses(0, 0));
  EXPECT_EQ(peek<std::uint8_t>(0x1000ef), 0xcc);
  EXPECT_EQ(peek<std::uint8_t>(0x1000f0), 0);
}

TEST_F(Boot, MultibootByAddressesRefusesNonsense) {
  EXPECT_EQ(error(make_addresses(0x101000, 0)),
            "multiboot kernel 'test-kernel' is cut short: it should fill 0x100000 to 0x101000 and "
            "has 240 bytes");
  EXPECT_EQ(error(make_addresses(0x1000, 0)),
            "multiboot kernel 'test-kernel' has load addresses that run backwards");
  Image outside = make_addresses(0, 0);
  testing::put<std::uint32_t>(outside, 0x2c, 0x10);
  EXPECT_NE(error(outside).find("lies outside its load address"), std::string::npos);
  EXPECT_NE(error(make_addresses(0, 0xf0000000)).find("not in the guest's 64M of memory"),
            std::string::npos);
}

TEST_F(Boot, MultibootModulesKeepOrderContentAndArguments) {
  request.modules.push_back({"first", "alpha beta", keep(Image(5000, std::byte{1}))});
  request.modules.push_back({"second", "", keep(Image(3, std::byte{2}))});
  request.modules.push_back({"empty", "x", {}});
  const BootResult result = booted(
      testing::make_elf32(0x100010, {{0x100000, 0x100000, testing::multiboot_content(), 0x2000}}));
  const std::uint64_t info = result.entry.reg(Gpr::Rbx);
  ASSERT_EQ(peek<std::uint32_t>(info + 20), 3u);
  const std::uint64_t table = peek<std::uint32_t>(info + 24);
  const char* texts[] = {"first alpha beta", "second", "empty x"};
  std::uint64_t last_end = 0x102000;
  for (unsigned i = 0; i < 3; ++i) {
    const std::uint64_t start = peek<std::uint32_t>(table + i * 16);
    const std::uint64_t end = peek<std::uint32_t>(table + i * 16 + 4);
    EXPECT_EQ(start % kPageSize, 0u);
    EXPECT_GE(start, last_end);
    EXPECT_EQ(end - start, request.modules[i].content.size());
    EXPECT_EQ(text_at(peek<std::uint32_t>(table + i * 16 + 8)), texts[i]);
    if (end > start) {
      EXPECT_EQ(peek<std::uint8_t>(end - 1), i + 1);
    }
    last_end = end;
  }
}

TEST_F(Boot, MultibootRefusesWhatItCannotProvide) {
  const auto with_flags = [this](std::uint32_t flags) {
    return error(testing::make_elf32(0x100010,
                                     {{0x100000, 0x100000, testing::multiboot_content(flags), 0}}));
  };
  EXPECT_EQ(with_flags(7),
            "multiboot kernel 'test-kernel' asks for a video mode (header flag 2), "
            "and there is no display");
  EXPECT_NE(with_flags(0x103).find("requires a feature"), std::string::npos);
}

TEST_F(Boot, ErrorsNameTheKernelAndTheMemory) {
  EXPECT_EQ(error(testing::make_elf32(
                0x100000, {{0x100000, 0x100000, testing::multiboot_content(), 128u << 20}})),
            "a segment of 'test-kernel' wants 128M at 0x100000, which is not in the guest's 64M of "
            "memory");
  request.modules.push_back({"big", "", keep(Image(64u << 20))});
  EXPECT_EQ(
      error(testing::make_elf32(0x100000, {{0x100000, 0x100000, testing::multiboot_content(), 0}})),
      "no room for module 'big' (64M) in the guest's 64M of memory; give it more with -m");
}

// A file of a few MiB could ask for terabytes to be filled.
TEST_F(Boot, SegmentsTakeNoMoreThanThereIs) {
  std::vector<TestSegment> segments(2000, TestSegment{0x200000, 0x200000, Image(1), 48u << 20});
  segments[0] = {0x100000, 0x100000, testing::multiboot_content(), 0};
  EXPECT_EQ(error(testing::make_elf32(0x100010, segments)),
            "the segments of 'test-kernel' take more than the guest's 64M of memory; give it more "
            "with -m");
  segments.resize(2);
  EXPECT_TRUE(boot_kernel(testing::make_elf32(0x100010, segments)));
}

TEST_F(Boot, NotesAreNotGoneThroughForEver) {
  std::vector<TestSegment> segments(40, TestSegment{0, 0, Image(100'000), 0, PT_NOTE});
  segments[0] = {0x100000, 0x100000, Image(64), 0};
  EXPECT_THAT(error(testing::make_elf64(0x100000, segments)),
              ::testing::HasSubstr("is an ELF file with more than 1M of notes"));
}

TEST_F(Boot, KernelsAreToldByTheirBeginning) {
  const auto beginning = [](const Image& image) {
    return std::span<const std::byte>(image).first(std::min(image.size(), kRecognisedBy));
  };
  const Image kernel = testing::make_bzimage(Image(200'000));
  EXPECT_TRUE(recognise("kernel", beginning(kernel)));
  EXPECT_TRUE(recognise("kernel", beginning(testing::make_vmlinux())));
  EXPECT_EQ(recognise("kernel", beginning(Image(200'000))).error().text(),
            error(Image(200'000)).replace(8, 11, "kernel"));
  Image arm = testing::make_vmlinux();
  testing::put<std::uint16_t>(arm, 18, EM_AARCH64);
  EXPECT_THAT(recognise("kernel", beginning(arm)).error().text(),
              ::testing::HasSubstr("is an ELF file for 64-bit ARM"));
}

// What fills memory asks now and then whether it is to go on.
TEST_F(Boot, IsGivenUp) {
  unsigned calls = 0;
  request.meanwhile = [&](const Stage& stage) -> Result<void> {
    EXPECT_EQ(stage.what, "filling memory");
    if (++calls == 2) return fail(ErrorCode::System, "given up");
    return {};
  };
  EXPECT_EQ(error(testing::make_elf32(
                0x100010, {{0x100000, 0x100000, testing::multiboot_content(), 60u << 20}})),
            "given up");
  EXPECT_EQ(calls, 2u);
}

class BootBig : public Boot {
 protected:
  BootBig() : Boot(5ull << 30) {}
};

TEST_F(BootBig, MultibootMapShowsTheHolesAndMemoryAbove4G) {
  const BootResult result = booted(
      testing::make_elf32(0x100010, {{0x100000, 0x100000, testing::multiboot_content(), 0}}));
  const std::uint64_t info = result.entry.reg(Gpr::Rbx);
  struct Entry {
    std::uint64_t base, size;
    std::uint32_t type;
  };
  const Entry expected[] = {{0, 0x9fc00, 1},
                            {0x9fc00, 0x400, 2},
                            {0xe0000, 0x20000, 2},
                            {0x100000, (3ull << 30) - 0x100000, 1},
                            {kPciEcamBase.value, kPciEcamSize, 2},
                            {4ull << 30, 2ull << 30, 1}};
  ASSERT_EQ(peek<std::uint32_t>(info + 44), sizeof expected / sizeof expected[0] * 24);
  std::uint64_t at = peek<std::uint32_t>(info + 48);
  for (const Entry& entry : expected) {
    EXPECT_EQ(peek<std::uint32_t>(at), 20u);
    EXPECT_EQ(peek<std::uint64_t>(at + 4), entry.base);
    EXPECT_EQ(peek<std::uint64_t>(at + 12), entry.size);
    EXPECT_EQ(peek<std::uint32_t>(at + 20), entry.type);
    at += 24;
  }
  EXPECT_EQ(peek<std::uint32_t>(info + 8), 3u * 1024 * 1024 - 1024);
}

// The 64-bit protocol: identity-mapped, RSI at the boot parameters.
void expect_64bit(const x86::CpuState& cpu, const GuestRam& ram) {
  EXPECT_EQ(cpu.efer, x86::efer::LME | x86::efer::LMA);
  EXPECT_EQ(cpu.rflags, x86::rflags::Fixed);
  const x86::Segment& cs = cpu.seg(SegmentName::Cs);
  EXPECT_EQ(cs.selector, 0x10);
  EXPECT_TRUE(cs.is_code() && cs.long_mode() && !cs.big());
  for (const auto name : {SegmentName::Ds, SegmentName::Es, SegmentName::Ss}) {
    EXPECT_EQ(cpu.seg(name).selector, 0x18);
  }
  class Reader final : public x86::PhysicalReader {
   public:
    explicit Reader(const GuestRam& ram) : ram_(ram) {}
    bool read_entry(Gpa address, unsigned size, std::uint64_t& value) override {
      const std::uint8_t* host = ram_.host(address, size);
      if (host == nullptr) return false;
      std::memcpy(&value, host, size);
      return true;
    }
    const GuestRam& ram_;
  } reader(ram);
  const x86::PagingState paging{cpu.cr0, cpu.cr3, cpu.cr4, cpu.efer};
  EXPECT_EQ(x86::paging_mode(paging), x86::PagingMode::Level4);
  for (const std::uint64_t address :
       {0ull, 0x1000000ull, 0x7fffffffull, 0xfee00000ull, 0xffffffffull}) {
    const x86::PageWalk walk = x86::walk(paging, {address}, reader);
    EXPECT_EQ(walk.outcome, x86::PageWalk::Outcome::Mapped);
    EXPECT_EQ(walk.gpa.value, address);
    EXPECT_TRUE(walk.writable && !walk.no_execute);
  }
  EXPECT_EQ(x86::walk(paging, {1ull << 32}, reader).outcome, x86::PageWalk::Outcome::NotPresent);
}

class BootLinux : public Boot, public ::testing::WithParamInterface<Compression> {};

TEST_P(BootLinux, BzImageIsUnpackedAndEnteredIn64BitMode) {
  Image payload = testing::pack(testing::make_vmlinux(), GetParam());
  testing::put<std::uint32_t>(payload, payload.size(), 0x1234);
  request.command_line = "console=ttyS0 quiet";
  request.modules.push_back({"initrd.img", "", keep(Image(0x2345, std::byte{0xab}))});
  const BootResult result = booted(testing::make_bzimage(payload));
  EXPECT_EQ(result.format, "Linux 6.1.0-test, boot protocol 2.15, " +
                               std::string(compression_name(GetParam())) +
                               " unpacked on the host, 64-bit entry");
  EXPECT_EQ(result.entry.rip, 0x1000000u);
  expect_64bit(result.entry, ram);
  EXPECT_EQ(text_at(0x1000040).substr(0, 24), "Linux version 6.1.0-test");

  const std::uint64_t zero = result.entry.reg(Gpr::Rsi);
  EXPECT_EQ(peek<std::uint8_t>(zero + 0x1ef), 0);  // the sentinel
  EXPECT_EQ(peek<std::uint64_t>(peek<std::uint64_t>(zero + 0x70)), kRsdpSignature);
  EXPECT_EQ(peek<std::uint16_t>(zero + 0x206), 0x20f);
  EXPECT_EQ(peek<std::uint8_t>(zero + 0x210), 0xff);
  EXPECT_EQ(peek<std::uint8_t>(zero + 0x211) & 1, 1);
  EXPECT_EQ(text_at(peek<std::uint32_t>(zero + 0x228)), "console=ttyS0 quiet");
  const std::uint64_t initrd = peek<std::uint32_t>(zero + 0x218);
  EXPECT_EQ(peek<std::uint32_t>(zero + 0x21c), 0x2345u);
  EXPECT_EQ(initrd, (64u << 20) - 0x3000);
  EXPECT_EQ(peek<std::uint8_t>(initrd + 0x2344), 0xab);
  ASSERT_EQ(peek<std::uint8_t>(zero + 0x1e8), 5);
  EXPECT_EQ(peek<std::uint64_t>(zero + 0x2d0 + 3 * 20), 0x100000u);
  EXPECT_EQ(peek<std::uint64_t>(zero + 0x2d0 + 3 * 20 + 8), 63u << 20);
  EXPECT_EQ(peek<std::uint32_t>(zero + 0x2d0 + 3 * 20 + 16), 1u);
}

INSTANTIATE_TEST_SUITE_P(Formats, BootLinux,
                         ::testing::Values(Compression::None, Compression::Gzip, Compression::Xz,
                                           Compression::Lzma, Compression::Zstd,
                                           Compression::Lz4Legacy),
                         [](const auto& parameter) {
                           return std::string(compression_name(parameter.param));
                         });

TEST_F(Boot, TheInitrdStaysBelowItsLimitAndOffTheKernel) {
  Image kernel = testing::make_bzimage(testing::make_vmlinux());
  testing::put<std::uint32_t>(kernel, 0x22c, 0x1002fff);  // ends on the kernel's last page
  request.modules.push_back({"initrd.img", "", keep(Image(0x1000))});
  const BootResult result = booted(kernel);
  EXPECT_EQ(peek<std::uint32_t>(result.entry.reg(Gpr::Rsi) + 0x218), 0xfff000u);
}

TEST_F(Boot, AnUnknownPackingIsLeftToTheGuest) {
  Image payload;
  testing::put_text(payload, 0, "BZh91AY&SY");
  const BootResult result = booted(testing::make_bzimage(payload));
  EXPECT_NE(result.format.find("only the guest can unpack, 32-bit entry"), std::string::npos);
  EXPECT_EQ(result.entry.rip, 0x100000u);
  expect_flat_32bit(result.entry);
  EXPECT_EQ(peek<std::uint8_t>(0x100100), 'B');
  EXPECT_EQ(peek<std::uint32_t>(result.entry.reg(Gpr::Rsi) + 0x202), 0x53726448u);
}

TEST_F(Boot, AFlatImageWithTheSetupHeaderGetsThe32BitProtocol) {
  Image kernel = testing::make_bzimage({}, 0x206);
  testing::put<std::uint32_t>(kernel, 0x214, 0x300000);
  EXPECT_EQ(booted(kernel).entry.rip, 0x300000u);
}

TEST_F(Boot, LinuxErrorsNameWhatIsWrong) {
  EXPECT_EQ(
      error(testing::make_bzimage({}, 0x204)),
      "Linux kernel 'test-kernel' speaks boot protocol 2.04; 2.06 or newer is "
      "supported, and firmware starts it from a disk that a boot loader is on (--bios FILE -d "
      "IMAGE)");
  Image real_mode = testing::make_bzimage({}, 0x207);
  testing::put<std::uint32_t>(real_mode, 0x214, 0);
  EXPECT_EQ(error(real_mode),
            "Linux kernel 'test-kernel' has no 32-bit entry, only a real-mode part that needs a "
            "BIOS; firmware starts it from a disk that a boot loader is on (--bios FILE -d IMAGE)");
  Image low = testing::make_bzimage({});
  testing::put<std::uint8_t>(low, 0x211, 0);
  EXPECT_NE(error(low).find("is a zImage"), std::string::npos);
  Image cut = testing::make_bzimage(testing::make_vmlinux());
  cut.resize(cut.size() - 1);
  EXPECT_NE(error(cut).find("is cut short: its packed kernel ends at byte"), std::string::npos);
  cut.resize(1024);
  EXPECT_NE(error(cut).find("its setup code alone is 1024 bytes"), std::string::npos);
  Image damaged = testing::pack(testing::make_vmlinux(), Compression::Xz);
  damaged[40] ^= std::byte{0x55};
  EXPECT_NE(
      error(testing::make_bzimage(damaged)).find("cannot be unpacked: its XZ data is damaged"),
      std::string::npos);
  request.command_line = std::string(2048, 'x');
  EXPECT_EQ(error(testing::make_bzimage(testing::make_vmlinux())),
            "Linux kernel 'test-kernel' takes a command line of at most 2047 bytes; this one has "
            "2048");
}

TEST_F(Boot, VmlinuxGetsThe64BitProtocolEvenWithAPvhNote) {
  request.command_line = "a=b";
  const BootResult result = booted(testing::make_vmlinux());
  EXPECT_EQ(result.format, "Linux ELF64, 64-bit entry");
  expect_64bit(result.entry, ram);
  const std::uint64_t zero = result.entry.reg(Gpr::Rsi);
  EXPECT_EQ(peek<std::uint16_t>(zero + 0x1fe), 0xaa55);
  EXPECT_EQ(peek<std::uint32_t>(zero + 0x202), 0x53726448u);
  EXPECT_EQ(text_at(peek<std::uint32_t>(zero + 0x228)), "a=b");
}

TEST_F(Boot, AnElfWithAPvhNote) {
  request.command_line = "hello";
  request.modules.push_back({"mod", "arg", keep(Image(10, std::byte{7}))});
  const BootResult result =
      booted(testing::make_elf64(0x100000, {{0x100000, 0x100000, Image(16), 0},
                                            {0, 0, testing::pvh_note(0x100008), 0, PT_NOTE}}));
  EXPECT_EQ(result.format, "ELF64 with a PVH note, 32-bit entry");
  expect_flat_32bit(result.entry);
  EXPECT_EQ(result.entry.rip, 0x100008u);
  const std::uint64_t info = result.entry.reg(Gpr::Rbx);
  EXPECT_EQ(peek<std::uint32_t>(info), 0x336ec578u);
  EXPECT_EQ(text_at(peek<std::uint64_t>(info + 24)), "hello");
  EXPECT_EQ(peek<std::uint64_t>(peek<std::uint64_t>(info + 32)), kRsdpSignature);
  ASSERT_EQ(peek<std::uint32_t>(info + 12), 1u);
  const std::uint64_t module = peek<std::uint64_t>(info + 16);
  EXPECT_EQ(peek<std::uint8_t>(peek<std::uint64_t>(module) + 9), 7);
  EXPECT_EQ(text_at(peek<std::uint64_t>(module + 16)), "arg");
  EXPECT_EQ(peek<std::uint32_t>(info + 48), 5u);
}

TEST_F(Boot, WhatIsNotAKernelIsNamed) {
  const auto text_file = [](std::string_view text) {
    Image image;
    testing::put_text(image, 0, text);
    return image;
  };
  EXPECT_EQ(error({}).substr(0, 30), "kernel 'test-kernel' is empty;");
  EXPECT_NE(error({}).find("supported are multiboot 1"), std::string::npos);
  EXPECT_NE(error(text_file("#!/bin/sh\n")).find("is a script"), std::string::npos);
  EXPECT_NE(error(text_file("hello")).find("is of no known format"), std::string::npos);
  EXPECT_NE(error(text_file("MZ")).find("DOS or EFI"), std::string::npos);
  Image sector(512);
  testing::put<std::uint16_t>(sector, 0x1fe, 0xaa55);
  EXPECT_NE(error(sector).find("which firmware starts (--bios"), std::string::npos);
  EXPECT_NE(error(testing::pack(Image(64), Compression::Gzip)).find("is gzip data; unpack it"),
            std::string::npos);
  EXPECT_NE(error(testing::make_elf64(0, {{0x100000, 0, Image(4), 0}})).find("is an ELF64 program"),
            std::string::npos);
  Image arm = testing::make_elf64(0, {{0x100000, 0, Image(4), 0}});
  testing::put<std::uint16_t>(arm, 18, EM_AARCH64);
  EXPECT_NE(error(arm).find("is an ELF file for 64-bit ARM"), std::string::npos);
  Image object = testing::make_elf64(0, {{0x100000, 0, Image(4), 0}});
  testing::put<std::uint16_t>(object, 16, ET_REL);
  EXPECT_NE(error(object).find("object file"), std::string::npos);
}

// Hostile files: nothing is read or written out of bounds (the sanitizers watch), and every answer
// is a result or a sentence.
struct GoodKernel {
  const char* name;
  Image image;
};

std::vector<GoodKernel> good_kernels() {
  const Image multiboot = testing::multiboot_content();
  return {
      {"Multiboot32", testing::make_elf32(0x100010, {{0x100000, 0x100000, multiboot, 0x2000}})},
      {"Multiboot64", testing::make_elf64(0x100010, {{0x100000, 0x100000, multiboot, 0x2000}})},
      {"MultibootAddresses", make_addresses(0x100080, 0x100400)},
      {"Vmlinux", testing::make_vmlinux()},
      {"Pvh", testing::make_elf64(0x100000, {{0x100000, 0x100000, Image(16), 0},
                                             {0, 0, testing::pvh_note(0x100008), 0, PT_NOTE}})},
      {"Zstd", testing::make_bzimage(testing::pack(testing::make_vmlinux(), Compression::Zstd))},
      {"Lz4",
       testing::make_bzimage(testing::pack(testing::make_vmlinux(), Compression::Lz4Legacy))},
      {"Protocol206", testing::make_bzimage({}, 0x206)}};
}

class BootHostile : public Boot, public ::testing::WithParamInterface<GoodKernel> {};
INSTANTIATE_TEST_SUITE_P(Of, BootHostile, ::testing::ValuesIn(good_kernels()),
                         [](const auto& kernel) { return kernel.param.name; });

TEST_P(BootHostile, EveryTruncationIsAnswered) {
  const Image& kernel = GetParam().image;
  for (std::size_t size = 0; size < kernel.size(); size += size < 0x300 ? 1 : 53) {
    const Image cut(kernel.begin(), kernel.begin() + static_cast<std::ptrdiff_t>(size));
    const Result<BootResult> result = boot_kernel(cut);
    if (!result) {
      EXPECT_FALSE(result.error().text().empty());
    }
  }
}

TEST_P(BootHostile, EveryFieldMayLie) {
  const std::uint32_t lies[] = {0, 1, 0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff};
  const Image& kernel = GetParam().image;
  for (std::size_t at = 0; at + 4 <= std::min<std::size_t>(kernel.size(), 0x320); ++at) {
    for (const std::uint32_t lie : lies) {
      Image broken = kernel;
      testing::put(broken, at, lie);
      const Result<BootResult> result = boot_kernel(broken);
      if (!result) {
        EXPECT_FALSE(result.error().text().empty());
      }
    }
  }
}

TEST_F(Boot, FirmwareEndsAt4GAndStartsAtTheResetVector) {
  Image image(256u << 10, std::byte{0x11});
  image.back() = std::byte{0x22};
  const auto result = boot_firmware("bios.bin", image, 0, ram);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->entry.seg(SegmentName::Cs).base + result->entry.rip, 0xfffffff0u);
  EXPECT_EQ(peek<std::uint8_t>(0xffffffff), 0x22);
  EXPECT_EQ(peek<std::uint8_t>(0xfffff), 0x22);
  EXPECT_EQ(peek<std::uint8_t>(0xe0000), 0x11);
  EXPECT_EQ(peek<std::uint8_t>(0xc0000), 0x11);
  EXPECT_FALSE(boot_firmware("odd", Image(1000), 0, ram));
  EXPECT_FALSE(boot_firmware("none", {}, 0, ram));
  EXPECT_EQ(boot_firmware("code", Image(1u << 20), (15u << 20) + 4096, ram).error().text(),
            "firmware 'code' has 1M, and its variables 15364K; together they may have 16M");
}

}  // namespace
}  // namespace ringside::machine
