// bzImages that are nearly right: an ELF kernel packed in one of the ways, behind a setup header of
// which a few numbers are odd, with bytes of the packed data changed or cut off. What boots has the
// kernel in memory, the zero page that the kernel's Documentation/arch/x86/boot.rst describes, and
// the initrd and the command line where that says.
#include <cstdint>
#include <string>
#include <vector>

#include "choices.h"
#include "loaded_kernel.h"
#include "machine/testing/kernel_images.h"
#include "machine/testing/packers.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;
using fuzz::Image;
using machine::Compression;

constexpr std::uint64_t kText = 0x200000;  // of the kernel, physical
constexpr std::size_t kPayload = 2 * 512 + 0x100;

// A small kernel, of zeros so many that it packs well.
struct Kernel {
  Image text, elf;
  bool is_wide;
};

Kernel make_kernel(bool is_wide) {
  Kernel kernel;
  kernel.is_wide = is_wide;
  machine::testing::put_text(kernel.text, 0x40, "Linux version 6.1.0-test (nobody)");
  kernel.text.resize(0x1800, std::byte{0x90});
  const std::uint64_t linked = is_wide ? 0xffffffff81200000 : 0xc1200000;
  const std::vector<machine::testing::TestSegment> segments = {
      {kText, linked, kernel.text, kernel.text.size() + 0x2000, PT_LOAD}};
  kernel.elf = is_wide ? machine::testing::make_elf64(linked + 0x100, segments)
                       : machine::testing::make_elf32(linked + 0x100, segments);
  return kernel;
}

constexpr Compression kAll[] = {Compression::None, Compression::Gzip, Compression::Xz,
                                Compression::Lzma, Compression::Zstd, Compression::Lz4Legacy};

// Packing takes longer than all the rest.
struct Packed {
  Kernel kernel;
  Image payload[std::size(kAll)];
};

const Packed& packed(bool is_wide) {
  const auto make = [](bool wide) {
    Packed all{make_kernel(wide), {}};
    for (std::size_t i = 0; i < std::size(kAll); ++i) {
      all.payload[i] = machine::testing::pack(all.kernel.elf, kAll[i]);
      // As Linux does it.
      machine::testing::put(all.payload[i], all.payload[i].size(),
                            static_cast<std::uint32_t>(all.kernel.elf.size()));
    }
    return all;
  };
  static const Packed wide = make(true), narrow = make(false);
  return is_wide ? wide : narrow;
}

struct Field {
  std::uint64_t offset;
  unsigned size;
};
// setup_sects, boot_flag, the jump that ends the header, the magic, version, kernel_version,
// loadflags, code32_start, initrd_addr_max, kernel_alignment, relocatable_kernel, cmdline_size,
// payload_offset, payload_length, pref_address, init_size.
constexpr Field kFields[] = {{0x1f1, 1}, {0x1fe, 2}, {0x201, 1}, {0x202, 4}, {0x206, 2}, {0x20e, 2},
                             {0x211, 1}, {0x214, 4}, {0x22c, 4}, {0x230, 4}, {0x234, 1}, {0x238, 4},
                             {0x248, 4}, {0x24c, 4}, {0x258, 8}, {0x260, 4}};

void make_odd(Choices& choices, Image& file) {
  const Field field = choices.one_of(kFields);
  std::uint64_t value = 0;
  std::memcpy(&value, &file[field.offset], field.size);
  // Protocols that differ, places where there is memory, and what is in the middle of the packed.
  constexpr std::uint64_t kValues[] = {0x205, 0x206, 0x207, 0x208, 0x209,    0x20a,
                                       0x10,  0x200, 0x100, 256,   0x100000, 0x300000};
  value = choices.below(2) == 0 ? choices.odd(value) : choices.one_of(kValues);
  std::memcpy(&file[field.offset], &value, field.size);
}

void change_payload(Choices& choices, Image& file) {
  for (unsigned left = choices.below(3); left > 0 && file.size() > kPayload; --left) {
    const std::size_t at = kPayload + choices.number<std::uint16_t>() % (file.size() - kPayload);
    file[at] = static_cast<std::byte>(choices.below(256));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  const bool is_wide = choices.below(2) == 0;
  const unsigned packing = choices.below(std::size(kAll) + 1);
  const Packed& made = packed(is_wide);
  // One that only the guest can unpack.
  const Image payload =
      packing == std::size(kAll) ? Image(0x800, std::byte{0xcc}) : made.payload[packing];
  Image file = machine::testing::make_bzimage(payload);
  const unsigned odd = choices.below(4);
  for (unsigned i = 0; i < odd; ++i)
    make_odd(choices, file);
  const bool is_damaged = choices.once_in(4);
  if (is_damaged) change_payload(choices, file);
  const bool is_cut = choices.once_in(8);
  if (is_cut) file.resize(choices.number<std::uint16_t>() % (file.size() + 1));

  machine::BootRequest request;
  request.kernel_name = "kernel";
  request.kernel = file;
  constexpr std::size_t kLengths[] = {0, 1, 13, 255, 256, 2047, 2048, 5000};
  request.command_line = std::string(choices.one_of(kLengths), 'w');
  constexpr std::size_t kSizes[] = {0, 1, 0x1000, 0x1001, 1u << 20, fuzz::kKernelMemory};
  const Image initrd(choices.one_of(kSizes), std::byte{0x5a});
  for (unsigned left = choices.once_in(8) ? 2 : choices.below(2); left > 0; --left)
    request.modules.push_back({"initrd", "", initrd});
  if (choices.once_in(8)) fuzz::give_up_at(request, choices.below(8));
  const auto result = fuzz::boot_twice(request);
  const bool is_right = odd == 0 && !is_damaged && !is_cut && request.command_line.size() <= 2047 &&
                        request.modules.size() <= 1 && initrd.size() <= 1u << 20;
  if (!result) {
    // One that unpacks itself wants to be at 16 MiB, where this guest has nothing.
    check(!is_right || packing == std::size(kAll));
    return 0;
  }
  if (!result->is_linux) return 0;
  fuzz::KernelMemory& memory = fuzz::kernel_memory();
  fuzz::check_zero_page(memory, *result, request);
  if (!is_right || packing == std::size(kAll)) return 0;
  check(result->entry.rip == kText + 0x100);
  check((result->entry.efer != 0) == is_wide);
  Image wanted = made.kernel.text;
  wanted.resize(wanted.size() + 0x2000);
  fuzz::check_content(memory, {kText}, wanted.size(), wanted);
  fuzz::check_beside(
      memory, [](Gpa page) { return page.value - kText < 0x4000; }, initrd.size());
  return 0;
}
