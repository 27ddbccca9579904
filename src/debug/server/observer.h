// A client that looks at the machine beside the one that controls it, and also while the guest
// runs: it reads registers and memory, a moment's each, and changes nothing.
//
// Owned by the server, which calls serve() when what wants() says is fulfilled; the owner of its
// socket does the rest. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "debug/packets/debugger.h"
#include "debug/server/conversation.h"

namespace ringside::debug {

class Observer {
 public:
  Observer(Target& target, const ServerOptions& options);
  // One that somebody else has served until now, and which has still to ask for the machine.
  Observer(Target& target, const ServerOptions& options, Introduction said);
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // ---- Its socket's
  void on_bytes(std::span<const std::byte> bytes) { conversation_.on_bytes(bytes); }
  std::string_view output() const { return conversation_.output(); }
  void wrote(std::size_t count) { conversation_.wrote(count); }
  bool wants_input() const;
  bool wants_close() const;
  // It has asked for the machine, which nobody controls: Server::take_over().
  bool wants_control() const { return debugger_.control_requested(); }

  // ---- The server's
  enum class Wants : std::uint8_t {
    Nothing,
    AnyMoment,  // a request is to be served that needs no vCPU
    AllOut,     // one that needs every vCPU out of the guest
  };
  Wants wants();
  void serve();
  // What it wants has to wait for what the client does.
  void put_off();
  void forget_current() { debugger_.forget_current(); }
  // Nobody, or somebody, controls the machine.
  void set_controlled(bool controlled) { debugger_.set_controlled(controlled); }

 private:
  friend class Server;
  Target& target_;
  Debugger debugger_;
  Conversation conversation_;
};

}  // namespace ringside::debug
