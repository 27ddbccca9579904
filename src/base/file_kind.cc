#include "base/file_kind.h"

#include <elf.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace ringside {
namespace {

constexpr std::array<std::string_view, kFileKinds> kNames = {
    "a core", "a saved machine", "a trace", "a profile", "a trace of calls", "memory"};

}  // namespace

std::string_view name_of(FileKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

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
