// A disk in memory that can be told to fail. For tests only.
#pragma once

#include <algorithm>
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
  unsigned waits = 0;       // how often a call is not over yet: of flush(), or of all
  bool remote = false;
  unsigned calls = 0;          // for several pieces
  std::uint64_t good = ~0ull;  // bytes; what reaches further fails, and is moved so far

  explicit MemoryDisk(std::size_t size) : content(size) {}
  std::uint64_t size() const override { return content.size(); }
  bool read_only() const override { return is_read_only; }
  bool is_remote() const override { return remote; }
  Outcome read(std::uint64_t offset, std::span<std::byte> out) override {
    if (remote && is_waiting()) return Outcome::UnderWay;
    moved += out.size();
    if (!broken) std::memcpy(out.data(), content.data() + offset, up_to_good(offset, out.size()));
    return offset + out.size() > good ? Outcome::Failed : outcome();
  }
  Outcome write(std::uint64_t offset, std::span<const std::byte> data) override {
    if (remote && is_waiting()) return Outcome::UnderWay;
    moved += data.size();
    if (!broken) std::memcpy(content.data() + offset, data.data(), up_to_good(offset, data.size()));
    return offset + data.size() > good ? Outcome::Failed : outcome();
  }
  std::uint64_t read_pieces(std::uint64_t offset, PiecesToFill pieces) override {
    ++calls;
    return BlockBackend::read_pieces(offset, pieces);
  }
  std::uint64_t write_pieces(std::uint64_t offset, PiecesOfData pieces) override {
    ++calls;
    const std::uint64_t whole = BlockBackend::write_pieces(offset, pieces);
    return broken ? whole : up_to_good(offset, size_of_all(pieces));
  }
  Outcome flush() override {
    if (is_waiting()) return Outcome::UnderWay;
    ++flushes;
    return outcome();
  }

 private:
  std::uint64_t up_to_good(std::uint64_t offset, std::uint64_t size) const {
    return std::min(size, good - std::min(good, offset));
  }
  bool is_waiting() {
    if (waits == 0) return false;
    --waits;
    return true;
  }
  Outcome outcome() const { return broken ? Outcome::Failed : Outcome::Done; }
};

}  // namespace ringside::machine::testing
