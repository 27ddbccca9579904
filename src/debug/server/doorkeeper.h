// What a debugger of another host hears until it has said the token. It is told what the server can
// do, which stock GDB and LLDB ask but once, and that no process is there; `monitor auth TOKEN` is
// all that has an effect. Nothing of the guest is known here.
//
// Owned by whoever has the socket, until it is handed to Server::take_over() or observe(); one
// thread, no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "debug/packets/greeter.h"
#include "rsp/reply.h"

namespace ringside::debug {

class Doorkeeper {
 public:
  Doorkeeper(std::string token, const Abilities& abilities)
      : token_(std::move(token)), abilities_(abilities) {}

  void on_bytes(std::span<const std::byte> bytes);
  std::string_view output() const { return said_.link.output(); }
  void wrote(std::size_t count);
  bool wants_input() const { return state_ == State::Asking && said_.input.empty(); }

  enum class State : std::uint8_t {
    Asking,
    Admitted,     // introduction() is the server's
    NoDebugger,   // it began like something else
    WrongTokens,  // it has had its tries; output() is still to be written
  };
  State state() const { return state_; }
  Introduction introduction() && { return std::move(said_); }

 private:
  void work();
  std::string answer(const rsp::Request& request);
  std::string answer_monitor(std::string_view command);
  std::string agree(const rsp::Request& request, std::string reply);

  const std::string token_;
  const Abilities abilities_;
  State state_ = State::Asking;
  bool has_begun_ = false;
  unsigned tries_ = 0;
  rsp::ErrorStyle error_style_ = rsp::ErrorStyle::Number;
  Introduction said_;
};

}  // namespace ringside::debug
