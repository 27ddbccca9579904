// A recording of a run in which a debugger changes things, replayed: the same state at the end. The
// sessions go through the real socket; what is done in them comes from a seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <regex>
#include <stdexcept>

#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using Stream = ChildProcess::Stream;

constexpr std::uint64_t kLocalApicTaskPriority = 0xfee00080;

class RecordedSession : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  struct Outcome {
    int status = 0;
    std::string state;  // the line with the hash
    std::string error;
  };
  static Outcome outcome(ChildProcess& process) {
    const int status = process.await_exit();
    const std::string error = process.text(Stream::Error);
    std::smatch found;
    std::regex_search(error, found, std::regex("state: .*"));
    return {status, found.str(), error};
  }

  using Session = std::function<void(GuestProcess&, DebugClient&)>;
  // The session ends with the guest stopped; then the debugger ends the machine.
  Outcome record(const char* guest, unsigned cpus, const Session& session) {
    GuestOptions options;
    options.cpus = cpus;
    options.arguments = {"--record", path_};
    GuestProcess process(guest, options);
    DebugClient client = process.attach();
    client.request("qSupported:swbreak+;vContSupported+");
    client.request("vCont?");
    try {
      session(process, client);
      client.send("qRcmd," + hex("quit"));
    } catch (const std::runtime_error&) {
      if (!client.closed()) throw;  // the guest has ended, and with it the connection
    }
    return outcome(process.process());
  }
  // A debugger that only looks does so in the replay.
  Outcome replay_watched(const char* guest, unsigned cpus, const Session& session) {
    GuestOptions options;
    options.cpus = cpus;
    options.arguments = {"--replay", path_, "--serial", "none"};
    GuestProcess process(guest, options);
    DebugClient client = process.connect();
    try {
      client.request("?");
      session(process, client);
      client.detach();
    } catch (const std::runtime_error&) {
      if (!client.closed()) throw;
    }
    return outcome(process.process());
  }
  Outcome replay(const char* guest, unsigned cpus) {
    ChildProcess process({RINGSIDE_PROGRAM, "-e", "soft", "-c", std::to_string(cpus), "-m", "32M",
                          "--replay", path_, GuestImage(guest).path()});
    process.close_input();
    return outcome(process);
  }
  void expect_the_same(const char* guest, unsigned cpus, const Session& session,
                       const Session& look) {
    const Outcome recorded = record(guest, cpus, session);
    EXPECT_NE(recorded.state, "") << recorded.error;
    const Outcome replayed = replay(guest, cpus);
    EXPECT_EQ(replayed.status, recorded.status) << replayed.error << journal();
    EXPECT_EQ(replayed.state, recorded.state) << replayed.error << journal();
    const Outcome watched = replay_watched(guest, cpus, look);
    EXPECT_EQ(watched.status, recorded.status) << watched.error << journal();
    EXPECT_EQ(watched.state, recorded.state) << watched.error << journal();
  }

  std::string journal() const {
    std::ifstream stream(path_);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  // How many inputs of this kind there are; they are taken out of the journal.
  unsigned drop(const std::string& kind) {
    std::istringstream lines(journal());
    std::string kept;
    unsigned dropped = 0;
    for (std::string line; std::getline(lines, line);) {
      if (std::regex_search(line, std::regex("^[0-9+]+ [0-9]+ " + kind))) {
        ++dropped;
      } else {
        kept += line + "\n";
      }
    }
    std::ofstream(path_) << kept;
    return dropped;
  }

  const std::string path_ = ::testing::TempDir() + "ringside-session-" + std::to_string(::getpid());
};

// Whatever a client can do that the guest may notice, once.
void restart(GuestProcess& guest, DebugClient& client) {
  client.write(guest["counters"] + 128, "before the reset");
  EXPECT_THAT(monitor(client, "system_reset"), HasSubstr("as at power-on"));
  client.insert(guest["entry_of_loop"]);
  client.resume();
  client.await_stop();
  client.remove(guest["entry_of_loop"]);
}

