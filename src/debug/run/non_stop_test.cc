// Explores every interleaving of what vCPUs and a client in non-stop mode can do against a small
// model of the engine (the contract in ringside/vm.h), and checks the promises in every state.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "debug/run/run_control.h"
#include "debug/testing/exploration.h"
#include "debug/testing/run_control_state.h"

namespace ringside::debug {

namespace {

using Kind = Command::Kind;
using Phase = RunControl::Phase;
using Mode = RunControl::Mode;

constexpr StopEvent kBreakpoint{StopCause::Breakpoint, 0x1000, {}};
constexpr StopEvent kStep{StopCause::Step, 0, {}};
constexpr StopEvent kDead{StopCause::Dead, 0, {}};
constexpr Action kHold{Action::Kind::Hold, {}, false};
constexpr Action kRun{Action::Kind::Run, {}, false};
constexpr Action kStepOne{Action::Kind::Step, {}, false};
constexpr Action kRange{Action::Kind::StepRange, {{0x10}, {0x20}}, false};

// The engine and the client as the promises see them, beside the RunControl under test.
struct World {
  struct Cpu {
    bool active = false;
    bool in_guest = false;
    bool suspended = false;
    bool trap = false;
    bool lifted = false;
    bool at_breakpoint = false;     // stands on an installed one that it has been told of
    Action does = kHold;            // what the client has it do; Hold: it has it stopped
    std::optional<StopEvent> owed;  // has happened, and the client was not notified of it
    bool asked = false;             // the client waits for its stop
    bool lapsed = false;            // to be told of, though it has gone on since, in another life
  };

  explicit World(unsigned count) : control(count), cpus(count) {}

  RunControl control;
  std::vector<Cpu> cpus;
  std::vector<std::uint32_t> happened_in_order;
  std::optional<std::uint32_t> notified;  // not acknowledged yet
  bool client = true;
  bool undoing = false;
  bool all_stop = false;  // the mode was left again
  std::string error;
  std::string last;

  std::string key() const {
    std::string out = RunControlState::key(control);
    for (const Cpu& c : cpus) {
      out.push_back(static_cast<char>('0' + c.active + 2 * c.in_guest + 4 * c.suspended +
                                      8 * c.trap + 16 * c.lifted + 32 * c.at_breakpoint));
      out.push_back(static_cast<char>('0' + static_cast<int>(c.does.kind) + 4 * c.asked +
                                      8 * c.does.pass_breakpoint + 16 * c.lapsed));
      out.push_back(c.owed ? static_cast<char>('1' + static_cast<int>(c.owed->cause)) : '0');
    }
    for (const std::uint32_t index : happened_in_order)
      out.push_back(static_cast<char>('0' + index));
    out.push_back(notified ? static_cast<char>('1' + *notified) : '0');
    out.push_back(static_cast<char>('0' + client + 2 * undoing + 4 * all_stop));
    return out;
  }

  void fail(const std::string& what) {
    if (error.empty()) error = what;
  }
  bool all_out() const {
    return std::none_of(cpus.begin(), cpus.end(), [](const Cpu& c) { return c.in_guest; });
  }

  void execute() {
    for (const Command& command : control.take_commands())
      execute(command);
    check();
  }

