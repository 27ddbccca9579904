// Explores every interleaving of what vCPUs and a client can do against a small model of the engine
// (the contract in ringside/vm.h), and checks the promises of run control in every state.
#include "debug/run/run_control.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "debug/testing/exploration.h"
#include "debug/testing/run_control_state.h"

namespace ringside::debug {

namespace {

using Kind = Command::Kind;
using Phase = RunControl::Phase;

constexpr StopEvent kStep{StopCause::Step, 0, {}};
constexpr StopEvent kBegin{StopCause::HistoryBegin, 0, {}};
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
    std::optional<StopEvent> owed;  // happened, and not yet reported nor rightly discarded
    bool doubted = false;           // by a new condition of its breakpoint
    // Whoever is to know of the breakpoint that it stands on does: the client, or its condition.
    bool known = false;
  };

  World(unsigned count, StopCause cause)
      : breakpoint{cause, 0x1000, {}}, control(count), cpus(count), plan(count, kHold) {}

  StopEvent breakpoint;  // what a hit of it is
  RunControl control;
  std::vector<Cpu> cpus;
  std::vector<Action> plan;  // what the client asked for last
  Action plan_others = kHold;
  bool installed = false;        // the one breakpoint
  bool report_expected = false;  // a resume is unanswered
  bool interrupt_asked = false;
  bool client = false;
  bool travelling = false;             // a journey instead of vCPUs in the guest
  bool undoing = false;                // a client has gone, Undo has not come
  std::optional<std::uint32_t> first;  // whose event was the first in this stop
  bool removed_first = false;  // and its breakpoint was away for a while, which costs it its place
  std::string error;
  std::string last;  // the transition that led here

  std::string key() const {
    std::string out = RunControlState::key(control);
    for (const Cpu& c : cpus) {
      out.push_back(static_cast<char>('0' + c.active + 2 * c.in_guest + 4 * c.suspended +
                                      8 * c.trap + 16 * c.lifted));
      out.push_back(c.owed ? static_cast<char>('1' + static_cast<int>(c.owed->cause)) : '0');
      out.push_back(c.owed && c.doubted ? '1' : '0');
    }
    out.push_back(static_cast<char>('0' + installed + 2 * report_expected + 4 * interrupt_asked +
                                    8 * client + 16 * undoing + 32 * removed_first));
    out.push_back(travelling ? '1' : '0');
    out.push_back(first ? static_cast<char>('1' + *first) : '0');
    return out;
  }

  void fail(const std::string& what) {
    if (error.empty()) error = what;
  }
  bool all_out() const {
    for (const Cpu& c : cpus) {
      if (c.in_guest) return false;
    }
    return true;
  }

