// The kinds of files that are made under a name which somebody has typed, perhaps a debugger: each
// is known by how it begins, so that one may be replaced by another of its kind, and nothing else
// is.
#pragma once

#include <cstdint>
#include <string_view>

namespace ringside {

enum class FileKind : std::uint8_t {
  Core,
  SavedMachine,
  Trace,  // GDB manual, "Trace File Format"
  Profile,
  CallTrace,
  Memory,  // bytes of the guest, which cannot be told from anything else
};
inline constexpr unsigned kFileKinds = 6;

// "a core", as in "'x' is there already, and is not ...".
std::string_view name_of(FileKind kind);
// The first bytes of such a file; none of what is not known by them alone.
std::string_view beginning_of(FileKind kind);
// `file` is open to be read.
bool is_of_kind(int file, FileKind kind);

}  // namespace ringside
