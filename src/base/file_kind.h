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
  Memory,  // bytes of the guest, which cannot be told from anything else: never replaced
};
inline constexpr unsigned kFileKinds = 6;

// "a core", as in "'x' is there already, and is not ...".
std::string_view name_of(FileKind kind);
// The first bytes of such a file; none of what cannot be known by them.
constexpr std::string_view beginning_of(FileKind kind) {
  switch (kind) {
    case FileKind::Core:
      return "\x7f"
             "ELF";
    case FileKind::SavedMachine:
      return "ringside saved\r\n";
    case FileKind::Trace:
      return "\x7fTRACE0\n";
    case FileKind::Profile:
      return "# a profile of a guest, by ringside\n";
    case FileKind::CallTrace:
      return "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
    case FileKind::Memory:
      break;
  }
  return {};
}
// `file` is open to be read.
bool is_of_kind(int file, FileKind kind);

}  // namespace ringside