  // Whether what is owed need not be reported.
  bool gone(const Cpu& cpu) const { return cpu.owed == breakpoint && (!installed || cpu.doubted); }

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
        cpu.suspended = true;
        break;
      case Kind::Resume:
        if (cpu.in_guest) fail("resume of a vCPU that is in the guest");
        if (travelling) fail("resume in the middle of a journey");
        if (!cpu.active) fail("resume of a vCPU that never started");
        if (client && !report_expected) fail("resume while the client holds the machine");
        if (client && plan[index].kind == Action::Kind::Hold) fail("resume of a held vCPU");
        if (gone(cpu)) {  // rightly discarded
          cpu.owed.reset();
          forget_first(index);
        }
        cpu.doubted = false;
        if (cpu.owed) fail("resume over an event that nobody has heard of");
        for (std::uint32_t i = 0; i < cpus.size(); ++i) {
          if (i == index) continue;
          if (cpus[i].lifted) fail("another vCPU runs while a breakpoint is lifted");
          if (cpu.lifted && cpus[i].in_guest) fail("a breakpoint is lifted under a running vCPU");
        }
        if (client && cpu.trap != (plan[index].kind != Action::Kind::Run || cpu.lifted)) {
          fail("the trap does not follow the plan");
        }
        if (!client && cpu.trap) fail("a trap outlived its client");
        cpu.in_guest = true;
        cpu.suspended = false;
        if (!cpu.lifted) cpu.known = false;
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
        report();
        break;
      case Kind::Paused:
        if (!all_out()) fail("paused while somebody runs");
        break;
      case Kind::Undo:
        if (!all_out()) fail("undo while somebody runs");
        if (!undoing) fail("undo without a reason");
        for (Cpu& c : cpus) {
          if (c.trap || c.lifted) fail("undo left a trap or a lifted breakpoint");
          c.owed.reset();
          c.known = false;
        }
        installed = false;
        undoing = false;
        break;
    }
  }

  void report() {
    if (!client) fail("report to nobody");
    if (travelling) fail("report in the middle of a journey");
    if (!report_expected) fail("two reports for one resume");
    report_expected = false;
    if (!all_out()) fail("report before everything is out");
    const std::optional<VcpuId> vcpu = control.stopped_vcpu();
    if (!vcpu) {
      if (!interrupt_asked) fail("a stop without a reason");
    } else {
      const StopEvent* event = control.event_of(*vcpu);
      std::optional<StopEvent>& owed = cpus[vcpu->value].owed;
      if (event == nullptr || owed != *event) fail("report of an event that is not owed");
      if (gone(cpus[vcpu->value])) fail("report of a removed breakpoint");
      if (owed == breakpoint && !control.has_told(*vcpu)) fail("one arrival would be told twice");
      cpus[vcpu->value].known = owed == breakpoint;
      owed.reset();
      if (first && !removed_first && *first != vcpu->value && cpus[*first].owed &&
          !gone(cpus[*first])) {
        fail("not the first event wins");
      }
    }
    first.reset();
    removed_first = false;
    interrupt_asked = false;
  }

  void happened(std::uint32_t index, const StopEvent& event) {
    if (!client || undoing) return;
    cpus[index].owed = event;
    cpus[index].doubted = cpus[index].known = false;
    if (!first) first = index;
  }

  void check() {
    const Phase phase = control.phase();
    for (std::uint32_t i = 0; i < cpus.size(); ++i) {
      const Cpu& c = cpus[i];
      if (c.in_guest != control.in_guest({i})) fail("disagreement on who is in the guest");
      const bool reported = phase == Phase::Stopped && control.stopped_vcpu() == VcpuId{i};
      const StopEvent* pending = control.event_of({i});
      if (c.owed && (pending == nullptr || *pending != *c.owed) && !gone(c)) {
        fail("an event is lost");
      }
      if (pending != nullptr && !c.owed && !reported) fail("an event came from nowhere");
      if (phase == Phase::Stopping && c.in_guest && !c.suspended) fail("stopping forgot a vCPU");
      if (!client && !undoing && phase == Phase::Running && c.active && !c.in_guest) {
        fail("a vCPU does not run although nobody debugs");
      }
      if (client && phase == Phase::Running && c.active && !c.in_guest &&
          plan[i].kind != Action::Kind::Hold) {
        bool somebody_passes = false;
        for (const Cpu& other : cpus)
          somebody_passes |= other.in_guest && other.lifted;
        if (!somebody_passes) fail("a vCPU does not run although the plan says so");
      }
    }
    if (phase != Phase::Running && phase != Phase::Stopping && !all_out()) {
      fail("not everything is out");
    }
    if (phase == Phase::Stopping && all_out()) fail("the stop never completes");
    if (travelling != control.travelling()) fail("disagreement on a journey");
    if (travelling && phase != Phase::Stopped) fail("somebody runs during a journey");
    if (phase == Phase::Stopped && client && report_expected != travelling)
      fail("a stop without its report");
    if (phase == Phase::Running && client && !report_expected)
      fail("runs behind the client's back");
    if (undoing && phase != Phase::Stopping) fail("the teardown hangs");
  }

  void forget_first(std::uint32_t index) {
    if (first == index) first.reset();
  }

  void note_started(std::uint32_t index) {
    cpus[index].active = true;
    cpus[index].known = false;
    plan[index] = client ? plan_others : kRun;
  }
};

struct Explorer : Exploration<World> {
  Explorer(unsigned count, bool waits, StopCause of_breakpoint, std::size_t limit_depth)
      : Exploration(limit_depth), vcpus(count), wait(waits), cause(of_breakpoint) {}

