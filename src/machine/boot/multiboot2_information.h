// What a multiboot 2 kernel is told (Multiboot2 Specification 2.0, 3.6): a list of tags.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "machine/boot/boot_image.h"
#include "machine/boot/boot_memory.h"

namespace ringside::machine {

// The section headers of an ELF file, with the addresses of sections as they are in memory.
struct SectionHeaders {
  std::uint32_t count = 0, entry_size = 0, names = 0;
  std::vector<std::byte> headers;
};

class Multiboot2Information {
 public:
  void add_command_line(std::string_view text) { add_text(kCommandLine, text); }
  void add_loader_name(std::string_view text) { add_text(kLoaderName, text); }
  void add_module(Gpa begin, Gpa end, std::string_view text);
  // The memory map, and of it how much is at the beginning, and from 1 MiB on.
  void add_memory(const std::vector<MemoryRange>& map);
  void add_sections(const SectionHeaders& sections);
  // Of ACPI 1.0 and of 2.0; a copy.
  void add_rsdp(Bytes rsdp);
  void add_load_base(Gpa base);
  // The text screen that platform_map.h describes.
  void add_text_screen();

  std::vector<std::byte> finish();

 private:
  enum TagType : std::uint32_t {
    kEnd = 0,
    kCommandLine = 1,
    kLoaderName = 2,
    kModule = 3,
    kBasicMemory = 4,
    kMemoryMap = 6,
    kFramebuffer = 8,
    kElfSections = 9,
    kOldRsdp = 14,
    kNewRsdp = 15,
    kLoadBase = 21,
  };
  void add(TagType type, std::vector<std::byte> content);
  void add_text(TagType type, std::string_view text);

  std::vector<std::byte> bytes_ = std::vector<std::byte>(8);  // the size, and zeros
};

}  // namespace ringside::machine
