// A kernel that says by addresses in its multiboot header where it is loaded, for files without
// useful headers of their own: in the first protocol (Multiboot 0.6.96, 3.1.3) and in the second
// (Multiboot2 2.0, 3.1.5).
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "machine/boot/boot_image.h"
#include "ringside/types.h"

namespace ringside::machine {

struct LoadAddresses {
  std::uint32_t header = 0, load = 0;
  std::uint32_t load_end = 0;  // 0: all of the file
  std::uint32_t bss_end = 0;   // 0: nothing but what is loaded
};

// What is loaded, and how much memory it takes: the rest is zeros.
struct LoadedPart {
  Gpa base;
  Bytes content;
  std::uint64_t memory_size = 0;
};

// Errors are the end of a sentence that begins with the kernel's name.
Result<LoadedPart> part_by_addresses(Bytes file, std::uint64_t header_offset,
                                     const LoadAddresses& addresses);

}  // namespace ringside::machine