  unsigned vcpus;
  bool wait;
  StopCause cause;

  void run() {
    World first(vcpus, cause);
    first.control.started({0});
    first.note_started(0);
    if (!wait) {
      first.undoing = true;
      first.control.release();
    }
    explore_from(std::move(first), [this](const World& w, const std::string& key, unsigned depth) {
      client_moves(w, key, depth);
      for (std::uint32_t i = 0; i < vcpus; ++i)
        engine_moves(w, key, depth, i);
    });
  }

  // Whether vCPU `index` stands on the breakpoint.
  enum class Standing { Elsewhere, OnBreakpoint };

  void resume(const World& w, const std::string& key, unsigned depth, const char* name,
              std::uint32_t index, const Action& one, const Action& rest,
              Standing standing = Standing::Elsewhere) {
    go(w, key, depth, name, index, [&](World& n) {
      n.plan.assign(vcpus, rest);
      n.plan[index] = one;
      if (standing == Standing::OnBreakpoint) {
        const bool passes = n.control.passes_breakpoint({index}, one);
        if (one.kind == Action::Kind::Run && passes != n.cpus[index].known)
          n.fail(passes ? "who runs on misses a breakpoint" : "one arrival would be told again");
        if (one.kind != Action::Kind::Run && !passes) n.fail("a step would hit a breakpoint");
        n.plan[index].pass_breakpoint = passes;
      }
      n.plan_others = rest;
      n.plan_others.pass_breakpoint = false;
      n.report_expected = true;
      // Who has asked for a stop on the way to here gets it.
      if (!std::exchange(n.travelling, false)) n.interrupt_asked = false;
      // A step that is done is news only to who has not said since what its vCPU is to do.
      for (World::Cpu& cpu : n.cpus) {
        if (cpu.owed == kStep) cpu.owed.reset();
      }
      // The client heard of the reported event; resuming acknowledges it.
      if (!n.control.resume({n.plan, n.plan_others})) n.fail("resume refused");
    });
  }

  void set_out(const World& w, const std::string& key, unsigned depth) {
    go(w, key, depth, "set out", 0, [](World& n) {
      n.travelling = n.report_expected = true;
      n.interrupt_asked = false;
      n.plan.assign(n.plan.size(), kRun);
      n.plan_others = kRun;
      for (World::Cpu& cpu : n.cpus) {
        if (cpu.owed == kStep) cpu.owed.reset();
      }
      if (!n.control.set_out()) n.fail("a journey refused");
    });
  }

  // Everybody is somewhere else, where `last` may live or not.
  static void move_all(World& n, bool last) {
    const std::uint32_t count = static_cast<std::uint32_t>(n.cpus.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      World::Cpu& cpu = n.cpus[i];
      cpu.active = i == 0 || (i + 1 == count ? last : cpu.active);
      cpu.owed.reset();
      cpu.known = cpu.doubted = false;
      n.control.reset({i}, cpu.active);
    }
    n.first.reset();
    n.removed_first = false;
  }

  void arrive(const World& w, const std::string& key, unsigned depth, const char* name,
              std::uint32_t i, bool last, const StopEvent& event) {
    go(w, key, depth, name, i, [&](World& n) {
      move_all(n, last);
      n.travelling = false;
      n.cpus[i].owed = event;
      n.control.arrived(VcpuId{i}, event);
    });
  }

  void journey_moves(const World& w, const std::string& key, unsigned depth) {
    for (std::uint32_t i = 0; i < vcpus; ++i) {
      if (!w.cpus[i].active) continue;
      arrive(w, key, depth, "steps back", i, true, kStep);
      if (w.installed) arrive(w, key, depth, "goes back to a breakpoint", i, true, w.breakpoint);
    }
    arrive(w, key, depth, "goes back to the begin", 0, false, kBegin);
    go(w, key, depth, "gives up", 0, [](World& n) {
      move_all(n, true);
      n.travelling = false;
      n.interrupt_asked = true;
      n.control.arrived(std::nullopt, {});
    });
    // Nobody has moved: what others have to tell is told.
    go(w, key, depth, "cannot set out", 0, [](World& n) {
      n.travelling = false;
      n.interrupt_asked = true;
      n.control.arrived(std::nullopt, {});
    });
    go(w, key, depth, "is elsewhere", 0, [](World& n) { move_all(n, true); });
    resume(w, key, depth, "c in the present", 0, kRun, kRun);
    resume(w, key, depth, "s in the present", 0, kStepOne, kHold);
  }

