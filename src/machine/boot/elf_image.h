// An ELF executable for x86 as a boot loader needs it: where its segments go and where it starts.
// The spans point into the file, which must outlive this.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "machine/boot/boot_image.h"
#include "machine/boot/boot_memory.h"

namespace ringside::machine {

struct ElfSegment {
  Gpa physical;
  std::uint64_t virtual_address = 0;
  Bytes content;
  std::uint64_t memory_size = 0;
};

struct ElfImage {
  bool is_64bit = false;
  std::uint64_t entry = 0;
  std::vector<ElfSegment> segments;
  // The 32-bit entry of Xen's PVH protocol, from its note.
  std::optional<std::uint32_t> pvh_entry;

  // The entry where an address of a segment is meant as linked: the physical address it loads at.
  std::uint64_t physical_entry() const;
};

bool is_elf(Bytes file);
// Errors are the end of a sentence that begins with the kernel's name: "is an ELF file for ...".
Result<ElfImage> parse_elf(Bytes file);
// The same of what can be told by the beginning of a file.
Result<void> check_elf_header(Bytes beginning);
// Segments may overlap, but no kernel has more of them in all than there is memory: what is not
// bounded by the file's size would take as long as the file says.
Result<void> check_memory(const ElfImage& elf, const BootMemory& memory, std::string_view name);
Result<void> load_segments(const ElfImage& elf, BootMemory& memory, std::string_view name);

}  // namespace ringside::machine
