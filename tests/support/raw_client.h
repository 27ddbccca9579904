// A debugger reduced to its socket: sends bytes and packets, and gives out what comes back.
// Everything about acknowledgements is in the test's hands. It shares no code with the server's
// protocol, so that an error cannot hide in both. Every wait is bounded; what goes wrong throws
// std::runtime_error with the last packets of the conversation in it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "support/deadline.h"

namespace ringside::testing {

enum class Acks {
  Automatic,  // send() waits for the server's '+', receive() answers with one
  Manual,     // the test does both, or not
  None,       // after QStartNoAckMode
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port);
  // An endpoint of AF_UNIX.
  explicit RawClient(const std::string& path);
  // A socket whose other end the server has already.
  explicit RawClient(Fd socket) : fd_(std::move(socket)) {}

  void set_acks(Acks acks) { acks_ = acks; }

  void send_bytes(std::string_view bytes);
  // $payload#checksum; binary payloads must be escaped by the caller.
  void send(std::string_view payload);
  static std::string frame(std::string_view payload);
  void interrupt() { send_bytes("\x03"); }

  // The next packet's payload, unescaped and run-length expanded, its checksum verified.
  // Notifications before it are left out.
  std::string receive(const Deadline& deadline = Deadline());
  std::string request(std::string_view payload, const Deadline& deadline = Deadline());
  // The next byte as it lies on the wire.
  char receive_byte(const Deadline& deadline = Deadline());
  // True if nothing arrives within the time. For "no reply" only; the order of replies proves more.
  bool silent_for(std::chrono::milliseconds time);
  // Waits for the server to close the connection, discarding what comes before.
  void await_close(const Deadline& deadline = Deadline());
  // Whether the peer has already closed or reset; discards nothing.
  bool closed();

  void close() { fd_.reset(); }
  // Closes with a TCP reset.
  void reset();
  int descriptor() const { return fd_.get(); }

 private:
  // Reads what is there; false at the end of the stream.
  bool fill(const Deadline& deadline);
  [[noreturn]] void fail(const std::string& what);
  void note(std::string_view direction, std::string_view text);

  Fd fd_;
  Acks acks_ = Acks::Automatic;
  std::string input_;
  std::deque<std::string> transcript_;
};

// Unescapes `}` pairs and expands `*` runs.
std::string decode_payload(std::string_view wire);

}  // namespace ringside::testing
