#include "base/file_kind.h"

#include <elf.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

namespace ringside {
namespace {

struct Description {
  std::string_view name, beginning;
};
constexpr std::array<Description, kFileKinds> kDescriptions = {{
    {"a core", {ELFMAG, SELFMAG}},
    {"a saved machine", "ringside saved\r\n"},
    {"a trace", "\x7fTRACE0\n"},
    {"a profile", "# a profile of a guest, by ringside\n"},
    {"a trace of calls", "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"},
    {"memory that was saved before", ""},
}};

const Description& describe(FileKind kind) { return kDescriptions[static_cast<std::size_t>(kind)]; }

}  // namespace

std::string_view name_of(FileKind kind) { return describe(kind).name; }

std::string_view beginning_of(FileKind kind) { return describe(kind).beginning; }

bool is_of_kind(int file, FileKind kind) {
  const std::string_view beginning = beginning_of(kind);
  if (beginning.empty()) return false;
  Elf64_Ehdr header{};
  std::array<char, sizeof header> begin{};
  const ssize_t count = ::pread(file, begin.data(), begin.size(), 0);
  if (count < static_cast<ssize_t>(beginning.size()) ||
      std::memcmp(begin.data(), beginning.data(), beginning.size()) != 0)
    return false;
  if (kind != FileKind::Core) return true;
  std::memcpy(&header, begin.data(), sizeof header);
  return count == static_cast<ssize_t>(sizeof header) && header.e_type == ET_CORE;
}

}  // namespace ringside
