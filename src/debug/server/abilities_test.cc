// What an engine can do may be asked at any time: walks through what two vCPUs, whose breakpoints
// are bytes in memory, and a client can do, and asks in every state. Nothing that run control has
// switched may change by it.
#include <deque>
#include <unordered_set>

#include "debug/packets/debugger.h"
#include "debug/testing/fixture.h"
#include "debug/testing/run_control_state.h"

namespace ringside::debug {
namespace {

using hypervisor::Capability;
using testing::Bench;
using testing::ToyGuest;
using Phase = RunControl::Phase;
namespace opcode = testing::opcode;

constexpr unsigned kVcpus = 2;
constexpr std::uint64_t kBreakpoint = 0x1001;

enum class Move : std::uint8_t {
  Attach,
  Detach,
  Interrupt,
  InsertFalse,  // with a condition that never holds
  Insert,
  Remove,
  Continue,
  Step,
  StepOne,
  Execute0,
  Execute1,
  Park,
  AskWhetherItSteps,
  Count,
};

// One way through the moves, from the start. Not copyable, so each way is gone anew.
class World {
 public:
  World()
      : guest_(kVcpus),
        target_(guest_.vm, BreakpointMechanism::Int3),
        debugger_(target_, options_) {
    guest_.vm.make_active({1});
    guest_.vm.lazy = true;
    guest_.write(0x1000, {opcode::kIncRax, opcode::kNop, opcode::kJump, 0xfc});
    target_.begin();
    target_.control().release();
    target_.settle();
    target_.control().attach();
    target_.settle();
  }

  // False where it cannot be done now.
  bool go(Move move) {
    if (!act(move)) return false;
    target_.settle();
    (void)target_.take_report();
    return true;
  }

  // What is wrong; empty if nothing is.
  std::string fault() {
    for (std::uint32_t i = 0; i < kVcpus; ++i) {
      const auto& vcpu = guest_.vm.vcpu({i});
      if (vcpu.has(Capability::MonitorTrap) != target_.control().trap_on({i}))
        return "the step trap is not what run control has made it";
      const bool armed = guest_.byte(kBreakpoint) == opcode::kInt3;
      const bool wished = !target_.breakpoints().empty();
      if (vcpu.has(Capability::BreakpointExit) != wished)
        return "int3 is intercepted, or not, without need";
      if (vcpu.in_guest() && vcpu.has(Capability::MaskInterrupts) != target_.control().trap_on({i}))
        return "interrupts are held back outside of steps, or not in one";
      if (vcpu.in_guest() && !vcpu.has(Capability::MonitorTrap) && armed != wished)
        return "a vCPU runs while its breakpoint is out";
    }
    return {};
  }

  std::string key() {
    std::string out = RunControlState::key(target_.control());
    for (std::uint32_t i = 0; i < kVcpus; ++i) {
      const auto& vcpu = guest_.vm.vcpu({i});
      out += static_cast<char>('0' + vcpu.cpu.rip % 16 + 16 * vcpu.in_guest() +
                               32 * vcpu.has(Capability::MonitorTrap) +
                               64 * vcpu.has(Capability::BreakpointExit));
      out += static_cast<char>('0' + vcpu.has(Capability::MaskInterrupts));
    }
    for (const auto& [address, wish] : target_.breakpoints().wishes())
      out += wish.program.conditions.empty() ? 'b' : 'c';
    return out + static_cast<char>(guest_.byte(kBreakpoint));
  }

 private:
  bool act(Move move) {
    RunControl& control = target_.control();
    const bool stopped = control.phase() == Phase::Stopped;
    switch (move) {
      case Move::Attach:
        if (control.attached()) return false;
        debugger_.begin_session();
        control.attach();
        return true;
      case Move::Detach:
        if (!control.attached()) return false;
        debugger_.end_session();
        return true;
      case Move::Interrupt:
        control.interrupt();
        return true;
      case Move::InsertFalse:
        return stopped && answer("Z0,1001,1;X3,220027");
      case Move::Insert:
        return stopped && answer("Z0,1001,1");
      case Move::Remove:
        return stopped && answer("z0,1001,1");
      case Move::Continue:
        return stopped && answer("c");
      case Move::Step:
        return stopped && answer("s");
      case Move::StepOne:
        return stopped && answer("vCont;s:2;c");
      case Move::Execute0:
        guest_.run_one(0);
        return true;
      case Move::Execute1:
        guest_.run_one(1);
        return true;
      case Move::Park:
        guest_.vm.park_all();
        return true;
      case Move::AskWhetherItSteps:
        EXPECT_TRUE(target_.can_step({0}) && target_.can_step({1}));
        return true;
      case Move::Count:
        break;
    }
    return false;
  }
  bool answer(std::string_view payload) {
    (void)debugger_.answer(rsp::parse(payload));
    return true;
  }

  ToyGuest guest_;
  ServerOptions options_;
  Target target_;
  Debugger debugger_;
};

TEST(Abilities, MayBeAskedInEveryState) {
  using Way = std::vector<Move>;
  std::deque<Way> queue{{}};
  std::unordered_set<std::string> seen;
  while (!queue.empty()) {
    const Way way = std::move(queue.front());
    queue.pop_front();
    for (unsigned i = 0; i < static_cast<unsigned>(Move::Count); ++i) {
      World world;
      for (const Move move : way)
        (void)world.go(move);
      const Move next{static_cast<std::uint8_t>(i)};
      if (!world.go(next)) continue;
      Way longer = way;
      longer.push_back(next);
      if (const std::string fault = world.fault(); !fault.empty()) {
        std::string moves;
        for (const Move move : longer)
          moves += " " + std::to_string(static_cast<unsigned>(move));
        FAIL() << fault << ", after the moves" << moves;
      }
      if (seen.insert(world.key()).second) queue.push_back(std::move(longer));
    }
  }
  std::printf("%zu states\n", seen.size());
  EXPECT_GT(seen.size(), 500u);
}

// The same with packets: a condition that does not hold is passed, Ctrl-C comes meanwhile, and
// nobody has stepped before.
TEST(Abilities, ABreakpointOutlivesAnInterruptedPass) {
  Bench bench(1, {.breakpoints = BreakpointMechanism::Int3});
  bench.guest.write(0x1000, {opcode::kIncRax, opcode::kNop, opcode::kJump, 0xfc});
  bench.attach();
  bench.guest.vm.lazy = true;
  ASSERT_EQ(bench.ask("Z0,1001,1;X7,26000022041327"), "OK");  // rax == 4
  bench.client.send("c");
  bench.run(2);  // it has reached the breakpoint, and is on its way past it
  ASSERT_EQ(bench.guest.byte(0x1001), opcode::kNop);
  bench.client.interrupt();
  bench.guest.vm.park_all();
  bench.server.drain_events();
  ASSERT_EQ(bench.client.receive(), "S05");
  bench.client.send("c");
  bench.run(40);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.guest.rax(0), 4u);
  EXPECT_EQ(bench.guest.byte(0x1001), opcode::kInt3);
}

}  // namespace
}  // namespace ringside::debug
