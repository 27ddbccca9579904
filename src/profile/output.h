// Where a profile or a trace is written: text that is gathered and handed on in large pieces, up to
// a size. Owned by who writes; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace ringside::profile {

class Output {
 public:
  using Write = std::function<Result<void>(std::span<const std::byte>)>;
  Output(Write write, std::uint64_t most) : write_(std::move(write)), most_(most) {}

  // Fails where the file does.
  Result<void> append(std::string_view text) {
    bytes_ += text.size();
    gathered_ += text;
    return gathered_.size() < kPiece ? Result<void>() : flush();
  }
  Result<void> flush() {
    TRY(write_(std::as_bytes(std::span(gathered_))));
    gathered_.clear();
    return {};
  }
  std::uint64_t bytes() const { return bytes_; }
  bool full() const { return bytes_ >= most_; }

 private:
  static constexpr std::size_t kPiece = 1 << 16;

  Write write_;
  std::uint64_t most_, bytes_ = 0;
  std::string gathered_;
};

// What ends by itself says why in a sentence.
inline constexpr std::string_view kAnotherRun =
    "the guest has gone back, and what comes now is another run";

}  // namespace ringside::profile