  void execute(const Command& command) {
    const std::uint32_t index = command.vcpu.value;
    Cpu& cpu = cpus[index];
    switch (command.kind) {
      case Kind::Suspend:
        if (!cpu.in_guest) fail("suspend of a vCPU that is out");
        if (cpu.suspended) fail("suspended twice");
        cpu.suspended = true;
        break;
      case Kind::Resume:
        if (cpu.in_guest) fail("resume of a vCPU that is in the guest");
        if (!cpu.active) fail("resume of a vCPU that never started");
        if (client && cpu.does.kind == Action::Kind::Hold) fail("resume of a held vCPU");
        if (client && all_stop) fail("resume while the client holds the machine");
        if (client && cpu.asked) fail("resume of a vCPU that is to stop");
        for (std::uint32_t i = 0; i < cpus.size(); ++i) {
          if (i == index) continue;
          if (cpus[i].lifted) fail("another vCPU runs while a breakpoint is lifted");
          if (cpu.lifted && cpus[i].in_guest) fail("a breakpoint is lifted under a running vCPU");
        }
        if (client && cpu.does.pass_breakpoint && !cpu.lifted) fail("hits what it was told of");
        if (client && cpu.trap != (cpu.does.kind != Action::Kind::Run || cpu.lifted))
          fail("the trap does not follow the plan");
        if (!client && cpu.trap) fail("a trap outlived its client");
        cpu.in_guest = true;
        cpu.suspended = false;
        break;
      case Kind::TrapOn:
      case Kind::TrapOff:
        if (cpu.in_guest) fail("trap switched inside the guest");
        if (cpu.trap == (command.kind == Kind::TrapOn)) fail("trap switched twice");
        cpu.trap = command.kind == Kind::TrapOn;
        break;
      case Kind::Lift:
        if (!all_out()) fail("lift while somebody runs");
        cpu.lifted = true;
        break;
      case Kind::Restore:
        if (!cpu.lifted) fail("restore of nothing");
        cpu.lifted = false;
        break;
      case Kind::Report:
        if (notified) fail("two notifications and no acknowledgement");
        told(index);
        break;
      case Kind::Paused:
        if (!all_out()) fail("paused while somebody runs");
        break;
      case Kind::Undo:
        if (!all_out() || !undoing) fail("undo at the wrong moment");
        for (Cpu& c : cpus) {
          if (c.trap || c.lifted) fail("undo left a trap or a lifted breakpoint");
          c.does = kRun;
          c.at_breakpoint = false;
        }
        undoing = false;
        break;
    }
  }

  // The client hears of this vCPU's stop.
  void told(std::uint32_t index) {
    Cpu& cpu = cpus[index];
    if (!client) fail("a notification to nobody");
    notified = index;
    if (happened_in_order.empty() || happened_in_order.front() != index) {
      fail("not the eldest stop is told");
      return;
    }
    happened_in_order.erase(happened_in_order.begin());
    const StopEvent* event = control.event_of({index});
    if (!std::exchange(cpu.lapsed, false) && (event == nullptr || cpu.owed != *event))
      fail("told of another stop than its own");
    cpu.owed.reset();
  }

  void happened(std::uint32_t index, const StopEvent& event) {
    if (!client || undoing) return;
    Cpu& cpu = cpus[index];
    cpu.owed = event;
    cpu.does = kHold;
    cpu.asked = false;
    happened_in_order.push_back(index);
  }

  void check() {
    const Phase phase = control.phase();
    for (std::uint32_t i = 0; i < cpus.size(); ++i) {
      const Cpu& c = cpus[i];
      if (c.in_guest != control.in_guest({i})) fail("disagreement on who is in the guest");
      if (phase == Phase::Stopping && c.in_guest && !c.suspended) fail("stopping forgot a vCPU");
      if (c.asked && !c.suspended) fail("a vCPU that is to stop is not asked to");
      if (client && !undoing && !all_stop && control.held({i}) != (c.does.kind == kHold.kind))
        fail("disagreement on who is held");
      if (!client && !undoing && phase == Phase::Running && c.active && !c.in_guest)
        fail("a vCPU does not run although nobody debugs");
      if (client && phase == Phase::Running && c.active && !c.in_guest &&
          c.does.kind != Action::Kind::Hold) {
        const bool somebody_passes = std::any_of(
            cpus.begin(), cpus.end(), [](const Cpu& o) { return o.in_guest && o.lifted; });
        if (!somebody_passes) fail("a vCPU does not run although the client let it");
      }
    }
    if (client && !undoing && !notified && !happened_in_order.empty() && !all_stop)
      fail("a stop is told to nobody");
    if (phase == Phase::Paused && !all_out()) fail("not everything is out");
    if (phase == Phase::Stopping && all_out()) fail("the stop never completes");
    if (phase == Phase::Stopped && client && !undoing && !all_stop) fail("the machine stopped");
    if (undoing && phase != Phase::Stopping) fail("the teardown hangs");
    const bool goes = std::any_of(cpus.begin(), cpus.end(), [](const Cpu& c) {
      return c.active && (c.in_guest || c.does.kind != Action::Kind::Hold);
    });
    if (client && !undoing && !all_stop && control.stopped() == goes)
      fail("disagreement on whether anybody runs");
  }
};

struct Explorer : Exploration<World> {
  // `running`: the machine ran until the client came.
  Explorer(unsigned count, bool running, std::size_t limit_depth)
      : Exploration(limit_depth), vcpus(count), ran(running) {}

