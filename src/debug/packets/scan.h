// Requests that go over any amount of memory: qSearch, qCRC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "debug/client/work.h"
#include "debug/memory/memory_range.h"
#include "debug/memory/pattern.h"

namespace ringside::debug {

class Scan : public Work {
 public:
  explicit Scan(MemoryRange range) : range_(std::move(range)) {}
  std::optional<Result<std::string>> advance() override;

 protected:
  // Takes a piece that begins at `address`; the answer if that decides it.
  virtual std::optional<std::string> take(std::uint64_t address,
                                          std::span<const std::byte> piece) = 0;
  // Between the last piece and the next one is a hole.
  virtual void skipped() {}
  virtual Result<std::string> at_end() = 0;

 private:
  MemoryRange range_;
};

// qSearch:memory. `1,` and the address of the first occurrence, or `0`. What is no memory is
// stepped over, so that a search may begin anywhere; an occurrence lies in memory as a whole.
class Search final : public Scan {
 public:
  Search(MemoryRange range, std::vector<std::byte> pattern)
      : Scan(std::move(range)), pattern_(std::move(pattern)) {}

 private:
  std::optional<std::string> take(std::uint64_t address, std::span<const std::byte> piece) override;
  void skipped() override {
    tail_.clear();
    skipped_any_ = true;
  }
  Result<std::string> at_end() override;

  Pattern pattern_;
  bool seen_any_ = false, skipped_any_ = false;
  std::vector<std::byte> tail_;  // of what was taken: an occurrence may begin in it
};

// qCRC. `C` and the checksum.
class Checksum final : public Scan {
 public:
  using Scan::Scan;

 private:
  std::optional<std::string> take(std::uint64_t address, std::span<const std::byte> piece) override;
  Result<std::string> at_end() override;

  std::uint32_t crc_ = 0xffffffff;
};

}  // namespace ringside::debug