void change_state(GuestProcess& guest, DebugClient& client) {
  std::string all = client.request("g");
  all.replace(8 * 16, 16, hex(little_endian(0xabcdef, 8)));  // r8
  EXPECT_EQ(client.request("G" + all), "OK");
  EXPECT_EQ(client.request("P1=" + hex(little_endian(0x1234567, 8))), "OK");  // rbx
  client.write(guest["counters"] + 192, "written by the debugger");
  client.write(kLocalApicTaskPriority, little_endian(0x20, 4));
  EXPECT_THAT(monitor(client, "msr LSTAR 0xffffffff81000000"), HasSubstr("LSTAR"));
}

void hold_and_step(GuestProcess& guest, DebugClient& client, unsigned cpus) {
  client.insert(guest["tick"]);
  client.resume();
  client.await_stop();
  for (int i = 0; i < 5; ++i)
    client.step();
  if (cpus > 1) {
    // Both have started; one runs while the other is held, one is stepped while the other is held.
    for (const char* action : {"vCont;c:2", "vCont;s:1", "vCont;c:1", "vCont;s:2", "vCont;s:2"}) {
      client.send(action);
      client.await_stop();
    }
    client.send("vCont;s:1;c");
    client.await_stop();
  }
  client.remove(guest["tick"]);
}

TEST_F(RecordedSession, EndsInTheSameStateWhenReplayed) {
  for (const unsigned cpus : {1u, 2u}) {
    SCOPED_TRACE(cpus);
    expect_the_same(
        "counters", cpus,
        [&](GuestProcess& guest, DebugClient& client) {
          client.resume();
          guest.await_said_numbers(cpus);
          client.stop();
          restart(guest, client);
          change_state(guest, client);
          client.resume();
          client.stop();
          hold_and_step(guest, client, cpus);
          client.detach();
          client = guest.attach();
          EXPECT_THAT(monitor(client, "nmi"), HasSubstr("takes an NMI"));
        },
        [](GuestProcess& guest, DebugClient& client) {
          client.insert(guest["tick"]);
          for (int i = 0; i < 3; ++i) {
            client.resume();
            client.await_stop();
            client.read_u64(guest["counters"]);
          }
          for (const char* command : {"nmi", "system_powerdown", "system_reset"})
            EXPECT_THAT(monitor(client, command), HasSubstr("a replay takes nothing")) << command;
          client.remove(guest["tick"]);
        });
    // What is left out is missed.
    const std::string whole = journal();
    for (const char* kind :
         {"register ", "state ", "memory ", "device ", "msr ", "nmi ", "reset", "supervision "}) {
      std::ofstream(path_) << whole;
      EXPECT_GE(drop(kind), 1u) << kind << whole;
      if (cpus == 1 && kind == std::string("supervision ")) continue;  // no interrupt to keep out
      const Outcome replayed = replay("counters", cpus);
      EXPECT_EQ(replayed.status, 4) << kind << replayed.error;
      EXPECT_THAT(replayed.error, HasSubstr("replay")) << kind;
    }
  }
}

// A client that does one thing after another, whatever comes of it.
class Meddler {
 public:
  Meddler(GuestProcess& guest, DebugClient& client, unsigned cpus, unsigned seed,
          std::uint64_t place, std::uint64_t data)
      : guest_(guest), client_(client), cpus_(cpus), random_(seed), place_(place), data_(data) {}