  unsigned vcpus;
  bool ran;

  void run() {
    World first(vcpus);
    first.control.started({0});
    first.cpus[0].active = true;
    if (ran) {
      first.control.started({1});
      first.cpus[1].active = true;
      first.control.release();
      (void)first.control.take_commands();
      first.control.attach();
      first.control.returned({0});
      first.control.returned({1});
      (void)first.control.take_commands();
      first.cpus[1].does = kRun;  // and the other one stands
    } else {
      first.control.attach();
    }
    if (!first.control.set_mode(Mode::NonStop)) first.fail("the mode is refused");
    explore_from(std::move(first), [this](const World& w, const std::string& key, unsigned depth) {
      client_moves(w, key, depth);
      for (std::uint32_t i = 0; i < vcpus; ++i)
        engine_moves(w, key, depth, i);
    });
  }

  void resume(const World& w, const std::string& key, unsigned depth, const char* name,
              const std::vector<std::uint32_t>& who, const Action& action) {
    go(w, key, depth, name, who.front(), [&](World& n) {
      std::vector<Action> actions(vcpus, kHold);
      for (const std::uint32_t i : who) {
        World::Cpu& cpu = n.cpus[i];
        actions[i] = action;
        actions[i].pass_breakpoint = cpu.at_breakpoint && n.control.passes_breakpoint({i}, action);
        if (cpu.at_breakpoint && !actions[i].pass_breakpoint) n.fail("would be told again");
        const bool unheard = n.notified == i || cpu.owed || cpu.lapsed;
        if (cpu.active && cpu.does.kind == Action::Kind::Hold && !unheard)
          cpu.does = actions[i];
        else
          actions[i].pass_breakpoint = false;
      }
      n.control.resume_each(actions);
    });
  }

