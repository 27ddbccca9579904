#include "rsp/link.h"

#include "base/hex.h"
#include "rsp/reply.h"

namespace ringside::rsp {
namespace {

// NN:packet, the sequence ids of a protocol long gone. No packet of ours has a colon there after
// two digits.
bool has_sequence_id(std::string_view payload) {
  return payload.size() >= 3 && payload[2] == ':' && hex_digit(payload[0]) >= 0 &&
         hex_digit(payload[1]) >= 0;
}

}  // namespace

// A client that has waited too long for the '+' of its first packets sends them again: GDB after
// two seconds, in which a program that it has started may not have come to its main loop. Both lie
// in one pipe then, and the client expects one answer. So a packet of the handshake that comes a
// second time before the client can have seen anything of the first one's answer is not another
// one.
bool Link::is_repeated(std::string_view payload) {
  if (payload == repeatable_) return true;
  const bool handshake = payload.starts_with("qSupported") || payload == "vMustReplyEmpty" ||
                         payload == "QStartNoAckMode";
  repeatable_ = handshake ? payload : std::string_view();
  return false;
}

std::optional<Event> Link::receive(std::string_view& input) {
  while (!full()) {
    const auto event = decoder_.next(input);
    if (!event) return std::nullopt;
    switch (event->kind) {
      case Event::Kind::Interrupt:
        return event;
      case Event::Kind::Packet:
        if (!event->payload.empty() && is_repeated(event->payload)) {
          if (!no_ack_) output_ += '+';
          break;
        }
        unacknowledged_.clear();
        if (!no_ack_) output_ += '+';
        if (!has_sequence_id(event->payload)) return event;
        send(reply::empty());
        break;
      case Event::Kind::TooLong:
        // Acknowledged, because sending it again would not make it shorter.
        unacknowledged_.clear();
        if (!no_ack_) output_ += '+';
        send(reply::error(ErrorNumber::BadRequest));
        break;
      case Event::Kind::BadChecksum:
        output_ += '-';
        break;
      case Event::Kind::Ack:
        unacknowledged_.clear();
        break;
      case Event::Kind::Nack:
        output_ += unacknowledged_;
        break;
    }
  }
  return std::nullopt;
}

void Link::send(std::string_view payload) {
  if (no_ack_) {
    const bool pays = payload.size() >= kRunLengthsFrom;
    append_frame(output_, payload, pays ? run_lengths_ : RunLengthOutput::Off);
    return;
  }
  unacknowledged_.clear();
  append_frame(unacknowledged_, payload, RunLengthOutput::Off);
  output_ += unacknowledged_;
}

void Link::notify(std::string_view payload) {
  const std::size_t start = output_.size();
  append_frame(output_, payload, RunLengthOutput::Off);
  output_[start] = '%';
}

void Link::start_no_ack_mode() {
  no_ack_ = true;
  decoder_.ignore_checksums();
  unacknowledged_.clear();
}

void Link::wrote(std::size_t count) {
  written_ += count;
  repeatable_.clear();
  if (written_ == output_.size()) {
    output_.clear();
    written_ = 0;
  } else if (written_ > output_.size() / 2) {
    output_.erase(0, written_);
    written_ = 0;
  }
}

}  // namespace ringside::rsp
