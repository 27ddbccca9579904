// State as bytes: saved into a vector, and loaded from one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/state_visitor.h"

namespace ringside {

class StateSaver final : public StateVisitor {
 public:
  std::vector<std::byte> saved;
  bool loading() const override { return false; }
  void bytes(std::span<std::byte> bytes) override {
    saved.insert(saved.end(), bytes.begin(), bytes.end());
  }
};

class StateLoader final : public StateVisitor {
 public:
  // `saved` outlives it.
  explicit StateLoader(std::span<const std::byte> saved) : rest_(saved) {}
  // All that was saved was taken, nothing was lacking, and it made sense to who took it.
  bool finished() const { return !lacks_ && !refused_ && rest_.empty(); }
  bool loading() const override { return true; }
  void refuse() override { refused_ = true; }
  std::uint64_t left() const override { return rest_.size(); }
  void bytes(std::span<std::byte> bytes) override {
    if (bytes.size() > rest_.size()) {
      rest_ = {};
      lacks_ = true;
      return;
    }
    if (bytes.empty()) return;  // of no container, whose address may be null
    std::memcpy(bytes.data(), rest_.data(), bytes.size());
    rest_ = rest_.subspan(bytes.size());
  }

 private:
  std::span<const std::byte> rest_;
  bool lacks_ = false, refused_ = false;
};

}  // namespace ringside
