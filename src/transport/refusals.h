// The log's lines about clients that were refused: each of the first few, and then fewer and fewer,
// because who is refused may come again for ever.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/log.h"

namespace ringside::transport {

class Refusals {
 public:
  // `name` begins the lines.
  explicit Refusals(std::string name) : name_(std::move(name)) {}

  void tell(std::string_view sentence) {
    ++count_;
    if (count_ <= kEach) {
      log::warning("{}: {}", name_, sentence);
    } else if (std::has_single_bit(count_)) {
      log::warning("{}: {} ({} clients so far)", name_, sentence, count_);
    }
  }

 private:
  static constexpr std::uint64_t kEach = 10;

  std::string name_;
  std::uint64_t count_ = 0;
};

}  // namespace ringside::transport
