// ELF files that are nearly right, as kernels: segments that overlap, that lie at the edges of
// memory, with zeros behind their bytes, notes, a multiboot header or Linux's words in one of them.
// A few numbers of a file are odd, and it may be cut. What boots has its segments in memory as the
// file says, one after the other, whatever the loader has put beside them.
#include <elf.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "choices.h"
#include "loaded_kernel.h"
#include "machine/testing/multiboot2_images.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;
using fuzz::Image;
using machine::Bytes;
using machine::read_at;
using machine::testing::HeaderTag;
using machine::testing::TestSegment;

// What is in a segment, so that a loader takes the file.
enum class Kind : unsigned {
  Nothing,
  Multiboot,
  MultibootByAddresses,
  Pvh,
  Linux,
  Multiboot2,
  Count
};

Image content_of(Choices& choices) {
  constexpr std::size_t kSizes[] = {0, 1, 0x40, 0xfff, 0x1000, 0x1001, 0x3000};
  const std::size_t size = choices.one_of(kSizes);
  const unsigned first = choices.below(256);
  Image content(size);
  for (std::size_t i = 0; i < size; ++i)
    content[i] = static_cast<std::byte>(first + i * 7);
  return content;
}

TestSegment segment_of(Choices& choices, bool is_wide) {
  constexpr std::uint64_t kMegabyte = 1u << 20, kEnd = fuzz::kKernelMemory;
  constexpr std::uint64_t kPlaces[] = {
      kMegabyte,     kMegabyte + 0x800, 2 * kMegabyte, 0,          0x8000,
      0x9f000,       0xa0000,           0xbf000,       0xe0000,    0xff000,
      kEnd - 0x1000, kEnd - 1,          kEnd,          0xfffff000, 1ull << 32,
      ~0ull - 0xfff, kEnd - 0x40,       0xc0000};
  TestSegment segment;
  segment.content = content_of(choices);
  segment.physical = choices.once_in(4) ? choices.odd(kMegabyte) : choices.one_of(kPlaces);
  segment.virtual_address =
      segment.physical + (choices.below(2) == 0 || !is_wide ? 0 : ~0ull << 31);
  constexpr std::uint64_t kZeros[] = {0, 1, 0xfff, 0x2000, 3 * kMegabyte, kEnd, 1ull << 40};
  const unsigned zeros = choices.below(16);
  segment.memory_size = segment.content.size() + kZeros[zeros < std::size(kZeros) ? zeros : 0];
  constexpr std::uint32_t kTypes[] = {PT_LOAD, PT_LOAD, PT_LOAD, PT_LOAD, PT_NULL, PT_DYNAMIC};
  segment.type = choices.one_of(kTypes);
  return segment;
}

// No addresses and nothing that moves the kernel: the file's segments are where they say.
std::vector<HeaderTag> header_tags(Choices& choices) {
  std::vector<HeaderTag> tags;
  for (unsigned left = choices.below(4); left > 0; --left) {
    HeaderTag tag;
    constexpr std::uint16_t kTypes[] = {1, 3, 4, 5, 6, 7, 8, 9, 11, 0};
    tag.type = choices.one_of(kTypes);
    tag.flags = static_cast<std::uint16_t>(choices.below(2));
    for (unsigned words = choices.below(4); words > 0; --words)
      tag.words.push_back(choices.mostly<std::uint32_t>(6));
    tags.push_back(std::move(tag));
  }
  return tags;
}

void add_kind(Choices& choices, Kind kind, std::vector<TestSegment>& segments) {
  TestSegment special;
  switch (kind) {
    case Kind::Multiboot:
      special.content = machine::testing::multiboot_content(choices.mostly<std::uint32_t>(3), 64);
      break;
    case Kind::MultibootByAddresses: {
      special.content = machine::testing::multiboot_content(0x10003, 64);
      const auto load = static_cast<std::uint32_t>(special.physical);
      for (const std::uint32_t address : {load, load, load + 64, load + 0x1000, load + 48})
        machine::testing::put(special.content, special.content.size(),
                              choices.mostly<std::uint32_t>(address));
      std::copy(special.content.begin() + 64, special.content.end(), special.content.begin() + 12);
      special.content.resize(64);
      break;
    }
    case Kind::Pvh:
      special.content = machine::testing::pvh_note(choices.mostly<std::uint32_t>(0x100010));
      // Its sizes, once in a while.
      machine::testing::put(special.content, 0, choices.mostly<std::uint32_t>(4));
      machine::testing::put(special.content, 4, choices.mostly<std::uint32_t>(4));
      special.type = PT_NOTE;
      break;
    case Kind::Multiboot2:
      special.content = machine::testing::multiboot2_content(header_tags(choices), 64);
      break;
    case Kind::Linux:
      machine::testing::put_text(special.content, 0x40, "Linux version 6.1.0-test (nobody)");
      break;
    default:
      return;
  }
  const std::size_t at = choices.below(static_cast<unsigned>(segments.size()) + 1);
  segments.insert(segments.begin() + static_cast<std::ptrdiff_t>(at), std::move(special));
}