  void act() {
    switch (random_() % 15) {
      case 0:
        return ask("P" + hex_number(8 + random_() % 8) + "=" + hex(little_endian(random_(), 8)));
      case 1:
        return ask("G" + client_.request("g"));
      case 2:
        return client_.write(0x180000 + random_() % 0x1000, "meddled");
      case 3:
        return ask("qRcmd," + hex("msr CSTAR " + std::to_string(random_())));
      case 4:
        return ask(random_() % 2 == 0 ? "Qqemu.sstep=1" : "Qqemu.sstep=7");
      case 5:
        return ask((random_() % 2 == 0 ? "Z0," : "z0,") + hex_number(place_) + ",1");
      case 6:
        return ask((random_() % 2 == 0 ? "Z2," : "z2,") + hex_number(data_) + ",8");
      case 7:
        client_.detach();
        client_ = guest_.attach();
        return ask(random_() % 4 == 0 ? "?" : "vCont?");  // who asks hears of deaths
      case 8:
        return run("c");
      case 9:
        return run("vCont;c:" + somebody());
      case 10:
        return run("vCont;s:" + somebody() + ";c");
      case 11:  // a guest that has no handler for it dies of it
        return random_() % 8 == 0 ? ask("qRcmd," + hex("nmi")) : run("c");
      case 12:
        return ask("qRcmd," + hex("system_reset"));
      default:
        for (unsigned steps = random_() % 20; steps > 0; --steps)
          run("vCont;s:" + somebody());
    }
  }

  // What changes nothing.
  void look() {
    switch (random_() % 6) {
      case 0:
        return ask("g");
      case 1:
        return ask("m" + hex_number(data_) + ",100");
      case 2:
        return ask((random_() % 2 == 0 ? "Z0," : "z0,") + hex_number(place_) + ",1");
      case 3:
        return ask((random_() % 2 == 0 ? "Z2," : "z2,") + hex_number(data_) + ",8");
      case 4:
        ask("Qqemu.sstep=1");
        return run("vCont;s:" + somebody() + ";c");
      default:
        return run("c");
    }
  }

 private:
  void ask(const std::string& packet) { client_.request(packet); }
  std::string somebody() { return hex_number(1 + random_() % cpus_); }
  // One reply comes, whatever ends the run: also an error, if nobody could run.
  void run(const std::string& packet) {
    client_.send(packet);
    if (random_() % 2 == 0) client_.interrupt();
    if (client_.silent_for(std::chrono::milliseconds(20))) client_.interrupt();
    while (client_.receive().starts_with('O')) {  // words about a death come before
    }
  }

  GuestProcess& guest_;
  DebugClient& client_;
  const unsigned cpus_;
  std::minstd_rand random_;
  const std::uint64_t place_, data_;  // that are executed and written again and again
};

// RINGSIDE_TEST_SESSIONS for more of them.
unsigned seeds() {
  const char* const text = std::getenv("RINGSIDE_TEST_SESSIONS");
  return text == nullptr ? 4 : static_cast<unsigned>(std::stoul(text));
}

TEST_F(RecordedSession, WhateverWasDoneInIt) {
  struct Scene {
    const char *guest, *place, *data;
    unsigned cpus;
  };
  const Scene scenes[] = {
      {"counters", "tick", "counters", 1}, {"counters", "tick", "counters", 2},
      {"counters", "tick", "counters", 3}, {"interrupts", "handler", "ticks", 1},
      {"wired", "idle", "main", 2},        {"transfers", "after_transfer", "blocks", 1}};
  for (const Scene& scene : scenes) {
    for (unsigned seed = 1; seed <= seeds(); ++seed) {
      SCOPED_TRACE(scene.guest + std::string(", seed ") + std::to_string(seed));
      expect_the_same(
          scene.guest, scene.cpus,
          [&](GuestProcess& guest, DebugClient& client) {
            Meddler meddler(guest, client, scene.cpus, seed, guest[scene.place], guest[scene.data]);
            for (int i = 0; i < 40; ++i)
              meddler.act();
          },
          [&](GuestProcess& guest, DebugClient& client) {
            Meddler looker(guest, client, scene.cpus, seed, guest[scene.place], guest[scene.data]);
            for (int i = 0; i < 20; ++i)
              looker.look();
          });
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace ringside::testing