  void client_moves(const World& w, const std::string& key, unsigned depth) {
    const Phase phase = w.control.phase();
    if (!w.client) {
      go(w, key, depth, "attach", 0, [](World& n) {
        n.client = true;
        n.report_expected = n.interrupt_asked = false;
        n.control.attach();
      });
      // For somebody who looks.
      if (phase == Phase::Running) {
        go(w, key, depth, "pause", 0, [](World& n) { n.control.pause(); });
      }
      if (phase == Phase::Paused) {
        go(w, key, depth, "unpause", 0, [](World& n) {
          n.control.unpause();
          if (n.control.phase() != Phase::Running) n.fail("a look stops the machine");
        });
      }
      return;
    }
    go(w, key, depth, "detach", 0, [](World& n) {
      n.client = n.travelling = false;
      n.undoing = true;
      n.report_expected = n.interrupt_asked = false;
      for (Action& action : n.plan)
        action = kRun;
      for (World::Cpu& cpu : n.cpus)
        cpu.owed.reset();  // nobody is left to be told
      n.first.reset();
      n.control.detach();
    });
    go(w, key, depth, "interrupt", 0, [](World& n) {
      // Asked while stopped it must have no effect at all.
      if (n.report_expected) n.interrupt_asked = true;
      n.control.interrupt();
    });
    if (w.travelling) {
      journey_moves(w, key, depth);
      return;
    }
    if (phase == Phase::Stopped) {
      set_out(w, key, depth);
      // Its traces go, it stays, and nothing runs.
      go(w, key, depth, "renew", 0, [](World& n) {
        n.undoing = true;
        for (Action& action : n.plan)
          action = kRun;
        for (World::Cpu& cpu : n.cpus)
          cpu.owed.reset();
        n.first.reset();
        n.control.renew();
      });
      resume(w, key, depth, "c", 0, kRun, kRun);
      for (std::uint32_t i = 0; i < vcpus; ++i) {
        if (!w.cpus[i].active) continue;
        resume(w, key, depth, "s", i, kStepOne, kHold);
        resume(w, key, depth, "vCont;s:i;c", i, kStepOne, kRun);
        resume(w, key, depth, "vCont;r:i;c", i, kRange, kRun);
        if (!w.installed) continue;
        resume(w, key, depth, "s over", i, kStepOne, kHold, Standing::OnBreakpoint);
        resume(w, key, depth, "vCont;r over;c", i, kRange, kRun, Standing::OnBreakpoint);
        resume(w, key, depth, "c over", i, kRun, kRun, Standing::OnBreakpoint);
      }
    } else {
      World copy = w;
      if (copy.control.resume({{}, kRun})) failure_ = "resume accepted while not stopped";
    }
    if (phase == Phase::Running) {
      go(w, key, depth, "pause", 0, [](World& n) { n.control.pause(); });
    }
    if (phase == Phase::Paused) {
      go(w, key, depth, "unpause", 0, [](World& n) { n.control.unpause(); });
    }
    if (phase == Phase::Stopped || phase == Phase::Paused) {
      go(w, key, depth, w.installed ? "remove" : "insert", 0, [](World& n) {
        n.installed = !n.installed;
        if (!n.installed && n.first && n.cpus[*n.first].owed == n.breakpoint)
          n.removed_first = true;
        for (World::Cpu& cpu : n.cpus)
          cpu.doubted = false;
        if (n.installed) {
          n.control.inserted(n.breakpoint);
        } else {
          n.control.removed(n.breakpoint);
        }
      });
      go(w, key, depth, "reset", 0, [this](World& n) {
        for (std::uint32_t i = 0; i < vcpus; ++i) {
          n.cpus[i].active = i == 0;
          n.cpus[i].owed.reset();
          n.cpus[i].known = false;
          n.control.reset({i}, i == 0);
        }
        n.first.reset();
        n.removed_first = false;
      });
      for (std::uint32_t i = 0; i < vcpus; ++i) {
        if (!w.control.event_of({i})) continue;
        // With four vCPUs there would be ten times as many states.
        if (vcpus < 4 && w.installed && w.cpus[i].owed == w.breakpoint && !w.cpus[i].doubted) {
          go(w, key, depth, "doubt", i, [i](World& n) {
            n.cpus[i].doubted = true;
            if (n.first == i) n.removed_first = true;
            n.control.doubt({i});
          });
        }
        go(w, key, depth, "move", i, [i](World& n) {
          if (n.cpus[i].owed == n.breakpoint) {
            n.cpus[i].owed.reset();
            n.forget_first(i);
          }
          n.cpus[i].known = false;
          n.control.moved({i});
        });
      }
    }
  }

