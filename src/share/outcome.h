// Outcome<T>: a value, or the number of an error (errno(3)), which is all that a guest is told of
// it. Result<T> has sentences, for people.
#pragma once

#include <cerrno>
#include <tl/expected.hpp>
#include <utility>

// ATTEMPT(expression): the value of an Outcome, or return its error from the enclosing function.
#define ATTEMPT(expression)                                          \
  __extension__({                                                    \
    auto attempted_ = (expression);                                  \
    if (!attempted_) return tl::unexpected<int>(attempted_.error()); \
    ringside::share::detail::take(std::move(attempted_));            \
  })

namespace ringside::share {

template <typename T = void>
using Outcome = tl::expected<T, int>;

inline tl::unexpected<int> refuse(int error) { return tl::unexpected<int>(error); }
// Of a system call that returns less than 0 and sets errno where it fails.
inline Outcome<> outcome_of(long result) {
  if (result < 0) return refuse(errno);
  return {};
}

namespace detail {
template <typename T>
T take(Outcome<T>&& outcome) {
  return *std::move(outcome);
}
inline void take(Outcome<>&&) {}
}  // namespace detail

}  // namespace ringside::share
