// How far something long is, and who is told of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.h"

namespace ringside {

struct Stage {
  std::string_view what;    // in words: "unpacking the kernel"
  std::uint64_t done = 0;   // bytes
  std::uint64_t total = 0;  // 0: nobody knows yet
};

// Called now and then by who has much to do. An error gives it up.
using Meanwhile = std::function<Result<void>(const Stage&)>;

}  // namespace ringside
