// Bytes to packets and back, without I/O. The Decoder cuts a stream of bytes into events;
// append_frame puts a payload on the wire. Both sides of a payload are raw bytes: escapes and run
// lengths exist only between the two. Owned by one connection, used on one thread. GDB manual,
// "Overview" of the remote protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringside::rsp {

// What a client is by the first bytes that it sends, from the beginning of its connection. A
// debugger begins with a packet or an interrupt; it may acknowledge before that what it was never
// sent. (% begins notifications, which are the server's.)
enum class Opening : std::uint8_t {
  Unclear,  // nothing but acknowledgements so far
  Debugger,
  Other,
};
Opening opening(std::string_view bytes);

// What we advertise as PacketSize: the most characters between $ and # that we take (escapes
// counted). Large, so that a bulk transfer is few round trips.
inline constexpr std::size_t kPacketSize = 0x20000;

struct Event {
  enum class Kind : std::uint8_t {
    Packet,
    Interrupt,    // a bare 0x03
    Ack,          // +
    Nack,         // -
    BadChecksum,  // a packet that must be sent again
    TooLong,      // a packet beyond the limit; its bytes were dropped
  };
  Kind kind = Kind::Packet;
  std::string_view payload;  // of a Packet: unescaped, valid until the next call
};

class Decoder {
 public:
  // What `*` means in a body. The manual has run lengths in responses only, and a client may leave
  // a `*` in binary data unescaped, so a server takes it literally. The client's side expands.
  enum class RunLengths { Literal, Expand };

  explicit Decoder(std::size_t limit = kPacketSize, RunLengths run_lengths = RunLengths::Literal)
      : limit_(limit), run_lengths_(run_lengths) {}

  // Takes bytes off the front of `input` until an event is complete; none when all are used up.
  // What does not begin a packet is dropped (docs/model.md, row 59). Keeps at most the limit.
  std::optional<Event> next(std::string_view& input);

  // In no-ack mode the transport is trusted and clients may write any checksum (manual, "Packet
  // Acknowledgment").
  void ignore_checksums() { verify_ = false; }

 private:
  enum class State : std::uint8_t { Idle, Body, ChecksumHigh, ChecksumLow };

  void take_body(std::string_view& input);
  Event finish(int low_digit);
  bool decode_body();

  const std::size_t limit_;
  const RunLengths run_lengths_;
  bool verify_ = true;
  State state_ = State::Idle;
  bool too_long_ = false;
  std::uint8_t sum_ = 0;
  int high_digit_ = 0;
  std::string body_;  // as on the wire; decoded in place when complete
  std::string expanded_;
};

enum class RunLengthOutput { Off, On };

// Appends $payload#checksum. `payload` is raw; # $ } * are escaped.
void append_frame(std::string& out, std::string_view payload, RunLengthOutput run_lengths);

}  // namespace ringside::rsp
