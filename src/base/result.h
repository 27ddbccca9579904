// Result<T> for the sources of ringside: with TRY, which is no name for other people's programs.
#pragma once

#include <utility>

#include "ringside/result.h"

// TRY(expression): the value of a Result, or return its error from the enclosing function.
#define TRY(expression)                                                                         \
  __extension__({                                                                               \
    auto try_result_ = (expression);                                                            \
    if (!try_result_) return tl::unexpected<::ringside::Error>(std::move(try_result_).error()); \
    ringside::detail::take(std::move(try_result_));                                             \
  })

namespace ringside::detail {
template <typename T>
T take(Result<T>&& result) {
  return *std::move(result);
}
inline void take(Result<void>&&) {}
}  // namespace ringside::detail
