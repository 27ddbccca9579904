// A guest of tests/guests as a file with symbols. A plain value.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace ringside::testing {

class GuestImage {
 public:
  // `name` as in tests/guests/CMakeLists.txt. Throws std::runtime_error when it cannot be read.
  explicit GuestImage(std::string_view name);

  const std::string& path() const { return path_; }
  // The same bytes as a 32-bit ELF file, for QEMU.
  std::string path32() const { return path_ + "32"; }
  // The value of a global symbol; throws std::out_of_range with the name if there is none.
  std::uint64_t operator[](const char* symbol) const;
  std::uint64_t entry() const { return entry_; }

 private:
  std::string path_;
  std::uint64_t entry_ = 0;
  std::map<std::string, std::uint64_t> symbols_;
};

}  // namespace ringside::testing
