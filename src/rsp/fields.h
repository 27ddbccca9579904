// A cursor over a packet's fields, shared by the parsers of all families. It never reads past the
// end and a number that does not fit in 64 bits is no number. Used on one thread, lives in one
// call.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "rsp/request.h"
#include "rsp/thread_id.h"

namespace ringside::rsp {

// LLDB puts `;thread:ID;` behind what means one thread.
struct Suffixed {
  std::string_view payload;  // without it
  std::optional<ThreadId> thread;
};
// Nothing: there is a suffix, and it is malformed.
std::optional<Suffixed> split_thread_suffix(std::string_view payload);

class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  std::string_view take_rest();
  // `count` is at most what is left.
  void skip(std::size_t count) { rest_.remove_prefix(count); }

  // Steps over `c` or `text` if it stands here.
  bool take(char c);
  bool take(std::string_view text);
  // What stands before `c`, or everything; steps over both.
  std::string_view take_until(char c);

  // One or more hex digits; leading zeros do not count against the 64 bits.
  std::optional<std::uint64_t> hex();
  std::optional<Gva> address();
  std::optional<ThreadId> thread_id();
  // The rest as pairs of digits.
  std::optional<Bytes> hex_bytes();
  // The rest as it is.
  Bytes raw_bytes();

 private:
  std::optional<Id> id();

  std::string_view rest_;
};

}  // namespace ringside::rsp
