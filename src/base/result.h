// Result<T>: a value or an Error. Nothing in ringside throws across a folder's border; what can go
// wrong is in the signature.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace ringside {

// The kinds of failure that code decides on. The text is for people.
enum class ErrorCode {
  BadRequest,    // malformed or out of range
  BadAddress,    // not mapped, or nothing there
  NotSupported,  // understood, but not possible here
  NotFound,      // no such object (file, vCPU, annex)
  Busy,          // would collide with something in progress
  System,        // the operating system refused; the text has the reason
};

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string text) : code_(code), text_(std::move(text)) {}
  // "TEXT: strerror(errno_value)" with code System.
  static Error from_errno(std::string_view text, int errno_value);

  ErrorCode code() const { return code_; }
  const std::string& text() const { return text_; }

 private:
  ErrorCode code_;
  std::string text_;
};

template <typename T = void>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string text) {
  return tl::unexpected<Error>(Error(code, std::move(text)));
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace ringside

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
