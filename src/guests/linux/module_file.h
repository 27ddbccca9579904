// The file of a kernel module (MODULE.ko), and where its sections are in a guest that has loaded
// it.
//
// Debuggers take the sections of such a file in the file's order, and want all that occupy memory.
// The kernel keeps those that it has kept, with their names: empty ones, the table of versions and
// the like are not among them, so that the file has to be read too.
//
// Pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guests/linux/modules.h"

namespace ringside::guests {

struct FileSection {
  std::string name;
  std::uint64_t size = 0;
};

struct ModuleFile {
  std::vector<FileSection> sections;  // that occupy memory
  std::string build_id;               // the note of that name, whole; empty: there is none
};

// A relocatable ELF file, of 64 or 32 bits; an error in words for anything else.
Result<ModuleFile> read_module_file(std::span<const std::byte> bytes);

// An address for each section of the file. What the kernel has not kept lies, as debuggers are
// told, behind the module's code, where nothing of it is.
std::vector<std::uint64_t> place_sections(const ModuleFile& file, const Module& module);
// Whether it is the file that was loaded: the note with its build ID is the same in memory.
bool is_loaded_file(const ModuleFile& file, const Module& module, const KernelMemory& memory);

// Under which names a module's file may be: the kernel writes each - in them as _. None for a name
// that no file of ours can have.
std::vector<std::string> file_names(std::string_view module);
// What a debugger is told to look for where that file is not here: a name in no folder, whatever
// the guest calls its module.
std::string library_name(std::string_view module);

}  // namespace ringside::guests
