// The header of a multiboot 2 kernel (Multiboot2 Specification 2.0, 3.1): what it asks of its
// loader. Everything in it may be a lie.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "machine/boot/boot_image.h"
#include "machine/boot/multiboot_addresses.h"

namespace ringside::machine {

// Where a kernel that can be moved may be: wholly between `lowest` and `highest`.
struct Relocation {
  enum class Preference : std::uint32_t { None = 0, Lowest = 1, Highest = 2 };
  std::uint32_t lowest = 0, highest = 0, alignment = 0;
  Preference preference = Preference::None;
};

struct Multiboot2Header {
  std::uint64_t offset = 0;  // in the file
  std::optional<LoadAddresses> addresses;
  std::optional<std::uint32_t> entry;
  std::optional<Relocation> relocation;
  bool requires_console = false;  // some console must be there
  bool shows_text = false;        // and one with text serves
};

// Where it is in the file, if there is one.
std::optional<std::uint64_t> find_multiboot2_header(Bytes kernel);
// Errors are the end of a sentence that begins with the kernel's name: what it asks for that is not
// here, or what is wrong with it.
Result<Multiboot2Header> parse_multiboot2_header(Bytes kernel, std::uint64_t offset);

}  // namespace ringside::machine
