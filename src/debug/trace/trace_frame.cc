#include "debug/trace/trace_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace ringside::debug::trace {
namespace {

constexpr std::byte kRegisters{'R'}, kMemory{'M'}, kVariable{'V'};
constexpr std::size_t kMemoryHeader = 1 + 8 + 2, kVariableSize = 1 + 4 + 8;

template <typename T>
T read_as(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
std::byte* write_as(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

}  // namespace

std::byte* FrameWriter::extend(std::size_t size) {
  last_block_ = bytes_.size();
  bytes_.resize(last_block_ + size);
  return bytes_.data() + last_block_;
}

std::span<std::byte> FrameWriter::registers(std::size_t size) {
  std::byte* const block = extend(1 + size);
  *block = kRegisters;
  return {block + 1, size};
}

std::span<std::byte> FrameWriter::memory(Gva address, std::size_t size) {
  std::byte* to = extend(kMemoryHeader + size);
  *to++ = kMemory;
  to = write_as(to, address.value);
  to = write_as(to, static_cast<std::uint16_t>(size));
  return {to, size};
}

void FrameWriter::drop_memory() { bytes_.resize(last_block_); }

void FrameWriter::variable(std::uint32_t number, std::int64_t value) {
  std::byte* to = extend(kVariableSize);
  *to++ = kVariable;
  to = write_as(to, number);
  write_as(to, value);
}

FrameReader::FrameReader(std::span<const std::byte> blocks, std::size_t registers) {
  while (!blocks.empty()) {
    std::size_t size = 0;
    if (blocks[0] == kRegisters) {
      size = 1 + registers;
      if (size > blocks.size()) return;
      registers_ = blocks.subspan(1, registers);
    } else if (blocks[0] == kMemory) {
      if (kMemoryHeader > blocks.size()) return;
      const std::size_t length = read_as<std::uint16_t>(&blocks[9]);
      size = kMemoryHeader + length;
      if (size > blocks.size()) return;
      memory_.push_back(
          {{read_as<std::uint64_t>(&blocks[1])}, blocks.subspan(kMemoryHeader, length)});
    } else if (blocks[0] == kVariable) {
      size = kVariableSize;
      if (size > blocks.size()) return;
      variables_.push_back({read_as<std::uint32_t>(&blocks[1]), read_as<std::int64_t>(&blocks[5])});
    } else {
      return;
    }
    blocks = blocks.subspan(size);
  }
}

// What was collected in several pieces is read as one.
std::vector<std::byte> FrameReader::read(Gva address, std::uint64_t length) const {
  std::vector<std::byte> result;
  while (result.size() < length) {
    const std::uint64_t at = address.value + result.size();
    const auto block = std::find_if(memory_.begin(), memory_.end(), [&](const MemoryBlock& b) {
      return at - b.address.value < b.bytes.size();
    });
    if (block == memory_.end()) break;
    const std::uint64_t skip = at - block->address.value;
    const auto from = block->bytes.begin() + static_cast<std::ptrdiff_t>(skip);
    const std::uint64_t count = std::min(block->bytes.size() - skip, length - result.size());
    result.insert(result.end(), from, from + static_cast<std::ptrdiff_t>(count));
  }
  return result;
}

std::optional<std::int64_t> FrameReader::variable(std::uint32_t number) const {
  for (const Value& value : variables_) {
    if (value.number == number) return value.value;
  }
  return std::nullopt;
}

std::string FrameReader::describe() const {
  std::string text =
      "<?xml version=\"1.0\"?>\n<!DOCTYPE traceframe-info SYSTEM \"traceframe-info.dtd\">\n"
      "<traceframe-info>\n";
  for (const MemoryBlock& block : memory_) {
    text += fmt::format("<memory start=\"{:#x}\" length=\"{:#x}\"/>\n", block.address.value,
                        block.bytes.size());
  }
  for (const Value& value : variables_)
    text += fmt::format("<tvar id=\"{:#x}\"/>\n", value.number);
  return text + "</traceframe-info>\n";
}

}  // namespace ringside::debug::trace