// A number of the header, or of a program header, of either class, that is something else.
void make_odd(Choices& choices, Image& file, bool is_wide) {
  struct Field {
    std::size_t offset, size;
  };
  // Class, order of bytes, type, machine, entry; where the program headers are, their size, number.
  constexpr Field kHeader32[] = {{4, 1},  {5, 1},  {16, 2}, {18, 2},
                                 {24, 4}, {28, 4}, {42, 2}, {44, 2}};
  constexpr Field kHeader64[] = {{4, 1},  {5, 1},  {16, 2}, {18, 2},
                                 {24, 8}, {32, 8}, {54, 2}, {56, 2}};
  const std::size_t header = is_wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
  const std::size_t program = is_wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
  const std::size_t word = is_wide ? 8 : 4;
  Field field{};
  if (choices.below(2) == 0) {
    field = choices.one_of(is_wide ? kHeader64 : kHeader32);
  } else {
    // Type; offset, addresses and sizes are words behind it.
    const std::size_t which = choices.below(6);
    field = {header + program * choices.below(4) + which * word, which == 0 ? 4 : word};
  }
  if (field.offset + field.size > file.size()) return;
  std::uint64_t value = 0;
  std::memcpy(&value, &file[field.offset], field.size);
  value = choices.odd(value);
  std::memcpy(&file[field.offset], &value, field.size);
}

// The memory as a file says it, written for this alone: each segment over those before it.
class Expected {
 public:
  template <typename Header, typename Program>
  void load(Bytes file) {
    const auto header = read_at<Header>(file, 0);
    check(header.has_value());
    for (unsigned i = 0; i < header->e_phnum; ++i) {
      const auto program = read_at<Program>(file, header->e_phoff + i * sizeof(Program));
      check(program.has_value());
      if (program->p_type != PT_LOAD) continue;
      check(program->p_filesz <= program->p_memsz);
      check(program->p_offset <= file.size() &&
            program->p_filesz <= file.size() - program->p_offset);
      put({program->p_paddr}, file.subspan(program->p_offset, program->p_filesz), program->p_memsz);
    }
  }
  void put(Gpa at, Bytes content, std::uint64_t size) {
    if (size == 0) return;
    check(at.value <= memory_.size() && size <= memory_.size() - at.value);
    if (!content.empty()) std::memcpy(&memory_[at.value], content.data(), content.size());
    if (size > content.size())
      std::memset(&memory_[at.value + content.size()], 0, size - content.size());
    ranges_.push_back({at.value, at.value + size});
  }
  void compare(fuzz::KernelMemory& memory) const {
    for (const auto& [begin, end] : ranges_) {
      const auto there = memory.at({begin}, end - begin);
      check(there.has_value());
      check(std::memcmp(there->data(), &memory_[begin], end - begin) == 0);
    }
  }
  bool has(Gpa page) const {
    for (const auto& [begin, end] : ranges_) {
      if (begin < page.value + kPageSize && page.value < end) return true;
    }
    return false;
  }

 private:
  struct Range {
    std::uint64_t begin, end;
  };
  // Only what is in a range counts, so that it may be used again.
  static inline Image memory_ = Image(fuzz::kKernelMemory);
  std::vector<Range> ranges_;
};

// Multiboot 0.6.96, 3.1.3, of a header in the first 8 KiB.
void load_by_addresses(Expected& expected, Bytes file) {
  std::uint64_t at = 0;
  while (read_at<std::uint32_t>(file, at) != 0x1badb002 ||
         0x1badb002 + *read_at<std::uint32_t>(file, at + 4) +
                 *read_at<std::uint32_t>(file, at + 8) !=
             0)
    at += 4;
  const auto field = [&](unsigned i) -> std::uint64_t {
    return *read_at<std::uint32_t>(file, at + 12 + 4 * i);
  };
  const std::uint64_t header = field(0), load = field(1), load_end = field(2), bss_end = field(3);
  const std::uint64_t begin = at - (header - load);
  const std::uint64_t size = load_end == 0 ? file.size() - begin : load_end - load;
  expected.put({load}, file.subspan(begin, size),
               std::max(size, bss_end > load ? bss_end - load : 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  const bool is_wide = choices.below(2) == 0;
  const auto kind = static_cast<Kind>(choices.below(static_cast<unsigned>(Kind::Count)));
  std::vector<TestSegment> segments;
  for (unsigned left = choices.below(6); left > 0; --left)
    segments.push_back(segment_of(choices, is_wide));
  add_kind(choices, kind, segments);
  const std::uint64_t entry = choices.mostly<std::uint64_t>(0x100000);
  Image file = is_wide ? machine::testing::make_elf64(entry, segments)
                       : machine::testing::make_elf32(entry, segments);
  for (unsigned left = choices.below(4); left > 0; --left)
    make_odd(choices, file, is_wide);
  if (choices.once_in(8)) file.resize(choices.number<std::uint32_t>() % (file.size() + 1));

  machine::BootRequest request;
  request.kernel_name = "kernel";
  request.kernel = file;
  request.command_line = "console=ttyS0";
  const Image module(choices.once_in(3) ? 0x1801 : 0, std::byte{0x5a});
  if (!module.empty()) request.modules.push_back({"module", "words", module});
  if (choices.once_in(8)) fuzz::give_up_at(request, choices.below(8));
  const auto result = fuzz::boot_twice(request);
  if (!result) return 0;

  Expected expected;
  if (result->format.find("by the addresses") != std::string::npos) {
    load_by_addresses(expected, file);
  } else if (file[EI_CLASS] == std::byte{ELFCLASS64}) {
    expected.load<Elf64_Ehdr, Elf64_Phdr>(file);
  } else {
    expected.load<Elf32_Ehdr, Elf32_Phdr>(file);
  }
  fuzz::KernelMemory& memory = fuzz::kernel_memory();
  expected.compare(memory);
  fuzz::check_beside(
      memory, [&](Gpa page) { return expected.has(page); }, module.size());
  if (result->is_linux)
    fuzz::check_zero_page(memory, *result, request);
  else
    fuzz::check_module(memory, *result, request);
  return 0;
}
