// A 64-bit figure of everything a visitor is shown: equal states give equal figures, on every host
// of the same byte order. Not cryptographic. A plain value.
#pragma once

#include "base/state_visitor.h"

namespace ringside {

class StateHasher final : public StateVisitor {
 public:
  bool loading() const override { return false; }
  void bytes(std::span<std::byte> bytes) override { add(bytes); }
  // The figure depends on how the bytes are divided among calls.
  void add(std::span<const std::byte> bytes);
  std::uint64_t value() const;

 private:
  std::uint64_t state_ = 0;
  std::uint64_t length_ = 0;
};

}  // namespace ringside
