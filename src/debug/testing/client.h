// A debugger's side of the wire for the debug server's unit tests: frames packets, acknowledges,
// and gives back what the server says, payload by payload. Owned by the test; one thread.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "debug/server/server.h"
#include "rsp/framing.h"

namespace ringside::debug::testing {

class Client {
 public:
  explicit Client(Server& server) : server_(server) {}

  void connect() { server_.on_connected(); }
  // Beside another: it looks.
  void connect_to_look() { observer_ = &server_.observe(); }
  void disconnect() {
    if (observer_ != nullptr) {
      server_.leave(*std::exchange(observer_, nullptr));
      server_.drain_events();
    } else {
      server_.on_disconnected();
    }
  }
  bool wants_control() const { return observer_ != nullptr && observer_->wants_control(); }
  void take_control() { server_.take_over(*std::exchange(observer_, nullptr)); }

  void send_raw(std::string_view bytes) {
    const auto data = std::as_bytes(std::span(bytes));
    if (observer_ != nullptr) {
      observer_->on_bytes(data);
      server_.observer_acts();
      server_.drain_events();
    } else {
      server_.on_bytes(data);
    }
  }
  void send(std::string_view payload) {
    std::string frame;
    rsp::append_frame(frame, payload, rsp::RunLengthOutput::Off);
    send_raw(frame);
  }
  void interrupt() { send_raw("\x03"); }

  // Everything the server has to say now, as on the wire.
  std::string take_raw() {
    std::string bytes;
    for (std::string_view output = said(); !output.empty(); output = said()) {
      bytes += output;
      if (observer_ != nullptr) {
        observer_->wrote(output.size());
      } else {
        server_.wrote(output.size());
      }
    }
    return bytes;
  }
  // The next payload, or "(nothing)". Acknowledgements do not count.
  std::string receive() {
    take_all();
    std::string_view input = buffer_;
    std::string result = "(nothing)";
    while (const auto event = decoder_.next(input)) {
      if (event->kind == rsp::Event::Kind::Packet) {
        result = event->payload;
        break;
      }
    }
    buffer_.erase(0, buffer_.size() - input.size());
    return result;
  }
  std::string ask(std::string_view payload) {
    send(payload);
    return receive();
  }
  // The next notification, or "(nothing)".
  std::string notified() {
    take_all();
    if (notifications_.empty()) return "(nothing)";
    std::string first = notifications_.front();
    notifications_.pop_front();
    return first;
  }

 private:
  // Notifications are told apart here: to the decoder they are noise.
  void take_all() {
    for (const char c : take_raw()) {
      if (!within_ && (c == '$' || c == '%')) {
        within_ = c;
        if (c == '%') notifications_.emplace_back();
      } else if (within_ && c == '#') {
        within_ = 0;
      } else if (within_ == '%') {
        notifications_.back() += c;
      }
      buffer_ += c;
    }
  }
  std::string_view said() const {
    return observer_ != nullptr ? observer_->output() : server_.output();
  }

  Server& server_;
  Observer* observer_ = nullptr;
  std::string buffer_;
  std::deque<std::string> notifications_;
  char within_ = 0;  // what has begun the frame that is being read
  rsp::Decoder decoder_{rsp::kPacketSize * 3, rsp::Decoder::RunLengths::Expand};
};

}  // namespace ringside::debug::testing