  void client_moves(const World& w, const std::string& key, unsigned depth) {
    const Phase phase = w.control.phase();
    if (!w.client) return;  // the other test's matter from here on
    go(w, key, depth, "detach", 0, [](World& n) {
      n.client = false;
      n.undoing = true;
      n.notified.reset();
      n.happened_in_order.clear();
      for (World::Cpu& cpu : n.cpus) {
        cpu.owed.reset();
        cpu.asked = cpu.lapsed = false;
      }
      n.control.detach();
    });
    if (w.all_stop) return;
    if (w.notified) {
      go(w, key, depth, "vStopped", 0, [](World& n) {
        n.notified.reset();
        const std::optional<VcpuId> next = n.control.acknowledge_report();
        if (next) n.told(next->value);
      });
    }
    if (!w.notified) {
      go(w, key, depth, "?", 0, [](World& n) {
        for (std::uint32_t i = 0; i < n.cpus.size(); ++i) {
          World::Cpu& cpu = n.cpus[i];
          if (!cpu.active || cpu.does.kind != Action::Kind::Hold) continue;
          const StopEvent* event = n.control.event_of({i});
          cpu.lapsed = event == nullptr;
          if (event != nullptr) cpu.owed = *event;
          n.happened_in_order.push_back(i);
        }
        const std::optional<VcpuId> first = n.control.report_again();
        if (first.has_value() != !n.happened_in_order.empty()) n.fail("? forgets somebody");
        if (first) n.told(first->value);
      });
    }
    std::vector<std::uint32_t> all(vcpus);
    for (std::uint32_t i = 0; i < vcpus; ++i)
      all[i] = i;
    resume(w, key, depth, "vCont;c", all, kRun);
    for (std::uint32_t i = 0; i < vcpus; ++i) {
      if (!w.cpus[i].active) continue;
      const bool runs = w.cpus[i].does.kind != Action::Kind::Hold;
      if (!runs) {
        resume(w, key, depth, "vCont;c", {i}, kRun);
        resume(w, key, depth, "vCont;s", {i}, kStepOne);
        if (vcpus < 3) resume(w, key, depth, "vCont;r", {i}, kRange);
      }
      go(w, key, depth, "vCont;t", i, [&](World& n) {
        World::Cpu& cpu = n.cpus[i];
        const StopEvent asked{StopCause::Asked, 0, {}};
        if (runs && !cpu.in_guest) n.happened(i, asked);
        if (runs && cpu.in_guest) cpu.asked = true;
        n.control.stop({i}, StopCause::Asked);
      });
    }
    if (phase == Phase::Running) {
      go(w, key, depth, "pause", 0, [](World& n) { n.control.pause(); });
    }
    if (phase != Phase::Paused) return;
    go(w, key, depth, "unpause", 0, [](World& n) { n.control.unpause(); });
    go(w, key, depth, "QNonStop:0", 0, [](World& n) {
      if (!n.control.set_mode(Mode::AllStop)) n.fail("the mode is refused");
      n.all_stop = true;
      n.notified.reset();
      n.happened_in_order.clear();
      if (n.control.phase() != Phase::Stopped)
        n.fail("all-stop mode begins with a machine that runs");
    });
    go(w, key, depth, "reset", 0, [this](World& n) {
      for (std::uint32_t i = 0; i < vcpus; ++i) {
        World::Cpu& cpu = n.cpus[i];
        cpu.active = i == 0;
        cpu.at_breakpoint = false;
        cpu.does.pass_breakpoint = false;
        if (cpu.owed) cpu.lapsed = true;
        cpu.owed.reset();
        if (i != 0) forget(n, i);
        n.control.reset({i}, i == 0);
      }
    });
    for (std::uint32_t i = 0; i < vcpus; ++i) {
      if (!w.cpus[i].at_breakpoint) continue;
      go(w, key, depth, "move", i, [i](World& n) {
        n.cpus[i].at_breakpoint = n.cpus[i].does.pass_breakpoint = false;
        n.control.moved({i});
      });
    }
  }

  // What the client has not been notified of it will not be.
  static void forget(World& n, std::uint32_t i) {
    auto& order = n.happened_in_order;
    order.erase(std::remove(order.begin(), order.end(), i), order.end());
    n.cpus[i].owed.reset();
    n.cpus[i].lapsed = false;
  }

