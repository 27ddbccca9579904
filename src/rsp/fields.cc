#include "rsp/fields.h"

#include <algorithm>

#include "base/hex.h"

namespace ringside::rsp {

std::optional<Suffixed> split_thread_suffix(std::string_view payload) {
  constexpr std::string_view kSuffix = ";thread:";
  const std::size_t at = payload.find(kSuffix);
  if (at == std::string_view::npos) return Suffixed{payload, std::nullopt};
  Fields fields(payload.substr(at + kSuffix.size()));
  const auto thread = fields.thread_id();
  if (!thread || !fields.take(';') || !fields.at_end()) return std::nullopt;
  return Suffixed{payload.substr(0, at), thread};
}

std::string_view Fields::take_rest() {
  const std::string_view taken = rest_;
  rest_ = {};
  return taken;
}

bool Fields::take(char c) {
  if (rest_.empty() || rest_.front() != c) return false;
  rest_.remove_prefix(1);
  return true;
}

bool Fields::take(std::string_view text) {
  if (rest_.substr(0, text.size()) != text) return false;
  rest_.remove_prefix(text.size());
  return true;
}

std::string_view Fields::take_until(char c) {
  const std::size_t end = std::min(rest_.find(c), rest_.size());
  const std::string_view taken = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  return taken;
}

std::optional<std::uint64_t> Fields::hex() {
  std::uint64_t value = 0;
  std::size_t used = 0;
  for (; used < rest_.size(); ++used) {
    const int digit = hex_digit(rest_[used]);
    if (digit < 0) break;
    if (value >> 60 != 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(digit);
  }
  if (used == 0) return std::nullopt;
  rest_.remove_prefix(used);
  return value;
}

std::optional<Gva> Fields::address() {
  const auto value = hex();
  if (!value) return std::nullopt;
  return Gva{*value};
}

std::optional<Id> Fields::id() {
  if (take("-1")) return Id::all();
  const auto number = hex();
  if (!number) return std::nullopt;
  return *number == 0 ? Id::any() : Id::of(*number);
}

std::optional<ThreadId> Fields::thread_id() {
  ThreadId result;
  if (!take('p')) {
    const auto thread = id();
    if (!thread) return std::nullopt;
    result.thread = *thread;
    return result;
  }
  result.process = id();
  if (!result.process) return std::nullopt;
  if (!take('.')) {
    // "p<process>" alone means all its threads (GDB manual, "Packets", thread-id syntax).
    result.thread = Id::all();
    return result;
  }
  const auto thread = id();
  if (!thread) return std::nullopt;
  result.thread = *thread;
  return result;
}

std::optional<Bytes> Fields::hex_bytes() { return from_hex(take_rest()); }

Bytes Fields::raw_bytes() {
  const std::string_view taken = take_rest();
  Bytes bytes(taken.size());
  std::transform(taken.begin(), taken.end(), bytes.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

}  // namespace ringside::rsp
