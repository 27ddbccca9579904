// The boot protocols behind boot(): each says whether a file is its own and then loads it. Errors
// are whole sentences.
#pragma once

#include <optional>

#include "machine/boot/boot.h"
#include "machine/boot/boot_memory.h"
#include "machine/boot/elf_image.h"

namespace ringside::machine {

bool is_multiboot(Bytes kernel);
Result<BootResult> boot_multiboot(const BootRequest& request, BootMemory& memory);

bool is_multiboot2(Bytes kernel);
Result<BootResult> boot_multiboot2(const BootRequest& request, BootMemory& memory);

// An image with Linux's setup header: a bzImage, or anything else that speaks its 32-bit protocol.
bool is_linux_image(Bytes kernel);
Result<BootResult> boot_linux_image(const BootRequest& request, BootMemory& memory);

bool is_linux_elf(const ElfImage& elf);
Result<BootResult> boot_linux_elf(const BootRequest& request, const ElfImage& elf,
                                  BootMemory& memory);

Result<BootResult> boot_pvh(const BootRequest& request, const ElfImage& elf, BootMemory& memory);

// A NUL-terminated string in low memory.
Result<Gpa> place_text(BootMemory& memory, const std::string& text, std::string_view what);

}  // namespace ringside::machine
