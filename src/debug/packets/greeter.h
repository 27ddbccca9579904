// What a client hears that is there before the machine is: one that started the program itself,
// through a pipe, and waits two seconds for an answer while a kernel is unpacked. Packets are
// acknowledged; what needs no machine is answered, and the first that does waits for the server.
//
// Owned by whoever has the socket, until it is handed to Server::take_over(); one thread, no I/O.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rsp/link.h"
#include "rsp/request.h"

namespace ringside::debug {

// Of what qSupported's reply speaks, that which not every machine has.
struct Abilities {
  bool hardware_breakpoints = true;
  bool time_travel = false;
  bool disconnected_tracing = false;
  // Something is known of the system in the guest.
  bool libraries = false, os_data = false, vmcoreinfo = false;
};

// What a client has said before the server has it, for the session that begins then.
struct Introduction {
  rsp::Link link = rsp::Link();
  std::string input = {};                    // what the link has not taken
  std::vector<rsp::Request> answered = {};   // and agreed on, so that the session has to know
  std::optional<rsp::Request> waiting = {};  // acknowledged, and not answered yet
};

// What can be done to a vCPU with vCont, the same for every machine.
inline constexpr std::string_view kResumeActions = "vCont;c;C;s;S;t;r";

class Greeter {
 public:
  // What the machine will have.
  explicit Greeter(const Abilities& abilities = {}) : abilities_(abilities) {}
  void on_bytes(std::span<const std::byte> bytes);
  std::string_view output() const { return said_.link.output(); }
  void wrote(std::size_t count) { said_.link.wrote(count); }
  bool wants_input() const { return !said_.waiting; }
  Introduction introduction() && { return std::move(said_); }

 private:
  void answer(const rsp::Request& request);

  Abilities abilities_;
  Introduction said_;
};

// The reply to qSupported, the same before there is a machine and after.
std::string supported_features(const rsp::QuerySupported& request, const Abilities& abilities);

}  // namespace ringside::debug
