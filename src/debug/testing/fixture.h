// A server, a toy guest and a client, as the unit tests of the debug server begin.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "debug/testing/client.h"
#include "debug/testing/toy_guest.h"
#include "rsp/reply.h"

namespace ringside::debug::testing {

struct Bench {
  explicit Bench(unsigned vcpus = 1, ServerOptions options = {})
      : guest(vcpus), server(guest.vm, std::move(options)), client(server) {
    for (unsigned i = 1; i < vcpus; ++i)
      guest.vm.make_active({i});
  }
  // Started and attached.
  Bench& attach() {
    server.start();
    client.connect();
    return *this;
  }
  // Runs the guest and lets the server see what happened.
  void run(unsigned rounds = 1) {
    for (unsigned i = 0; i < rounds; ++i) {
      guest.run();
      server.drain_events();
    }
  }
  bool in_guest(unsigned i) { return guest.vm.vcpu({i}).in_guest(); }
  std::string ask(std::string_view payload) { return client.ask(payload); }
  // What the debugger's console shows of a monitor command.
  std::string monitor(std::string_view command) {
    const std::string reply = ask("qRcmd," + rsp::reply::hex(command));
    std::string text;
    for (std::size_t i = 0; i + 1 < reply.size(); i += 2)
      text += static_cast<char>(std::stoi(reply.substr(i, 2), nullptr, 16));
    return text;
  }

  ToyGuest guest;
  Server server;
  Client client;
};

}  // namespace ringside::debug::testing
