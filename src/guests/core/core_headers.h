// The headers of a core: an ELF file whose first segment is its notes, and the others memory.
//
// Pure functions.
#pragma once

#include <elf.h>

#include <cstdint>

#include "ringside/types.h"

namespace ringside::guests {

// With so many segments, whose headers follow it at once.
Elf64_Ehdr core_header(std::size_t segments);
Elf64_Phdr core_notes_header(std::uint64_t at, std::uint64_t size);
Elf64_Phdr core_segment_header(Gva address, Gpa where, std::uint64_t size, std::uint64_t at);

}  // namespace ringside::guests
