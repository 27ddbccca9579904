// A disk in memory that can be told to fail. For tests only.
#pragma once

#include <cstring>
#include <vector>

#include "machine/storage/block_backend.h"

namespace ringside::machine::testing {

class MemoryDisk final : public BlockBackend {
 public:
  std::vector<std::byte> content;
  bool is_read_only = false;
  bool broken = false;
  unsigned flushes = 0;
  std::uint64_t moved = 0;  // bytes
  unsigned waits = 0;       // how often a flush is not over yet

  explicit MemoryDisk(std::size_t size) : content(size) {}
  std::uint64_t size() const override { return content.size(); }
  bool read_only() const override { return is_read_only; }
  bool read(std::uint64_t offset, std::span<std::byte> out) override {
    moved += out.size();
    if (!broken) std::memcpy(out.data(), content.data() + offset, out.size());
    return !broken;
  }
  bool write(std::uint64_t offset, std::span<const std::byte> data) override {
    moved += data.size();
    if (!broken) std::memcpy(content.data() + offset, data.data(), data.size());
    return !broken;
  }
  Flush flush() override {
    if (waits != 0) {
      --waits;
      return Flush::UnderWay;
    }
    ++flushes;
    return broken ? Flush::Failed : Flush::Done;
  }
};

}  // namespace ringside::machine::testing
