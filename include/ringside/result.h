// Result<T>: a value or an Error. Nothing in ringside throws; what can go wrong is in the
// signature.
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
