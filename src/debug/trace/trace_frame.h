// What one frame has: blocks of registers, memory and trace state variables (GDB manual, "Trace
// File Format"). FrameWriter makes them, FrameReader finds things in them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ringside/types.h"

namespace ringside::debug::trace {

// A block of memory has its length in 2 bytes.
inline constexpr std::size_t kLongestBlock = 0xffff;

class FrameWriter {
 public:
  // More than this is no frame.
  static constexpr std::size_t kLongest = std::size_t{1} << 20;

  void begin() { bytes_.clear(); }
  bool is_too_long() const { return bytes_.size() > kLongest; }
  std::span<const std::byte> blocks() const { return bytes_; }

  // Where to write the registers, as `g` has them: `size` bytes, valid until the next call.
  std::span<std::byte> registers(std::size_t size);
  // Where to write `size` bytes of memory, at most kLongestBlock; drop_memory() where they cannot
  // be read.
  std::span<std::byte> memory(Gva address, std::size_t size);
  void drop_memory();
  void variable(std::uint32_t number, std::int64_t value);

 private:
  std::byte* extend(std::size_t size);

  std::vector<std::byte> bytes_;
  std::size_t last_block_ = 0;
};

struct MemoryBlock {
  Gva address;
  std::span<const std::byte> bytes;
};

class FrameReader {
 public:
  // `registers`: the size of that block.
  FrameReader(std::span<const std::byte> blocks, std::size_t registers);

  // Empty: they were not collected.
  std::span<const std::byte> registers() const { return registers_; }
  const std::vector<MemoryBlock>& memory() const { return memory_; }
  // From `address` on as far as it was collected, at most `length` bytes.
  std::vector<std::byte> read(Gva address, std::uint64_t length) const;
  std::optional<std::int64_t> variable(std::uint32_t number) const;
  // For qXfer:traceframe-info (GDB manual, "Traceframe Info Format").
  std::string describe() const;

 private:
  std::span<const std::byte> registers_;
  std::vector<MemoryBlock> memory_;
  struct Value {
    std::uint32_t number = 0;
    std::int64_t value = 0;
  };
  std::vector<Value> variables_;
};

}  // namespace ringside::debug::trace