  void engine_moves(const World& w, const std::string& key, unsigned depth, std::uint32_t i) {
    const World::Cpu& cpu = w.cpus[i];
    if (!cpu.active && !w.all_out()) {
      go(w, key, depth, "started", i, [i](World& n) {
        n.note_started(i);
        n.control.started({i});
      });
    }
    if (!cpu.in_guest) return;
    const auto out = [i](World& n) { n.cpus[i].in_guest = n.cpus[i].suspended = false; };
    if (cpu.suspended) {
      go(w, key, depth, "parked", i, [&](World& n) { out(n), n.control.returned({i}); });
    }
    go(w, key, depth, "foreign #BP", i, [&](World& n) { out(n), n.control.returned({i}); });
    if (i != 0) {
      go(w, key, depth, "vanished", i, [&](World& n) {
        out(n);
        n.cpus[i].active = false;
        n.control.vanished({i});
      });
    }
    if (w.installed && !cpu.lifted) {
      go(w, key, depth, "breakpoint", i, [&](World& n) {
        out(n);
        n.happened(i, n.breakpoint);
        n.control.exited({i}, n.breakpoint);
      });
      // Four vCPUs would take a minute with it, and show nothing that three do not.
      if (vcpus < 4) {
        go(w, key, depth, "false condition", i, [&](World& n) {
          out(n);
          n.cpus[i].known = n.client && !n.undoing;
          n.control.skipped({i});
        });
      }
    }
    if (!cpu.trap) return;
    for (const Gva pc : {Gva{0x18}, Gva{0x80}}) {
      go(w, key, depth, pc.value == 0x18 ? "trap inside" : "trap outside", i, [&](World& n) {
        out(n);
        n.cpus[i].known = false;
        const Action::Kind kind = n.plan[i].kind;
        const bool tells =
            kind == Action::Kind::Step || (kind == Action::Kind::StepRange && pc.value >= 0x20);
        if (tells) n.happened(i, kStep);
        n.control.trapped({i}, pc);
      });
    }
  }
};

void explore(unsigned vcpus, bool wait, std::size_t depth,
             StopCause cause = StopCause::Breakpoint) {
  Explorer explorer(vcpus, wait, cause, depth);
  explorer.run();
  std::printf("%u vCPUs, %s: %zu states, %zu transitions, deepest %u\n", vcpus,
              wait ? "waiting at the first instruction" : "running at once", explorer.states(),
              explorer.transitions(), explorer.deepest());
  EXPECT_EQ(explorer.failure(), "");
  EXPECT_GT(explorer.states(), 500u);
}

TEST(RunControlEveryInterleaving, TwoVcpus) { explore(2, false, 100); }
// A hit by linear address; there may be an int3 at it as well.
TEST(RunControlEveryInterleaving, TwoVcpusByAddress) {
  explore(2, false, 100, StopCause::LinearBreakpoint);
  explore(2, false, 100, StopCause::HardwareBreakpoint);
}
TEST(RunControlEveryInterleaving, TwoVcpusWaiting) { explore(2, true, 100); }
TEST(RunControlEveryInterleaving, ThreeVcpus) { explore(3, false, 100); }
TEST(RunControlEveryInterleaving, FourVcpus) { explore(4, false, 100); }
TEST(RunControlEveryInterleaving, ThreeVcpusWaiting) { explore(3, true, 100); }

}  // namespace
}  // namespace ringside::debug
