// Builders of replies. A reply is a payload of raw bytes in a std::string: framing adds $,
// checksum, escapes and run lengths, so nothing here escapes. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ringside/types.h"
#include "rsp/thread_id.h"

namespace ringside::rsp {

// Fixed numbers, the same on every host: those of the model, bhyve, whose host is FreeBSD
// (docs/decisions/0002-fixed-error-numbers.md).
enum class ErrorNumber : std::uint8_t {
  NoSuchObject = 0x02,
  BadAddress = 0x0e,
  BadRequest = 0x16,
  NotSupported = 0x2d,
};

ErrorNumber error_number(ErrorCode code);

enum class ErrorStyle {
  Number,  // Exx
  Text,    // E.sentence, where the client announced error-message+
  Both,    // Exx;sentence in hex, where LLDB asked by QEnableErrorStrings
};

namespace reply {

std::string ok();
// "The packet is not supported."
std::string empty();
std::string error(ErrorNumber number);
// The sentence loses the characters that cannot stand in a text payload.
std::string error(const Error& error, ErrorStyle style);
std::string hex(std::span<const std::byte> data);
std::string hex(std::string_view text);
// The reply to x: GDB's has a b in front, so that an empty one is not "unsupported".
std::string binary(std::span<const std::byte> data);
// O: text on the debugger's console. At most `kPacketSize` / 2 - 1 bytes in one.
std::string console_output(std::string_view text);
// W and X: the process has ended with a status, or by a signal.
std::string exited(std::uint8_t status, std::optional<std::uint64_t> process);
std::string killed(std::uint8_t signal, std::optional<std::uint64_t> process);
// qXfer: the piece of `document` from `offset`, at most `length` bytes, with m (more) or l (last).
std::string transfer(std::string_view document, std::uint64_t offset, std::uint64_t length);

}  // namespace reply

// T: signal, then key:value pairs in the order of the calls. `str()` is the reply.
class StopReply {
 public:
  explicit StopReply(std::uint8_t signal);

  StopReply& thread(std::optional<std::uint64_t> process, std::uint64_t number);
  StopReply& core(std::uint64_t number);
  StopReply& swbreak() { return pair("swbreak", ""); }
  StopReply& hwbreak() { return pair("hwbreak", ""); }
  // The list of libraries has changed.
  StopReply& library() { return pair("library", ""); }
  StopReply& watch(Gva address) { return address_pair("watch", address); }
  StopReply& read_watch(Gva address) { return address_pair("rwatch", address); }
  StopReply& access_watch(Gva address) { return address_pair("awatch", address); }
  // There is no more of the past, or of a recorded run.
  StopReply& replay_begin() { return pair("replaylog", "begin"); }
  StopReply& replay_end() { return pair("replaylog", "end"); }
  // What LLDB shows beside "history boundary".
  StopReply& description(std::string_view text) { return pair("description", reply::hex(text)); }
  // An expedited register, in the guest's byte order.
  StopReply& register_value(std::uint64_t number, std::span<const std::byte> value);
  StopReply& pair(std::string_view key, std::string_view value);

  std::string str() && { return std::move(text_); }
  const std::string& str() const& { return text_; }

 private:
  StopReply& address_pair(std::string_view key, Gva address);

  std::string text_;
};

}  // namespace ringside::rsp
