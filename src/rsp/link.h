// The protocol's conversation over one connection, without I/O: acknowledgements, resending, no-ack
// mode, refusals that need no session, and the bounded queue of bytes to write. Owned by the
// connection's session, used on its thread.
//
//   std::string_view input = what was read;
//   while (auto event = link.receive(input)) handle(*event);   // which calls link.send(...)
//   write link.output(), then link.wrote(n)
//
// When `input` is not empty after the loop, the output queue is full: write first, then go on with
// the rest. So a client that never reads is not read from either, and nothing grows.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "rsp/framing.h"

namespace ringside::rsp {

class Link {
 public:
  // `limit` is the packet size that was advertised. Run lengths are used for longer replies in
  // no-ack mode only: until then a client gets the plain bytes that the model sends, so
  // that the simplest one can read them (docs/model.md).
  explicit Link(std::size_t limit = kPacketSize, RunLengthOutput run_lengths = RunLengthOutput::On)
      : decoder_(limit + kSlack), run_lengths_(run_lengths), full_(2 * limit + kSlack) {}

  // The next Packet or Interrupt; the other events are dealt with here. A packet is acknowledged
  // before it is returned, and it ends the wait for an acknowledgement of an earlier reply: clients
  // that never acknowledge work too (docs/model.md, row 60).
  std::optional<Event> receive(std::string_view& input);

  // A reply, a stop report or console output. Does not refuse: replies come one per packet and
  // packets only while not full(). Who sends unasked (console output) asks full() first.
  void send(std::string_view payload);
  // A notification (GDB manual, "Notification Packets"): never acknowledged, and dropped by who
  // does not know its name. Who sends one asks full() first.
  void notify(std::string_view payload);

  // After the OK to QStartNoAckMode is sent.
  void start_no_ack_mode();
  bool no_ack_mode() const { return no_ack_; }

  // What is to be written; valid until the next call of anything else.
  std::string_view output() const { return std::string_view(output_).substr(written_); }
  void wrote(std::size_t count);
  bool full() const { return output_.size() - written_ >= full_; }
  // The client has not taken the last things yet. Console output waits then, because a stop report
  // would come after all of it: GDB reads a megabyte of text in a second.
  bool behind() const { return output_.size() - written_ >= kBehind; }

 private:
  // For a client that counts the frame in.
  static constexpr std::size_t kSlack = 64;
  static constexpr std::size_t kBehind = 4 * 1024;
  // Below this a run length saves nothing that anybody could measure.
  static constexpr std::size_t kRunLengthsFrom = 256;

  bool is_repeated(std::string_view payload);

  Decoder decoder_;
  const RunLengthOutput run_lengths_;
  const std::size_t full_;
  bool no_ack_ = false;
  std::string output_;
  std::size_t written_ = 0;
  std::string repeatable_;      // see is_repeated()
  std::string unacknowledged_;  // the last frame sent, until + or the next packet
};

}  // namespace ringside::rsp
