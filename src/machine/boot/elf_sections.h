// An ELF kernel's section headers for a loader that hands them on: the kernel finds its symbols by
// them.
#pragma once

#include "base/result.h"
#include "machine/boot/boot_image.h"
#include "machine/boot/boot_memory.h"
#include "machine/boot/multiboot2_information.h"

namespace ringside::machine {

// Of a file that parse_elf has taken. Symbol and string tables that no segment has are placed at
// `from` or above, and their headers have their addresses. Errors are the end of a sentence that
// begins with the kernel's name.
Result<SectionHeaders> place_sections(Bytes file, BootMemory& memory, Gpa from);

}  // namespace ringside::machine
