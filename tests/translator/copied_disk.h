// A disk image of which every machine has a copy of its own: writes stay in memory.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "base/state_hash.h"
#include "machine/storage/block_backend.h"

namespace ringside::testing {

class CopiedDisk final : public machine::BlockBackend {
 public:
  static Result<std::shared_ptr<CopiedDisk>> open(const std::string& path, bool read_only);
  ~CopiedDisk() override;
  CopiedDisk(const CopiedDisk&) = delete;
  CopiedDisk& operator=(const CopiedDisk&) = delete;

  std::uint64_t size() const override { return content_.size(); }
  bool read_only() const override { return read_only_; }
  Outcome read(std::uint64_t offset, std::span<std::byte> out) override;
  Outcome write(std::uint64_t offset, std::span<const std::byte> data) override;
  Outcome flush() override { return Outcome::Done; }
  // A figure of all that was written, in its order.
  std::uint64_t writes() const { return writes_.value(); }

 private:
  CopiedDisk(std::span<std::byte> content, bool read_only)
      : content_(content), read_only_(read_only) {}

  std::span<std::byte> content_;
  bool read_only_;
  StateHasher writes_;
};

}  // namespace ringside::testing
