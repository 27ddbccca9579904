// A debugger that ends, in every way, in whichever state it is: the guest gets on with all its
// vCPUs, and nothing of the debugger is left in it. RINGSIDE_TEST_EVENTS is the number of ends.
#include <iterator>
#include <optional>

#include "protocol/protocol_test.h"
#include "support/effort.h"

namespace ringside::testing {
namespace {

constexpr unsigned kVcpus = 2;

// A debugger, with the guest `counters` that it is connected to.
struct Scene {
  GuestProcess& guest;
  DebugClient& client;
  std::optional<DebugClient> observer = {};  // stays until the debugger has ended

  std::string tick() const { return hex_number(guest["tick"]); }
  void stop() { client.request("?"); }
  std::string insert(const char* kind, const char* more = "") {
    return client.request("Z" + std::string(kind) + "," + tick() + ",1" + more);
  }
  void say(const std::string& command) { monitor(client, command); }
};

struct State {
  const char* name;
  void (*come)(Scene&);
};

// What the engine has not got it refuses, and the state is a simpler one.
const State kStates[] = {
    {"has said nothing", [](Scene&) {}},
    {"has sent half a packet", [](Scene& scene) { scene.client.send_bytes("$Z0,"); }},
    {"has stopped the guest", [](Scene& scene) { scene.stop(); }},
    {"has an answer to read",
     [](Scene& scene) {
       scene.stop();
       scene.client.send_bytes(RawClient::frame("g"));
     }},
    {"has many answers to read",
     [](Scene& scene) {
       scene.stop();
       for (int i = 0; i < 100; ++i)
         scene.client.send_bytes(RawClient::frame("m" + scene.tick() + ",400"));
     }},
    {"has the monitor's answer to read",
     [](Scene& scene) {
       scene.stop();
       scene.client.send_bytes(RawClient::frame("qRcmd," + hex("regs")));
     }},
    {"has a breakpoint",
     [](Scene& scene) {
       scene.stop();
       scene.insert("0");
     }},
    {"is at a breakpoint",
     [](Scene& scene) {
       scene.stop();
       scene.insert("0");
       scene.client.resume();
       scene.client.await_stop();
     }},
    {"has a hit to read",
     [](Scene& scene) {
       scene.stop();
       scene.insert("0");
       scene.client.resume();
     }},
    {"runs with a hardware breakpoint",
     [](Scene& scene) {
       scene.stop();
       scene.insert("1");
       scene.client.resume();
     }},
    {"runs with a watchpoint",
     [](Scene& scene) {
       scene.stop();
       scene.client.request("Z2," + hex_number(scene.guest["counters"]) + ",8");
       scene.client.resume();
     }},
    {"runs with a condition that is never true",
     [](Scene& scene) {
       scene.stop();
       scene.insert("0", ";X3,220027");
       scene.client.resume();
     }},
    {"lets the guest run",
     [](Scene& scene) {
       scene.stop();
       scene.client.resume();
     }},
    {"interrupts",
     [](Scene& scene) {
       scene.stop();
       scene.client.resume();
       scene.client.interrupt();
     }},
    {"steps",
     [](Scene& scene) {
       scene.stop();
       scene.client.send("vCont;s:1");
     }},
    {"steps through a range",
     [](Scene& scene) {
       scene.stop();
       scene.client.send("vCont;r" + scene.tick() + "," + hex_number(scene.guest["tick_end"]) +
                         ":1;c");
     }},
    {"lets one vCPU run alone",
     [](Scene& scene) {
       scene.stop();
       scene.client.send("vCont;c:2");
     }},
    {"steps one vCPU while the other runs",
     [](Scene& scene) {
       scene.stop();
       scene.client.send("vCont;s:2;c");
     }},
    {"waits for a catch",
     [](Scene& scene) {
       scene.stop();
       scene.say("catch io");
       scene.say("catch exception");
       scene.client.resume();
     }},
    {"collects at a tracepoint",
     [](Scene& scene) {
       scene.stop();
       for (const std::string& packet :
            {std::string("QTinit"), "QTDP:1:" + scene.tick() + ":E:0:0-",
             "QTDP:-1:" + scene.tick() + ":R1ffff", std::string("QTStart")})
         scene.client.request(packet);
       scene.client.resume();
     }},
    {"has a stop to take in non-stop mode",
     [](Scene& scene) {
       if (scene.client.request("QStartNoAckMode") == "OK") scene.client.set_acks(Acks::None);
       scene.client.request("QNonStop:1");
       scene.stop();
       while (scene.client.request("vStopped") != "OK") {
       }
       scene.client.request("vCont;c");
       scene.client.request("vCont;t:1");
     }},
    {"is in the past, and somebody looks",
     [](Scene& scene) {
       scene.stop();
       scene.observer.emplace(scene.guest.attach());
       scene.say("goto -1000");
     }},
};
static_assert(std::size(kStates) == 22);

struct Ending {
  const char* name;
  void (*end)(DebugClient&);
};

const Ending kEndings[] = {
    {"closes", [](DebugClient& client) { client.close(); }},
    {"resets its connection", [](DebugClient& client) { client.reset(); }},
    {"closes within a packet",
     [](DebugClient& client) {
       client.send_bytes("$m10");
       client.close();
     }},
    {"kills",
     [](DebugClient& client) {
       client.send_bytes(RawClient::frame("k"));
       client.close();
     }},
    {"detaches, and does not wait for the answer",
     [](DebugClient& client) {
       client.send_bytes(RawClient::frame("D"));
       client.close();
     }},
};

// Looked at by another debugger, while the guest stands.
std::string counters_and_code(GuestProcess& guest) {
  DebugClient client = guest.attach();
  std::string bytes = client.read(guest["counters"], 8 * kVcpus) + client.read(guest["tick"], 8);
  client.detach();
  return bytes;
}

void expect_nothing_left(GuestProcess& guest, const std::string& code) {
  const std::string before = counters_and_code(guest);
  ASSERT_EQ(before.substr(8 * kVcpus), code);
  for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
    for (const Deadline deadline;;) {
      const std::string now = counters_and_code(guest);
      ASSERT_EQ(now.substr(8 * kVcpus), code);
      if (now.compare(8 * vcpu, 8, before, 8 * vcpu, 8) != 0) break;
      ASSERT_FALSE(deadline.passed()) << "vCPU " << vcpu << " does not get on";
    }
  }
  EXPECT_TRUE(guest.running());
}

TEST_F(Protocol, Row36_ADebuggerMayEndInEveryState) {
  GuestProcess guest("counters", {.cpus = kVcpus, .start = Start::Running});
  guest.await_said_numbers(kVcpus);
  const std::string code = counters_and_code(guest).substr(8 * kVcpus);
  const unsigned count = test_events(2 * std::size(kStates) * std::size(kEndings));
  for (unsigned i = 0; i < count && !HasFatalFailure(); ++i) {
    const State& state = kStates[i % std::size(kStates)];
    const Ending& ending = kEndings[i / std::size(kStates) % std::size(kEndings)];
    SCOPED_TRACE("end " + std::to_string(i) + ": it " + state.name + ", and " + ending.name);
    {
      DebugClient client = guest.connect();
      Scene scene{guest, client};
      state.come(scene);
      ending.end(client);
    }
    expect_nothing_left(guest, code);
  }
}

}  // namespace
}  // namespace ringside::testing
