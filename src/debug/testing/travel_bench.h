// A server, a client, and a guest with a past. Owned by the test; one thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/hex.h"
#include "debug/server/server.h"
#include "debug/testing/client.h"
#include "debug/testing/fake_time_travel.h"

namespace ringside::debug::testing {

// A loop of four instructions: rax counts, and is stored at rdi, which goes on from 0x3000. That of
// the other vCPUs has three.
inline constexpr std::uint64_t kLoop = 0x1000, kNop = 0x1001, kStore = 0x1002, kJump = 0x1003,
                               kOther = 0x1100, kData = 0x3000;

// What of a stop reply says where the past begins, and where a recorded run ends.
inline const std::string kBegins =
    "replaylog:begin;description:" + to_hex(std::string_view("the past that is kept begins here")) +
    ";";
inline const std::string kEnds =
    "replaylog:end;description:" + to_hex(std::string_view("the recorded run ends here")) + ";";
inline const std::string kBegin = "T05thread:01;" + kBegins;

class TravelBench {
 public:
  explicit TravelBench(unsigned vcpus = 1, ServerOptions options = {})
      : guest(vcpus), travel(guest, engine), server(guest.vm, with_travel(std::move(options))) {
    guest.write(kLoop, {0x40, 0x90, 0xaa, 0xeb, 0xfb});
    guest.write(kOther, {0x40, 0x90, 0xeb, 0xfc});
    guest.vm.vcpu({0}).cpu.reg(x86::Gpr::Rdi) = kData;
    for (unsigned i = 1; i < vcpus; ++i) {
      guest.vm.make_active({i});
      guest.vm.vcpu({i}).cpu.rip = kOther;
    }
    travel.begin();
  }

  // A client that speaks of threads has attached, the guest has run for so many rounds, and has
  // been stopped.
  void stop_after(unsigned rounds) {
    server.start();
    client.connect();
    ask("qSupported:swbreak+;hwbreak+;error-message+");
    ask("vCont?");
    client.send("c");
    run(rounds);
    client.interrupt();
    client.receive();
  }
  void run(unsigned rounds) {
    for (unsigned i = 0; i < rounds; ++i) {
      travel.run();
      server.drain_events();
    }
  }
  // The guest runs until it has nothing more to do, or a bound; and the journey goes on.
  void settle(unsigned rounds = 100) {
    for (unsigned i = 0; i < rounds; ++i) {
      while (server.has_work())
        server.drain_events();
      travel.run();
      server.drain_events();
    }
  }
  std::string ask(std::string_view payload) { return client.ask(payload); }
  // What a resume is answered with.
  std::string go(std::string_view payload) {
    client.send(payload);
    settle();
    return client.receive();
  }
  std::uint64_t rip(unsigned i = 0) { return guest.rip(i); }

  ToyGuest guest;
  FakeStoppoints engine;
  FakeTimeTravel travel;
  Server server;
  Client client{server};

 private:
  ServerOptions with_travel(ServerOptions options) {
    options.time_travel = &travel;
    return options;
  }
};

// Of an O packet.
inline std::string text_of(std::string_view packet) {
  const auto bytes = packet.empty() ? std::nullopt : from_hex(packet.substr(1));
  return bytes ? std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()) : "?";
}

}  // namespace ringside::debug::testing