  void engine_moves(const World& w, const std::string& key, unsigned depth, std::uint32_t i) {
    const World::Cpu& cpu = w.cpus[i];
    if (!cpu.active && !w.all_out()) {
      go(w, key, depth, "started", i, [i](World& n) {
        n.cpus[i].active = true;
        n.cpus[i].at_breakpoint = false;
        n.cpus[i].does = kRun;
        forget(n, i);
        n.control.started({i});
      });
    }
    if (!cpu.in_guest) return;
    const auto out = [i](World& n) { n.cpus[i].in_guest = n.cpus[i].suspended = false; };
    const auto asked = [i](World& n) {
      if (n.cpus[i].asked) n.happened(i, {StopCause::Asked, 0, {}});
    };
    if (cpu.suspended) {
      go(w, key, depth, "parked", i, [&](World& n) { out(n), asked(n), n.control.returned({i}); });
    }
    go(w, key, depth, "foreign #BP", i,
       [&](World& n) { out(n), asked(n), n.control.returned({i}); });
    if (i != 0) {
      go(w, key, depth, "vanished", i, [&](World& n) {
        out(n);
        n.cpus[i].active = false;
        asked(n);
        n.control.vanished({i});
      });
    }
    if (!cpu.lifted) {
      go(w, key, depth, "breakpoint", i, [&](World& n) {
        out(n);
        n.happened(i, kBreakpoint);
        n.cpus[i].at_breakpoint = n.client && !n.undoing;
        n.control.exited({i}, kBreakpoint);
      });
      if (vcpus < 3) {
        go(w, key, depth, "false condition", i, [&](World& n) {
          out(n);
          n.cpus[i].at_breakpoint = n.client && !n.undoing;
          n.cpus[i].does.pass_breakpoint = n.client && !n.undoing;
          asked(n);
          n.control.skipped({i});
        });
        go(w, key, depth, "dies", i, [&](World& n) {
          out(n);
          n.happened(i, kDead);
          n.control.exited({i}, kDead);
        });
      }
    }
    if (!cpu.trap) return;
    for (const Gva pc : {Gva{0x18}, Gva{0x80}}) {
      go(w, key, depth, pc.value == 0x18 ? "trap inside" : "trap outside", i, [&](World& n) {
        out(n);
        World::Cpu& c = n.cpus[i];
        c.at_breakpoint = c.does.pass_breakpoint = false;
        const Action::Kind kind = c.does.kind;
        if (kind == Action::Kind::Step || (kind == Action::Kind::StepRange && pc.value >= 0x20)) {
          n.happened(i, kStep);
        } else {
          asked(n);
        }
        n.control.trapped({i}, pc);
      });
    }
  }
};

void explore(unsigned vcpus, bool ran, std::size_t depth) {
  Explorer explorer(vcpus, ran, depth);
  explorer.run();
  std::printf("%u vCPUs: %zu states, %zu transitions\n", vcpus, explorer.states(),
              explorer.transitions());
  EXPECT_EQ(explorer.failure(), "");
  EXPECT_GT(explorer.states(), 500u);
}

TEST(NonStopEveryInterleaving, TwoVcpus) { explore(2, false, 100); }
TEST(NonStopEveryInterleaving, TwoVcpusThatRan) { explore(2, true, 100); }
TEST(NonStopEveryInterleaving, ThreeVcpus) { explore(3, false, 100); }

TEST(NonStop, BeginsAndEndsWithEverybodyStopped) {
  RunControl control(2);
  control.started({0});
  EXPECT_FALSE(control.set_mode(Mode::NonStop));  // nobody is attached
  control.attach();
  EXPECT_FALSE(control.set_mode(Mode::AllStop));
  EXPECT_TRUE(control.set_mode(Mode::NonStop));
  EXPECT_TRUE(control.stopped());
  EXPECT_FALSE(control.set_mode(Mode::AllStop));  // not before everybody is out
  control.resume_each({kRun});
  EXPECT_FALSE(control.stopped());
  control.pause();
  control.returned({0});
  EXPECT_TRUE(control.set_mode(Mode::AllStop));
  EXPECT_EQ(control.phase(), Phase::Stopped);
}

TEST(NonStop, TheEndOfARecordedRunIsToldOfEverybodyWhoRuns) {
  RunControl control(2);
  control.started({0});
  control.attach();
  ASSERT_TRUE(control.set_mode(Mode::NonStop));
  control.resume_each({kRun});
  control.started({1});
  control.come_to_end();
  control.come_to_end();
  control.returned({1});
  control.returned({0});
  EXPECT_TRUE(control.stopped());
  EXPECT_EQ(control.event_of({1})->cause, StopCause::HistoryEnd);
  EXPECT_EQ(control.acknowledge_report(), VcpuId{0});
  EXPECT_EQ(control.acknowledge_report(), std::nullopt);
}

}  // namespace
}  // namespace ringside::debug
