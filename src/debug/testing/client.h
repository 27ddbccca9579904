// A debugger's side of the wire for the debug server's unit tests: frames packets, acknowledges,
// and gives back what the server says, payload by payload. Owned by the test; one thread.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "debug/server/server.h"
#include "rsp/framing.h"

namespace ringside::debug::testing {

class Client {
 public:
  explicit Client(Server& server) : server_(server) {}

  void connect() { server_.on_connected(); }
  void disconnect() { server_.on_disconnected(); }

  void send_raw(std::string_view bytes) { server_.on_bytes(std::as_bytes(std::span(bytes))); }
  void send(std::string_view payload) {
    std::string frame;
    rsp::append_frame(frame, payload, rsp::RunLengthOutput::Off);
    send_raw(frame);
  }
  void interrupt() { send_raw("\x03"); }

  // Everything the server has to say now, as on the wire.
  std::string take_raw() {
    std::string bytes;
    while (!server_.output().empty()) {
      const std::string_view output = server_.output();
      bytes += output;
      server_.wrote(output.size());
    }
    return bytes;
  }
  // The next payload, or "(nothing)". Acknowledgements do not count.
  std::string receive() {
    buffer_ += take_raw();
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

 private:
  Server& server_;
  std::string buffer_;
  rsp::Decoder decoder_{rsp::kPacketSize * 3, rsp::Decoder::RunLengths::Expand};
};

}  // namespace ringside::debug::testing
