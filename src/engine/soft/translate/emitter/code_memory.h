// Memory for host code: one mapping to write it and another one to execute it, of the same pages,
// so that no page is writable and executable in one mapping. Beside the executable mapping lies
// data that host code reads by short distances. Owned by the translator.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace ringside::soft {

class CodeMemory {
 public:
  // `data_bytes` is rounded up to pages. Fails where the host forbids executable memory.
  static Result<CodeMemory> create(std::size_t code_bytes, std::size_t data_bytes);
  CodeMemory(CodeMemory&& other) noexcept;
  CodeMemory& operator=(CodeMemory&&) = delete;
  ~CodeMemory();

  std::uint8_t* writable() const { return writable_; }
  const std::uint8_t* executable() const { return executable_; }
  std::size_t code_bytes() const { return code_bytes_; }
  std::uint8_t* data() const { return executable_ + mapped_; }
  std::size_t data_bytes() const { return data_bytes_; }

 private:
  CodeMemory() = default;
  std::uint8_t* writable_ = nullptr;
  std::uint8_t* executable_ = nullptr;  // the data follows
  std::size_t mapped_ = 0;              // whole pages that have room for the code
  std::size_t code_bytes_ = 0, data_bytes_ = 0;
};

}  // namespace ringside::soft
