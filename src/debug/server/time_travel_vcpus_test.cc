// Several vCPUs in their past, and walks through it beside what a list of all states says.
#include <fmt/format.h>
#include <rapidcheck.h>

#include "debug/testing/travel_bench.h"

namespace ringside::debug {
namespace {

using namespace testing;

TEST(TimeTravel, AStepBackIsTheChosenVcpus) {
  TravelBench machine(2);
  machine.stop_after(10);
  EXPECT_EQ(machine.ask("Hc2"), "OK");
  EXPECT_EQ(machine.go("bs"), "T05thread:02;");
  EXPECT_EQ(machine.travel.position(), 19u);
  EXPECT_EQ(machine.go("bs"), "T05thread:02;");
  EXPECT_EQ(machine.travel.position(), 17u);
  EXPECT_EQ(machine.ask("Hc1"), "OK");
  EXPECT_EQ(machine.go("bs"), "T05thread:01;");
  EXPECT_EQ(machine.travel.position(), 16u);
  // Whoever the client holds goes with the others.
  EXPECT_EQ(machine.go("vCont;s:1"), "T05thread:01;");
  EXPECT_EQ(machine.go("vCont;s:1"), "T05thread:01;");
  EXPECT_EQ(machine.travel.position(), 19u);
  EXPECT_TRUE(machine.travel.is_right());
}

TEST(TimeTravel, AHeldVcpusBreakpointIsTold) {
  TravelBench machine(2);
  machine.stop_after(10);
  EXPECT_EQ(machine.go("bc"), kBegin);
  EXPECT_EQ(machine.ask("Z0,1101,1"), "OK");
  EXPECT_EQ(machine.go("vCont;s:1"), "T05thread:01;");
  EXPECT_EQ(machine.go("vCont;s:1"), "T05thread:01;");
  EXPECT_EQ(machine.travel.position(), 3u);
  EXPECT_EQ(machine.go("vCont;s:1"), "T05thread:02;swbreak:;");
  EXPECT_EQ(machine.travel.position(), 3u);
  EXPECT_EQ(machine.go("vCont;s:1"), "T05thread:01;");
  EXPECT_EQ(machine.travel.position(), 5u);
}

// A hit of another vCPU that the server finds to be none does not make it forget who steps.
TEST(TimeTravel, AStepPassesItsBreakpointWhateverOthersMeet) {
  TravelBench machine(2);
  machine.guest.vm.offer.filtered_stops = nullptr;
  machine.stop_after(10);
  machine.ask("Hc2");
  while (machine.travel.position() != 5)
    EXPECT_EQ(machine.go("bs"), "T05thread:02;");
  ASSERT_EQ(machine.rip(0), kJump);
  ASSERT_EQ(machine.rip(1), kOther + 2);
  EXPECT_EQ(machine.ask("Z0,1003,1"), "OK");
  EXPECT_EQ(machine.ask("Z0,1102,1;X7,26000022631327"), "OK");
  EXPECT_EQ(machine.go("vCont;s:1"), "T05thread:01;");
  EXPECT_EQ(machine.travel.position(), 7u);
}

TEST(TimeTravel, WhoStandsOnABreakpointInThePresentIsToldThere) {
  TravelBench machine(2);
  machine.stop_after(3);
  // The last instruction is vCPU 0's alone.
  machine.client.send("vCont;s:1");
  machine.settle();
  EXPECT_EQ(machine.client.receive(), "T05thread:01;");
  ASSERT_EQ(machine.travel.position(), 7u);
  ASSERT_EQ(machine.rip(1), kOther);
  EXPECT_EQ(machine.ask("Z0,1100,1"), "OK");
  machine.ask("Hc1");
  EXPECT_EQ(machine.go("bs"), "T05thread:01;");
  EXPECT_EQ(machine.travel.position(), 6u);
  machine.client.send("c");
  machine.settle(3);
  EXPECT_EQ(machine.client.receive(), "T05thread:02;swbreak:;");
}

TEST(TimeTravel, AVcpuThatHasNotStartedIsNoThread) {
  TravelBench machine(2);
  machine.guest.vm.make_inactive({1});
  machine.travel.begin();
  machine.stop_after(4);
  EXPECT_EQ(machine.ask("qfThreadInfo"), "m01");
  machine.client.send("c");
  machine.guest.vm.start({1});
  machine.run(5);
  machine.client.interrupt();
  machine.client.receive();
  EXPECT_EQ(machine.ask("qfThreadInfo"), "m01,02");
  EXPECT_EQ(machine.ask("Hg2"), "OK");
  EXPECT_EQ(machine.go("bc"), kBegin);
  EXPECT_EQ(machine.ask("qC"), "QC01");
  EXPECT_EQ(machine.ask("qfThreadInfo"), "m01");
  EXPECT_EQ(machine.ask("Z0,1101,1"), "OK");
  EXPECT_EQ(machine.go("c"), "T05thread:02;swbreak:;");
  EXPECT_EQ(machine.ask("qfThreadInfo"), "m01,02");
  EXPECT_TRUE(machine.travel.is_right());
  EXPECT_EQ(machine.ask("z0,1101,1"), "OK");
  // A client that gives up where its vCPU was not there is shown another.
  machine.travel.slice = 1000;
  machine.ask("Hg2");
  EXPECT_EQ(machine.go("bs"), "T05thread:02;");
  machine.travel.slice = 1;
  machine.client.send("bc");
  while (machine.travel.position() > 2)
    machine.server.drain_events();
  machine.client.interrupt();
  EXPECT_EQ(machine.client.receive(), "T02thread:01;");
  // Live again it runs, because that is what its client wants of all.
  machine.client.send("c");
  machine.settle(10);
  EXPECT_FALSE(machine.travel.in_past());
  EXPECT_TRUE(machine.guest.vm.vcpu({1}).in_guest());
}

TEST(TimeTravel, AVcpusDeathIsToldAgainWhereItIs) {
  TravelBench machine;
  machine.stop_after(5);
  machine.client.send("c");
  machine.guest.vm.vcpu({0}).doing = hypervisor::VcpuActivity::Dead;
  machine.guest.vm.happen({0}, hypervisor::exit::Dead{"a triple fault"});
  machine.server.drain_events();
  const std::string words = "vCPU 0 cannot go on: a triple fault\n";
  EXPECT_EQ(text_of(machine.client.receive()), words);
  EXPECT_EQ(machine.client.receive(), "T06thread:01;");
  EXPECT_EQ(machine.go("bs"), "T05thread:01;");
  EXPECT_EQ(text_of(machine.go("c")), words);
  EXPECT_EQ(machine.client.receive(), "T06thread:01;");
  // It is known then, and whoever lets it go on wants the end.
  machine.client.send("c");
  EXPECT_FALSE(machine.guest.vm.stops_instead_of_death());
}

// GDB says once who goes back, and looks at others by Hg in between.
TEST(TimeTravel, GdbGoesBackWithWhoHasStopped) {
  TravelBench machine(2);
  machine.stop_after(10);
  EXPECT_EQ(machine.ask("Hc2"), "OK");
  EXPECT_EQ(machine.go("bs"), "T05thread:02;");
  EXPECT_EQ(machine.ask("Hg1"), "OK");
  EXPECT_EQ(machine.go("bs"), "T05thread:02;");
  EXPECT_EQ(machine.ask("Hc0"), "OK");
  EXPECT_EQ(machine.go("bs"), "T05thread:02;");
  EXPECT_EQ(machine.ask("Hg1"), "OK");
  EXPECT_EQ(machine.go("bs"), "T05thread:02;");
  EXPECT_EQ(machine.ask("Hc1"), "OK");
  EXPECT_EQ(machine.go("bs"), "T05thread:01;");
  EXPECT_EQ(machine.ask("Hg2"), "OK");
  EXPECT_EQ(machine.ask("Hc-1"), "OK");
  EXPECT_EQ(machine.go("bs"), "T05thread:01;");
}

// Random walks through the past of random length, beside what the list of states says.
TEST(TimeTravel, WalksAreRightWhereverTheyLead) {
  rc::check([] {
    const auto vcpus = *rc::gen::inRange(1u, 4u);
    TravelBench machine(vcpus);
    machine.stop_after(*rc::gen::inRange(1u, 30u));
    std::uint32_t current = 0;
    std::optional<std::uint32_t> chosen;  // by Hc, to go back
    std::optional<std::uint64_t> breakpoint;
    constexpr std::uint32_t kNobody = 99;
    std::uint32_t told = kNobody;  // who stands on it and is known to
    const auto& states = machine.travel;
    const auto executes = [&](std::size_t at) {
      const FakeTimeTravel::State& state = states.state(at);
      return breakpoint && state.cpus[state.next].rip == breakpoint;
    };
    for (unsigned step = 0; step < 30; ++step) {
      const std::size_t from = states.position();
      const std::string thread = fmt::format("T05thread:{:02x};", current + 1);
      switch (*rc::gen::inRange(0, 6)) {
        case 0: {  // bs
          std::size_t to = from;
          bool arrives = false, hits = false;
          const std::uint32_t back = chosen.value_or(current);
          while (to > 0 && !arrives && !hits) {
            --to;
            hits = executes(to);
            arrives = states.state(to).next == back;
          }
          const std::string reply = machine.go("bs");
          RC_ASSERT(states.position() == to);
          if (hits) {
            current = states.state(to).next;
            RC_ASSERT(reply == fmt::format("T05thread:{:02x};swbreak:;", current + 1));
          } else {
            if (arrives) current = back;
            RC_ASSERT(reply ==
                      (arrives ? fmt::format("T05thread:{:02x};", back + 1) : thread + kBegins));
          }
          told = hits ? current : kNobody;
          break;
        }
        case 1: {  // bc
          std::size_t to = from;
          bool hits = false;
          while (to > 0 && !hits)
            hits = executes(--to);
          const std::string reply = machine.go("bc");
          RC_ASSERT(states.position() == to);
          if (hits) current = states.state(to).next;
          RC_ASSERT(reply ==
                    fmt::format("T05thread:{:02x};{}", current + 1, hits ? "swbreak:;" : kBegins));
          told = hits ? current : kNobody;
          break;
        }
        case 2: {  // s, where it is in the past altogether
          std::size_t to = from;
          bool done = false, hits = false;
          std::vector<bool> passes(vcpus);
          passes[current] = true;
          if (told != kNobody) passes[told] = true;
          for (; to < states.present() && !done && !hits;) {
            const std::uint32_t who = states.state(to).next;
            hits = executes(to) && !passes[who];
            if (hits) break;
            passes[who] = false;
            done = who == current;
            ++to;
          }
          if (!done && !hits) break;
          const std::string reply = machine.go("s");
          RC_ASSERT(states.position() == to);
          if (hits) current = states.state(to).next;
          RC_ASSERT(reply ==
                    fmt::format("T05thread:{:02x};{}", current + 1, hits ? "swbreak:;" : ""));
          told = hits ? current : kNobody;
          break;
        }
        case 3: {  // another breakpoint
          if (breakpoint) machine.ask(fmt::format("z0,{:x},1", *breakpoint));
          const std::uint64_t places[] = {kLoop, kStore, kOther, kOther + 1};
          breakpoint = places[*rc::gen::inRange(0, 4)];
          RC_ASSERT(machine.ask(fmt::format("Z0,{:x},1", *breakpoint)) == "OK");
          break;
        }
        case 4:
          current = *rc::gen::inRange(0u, vcpus);
          chosen = current;
          RC_ASSERT(machine.ask(fmt::format("Hc{:x}", current + 1)) == "OK");
          break;
        default: {  // given up somewhere
          machine.client.send("bc");
          for (unsigned slices = *rc::gen::inRange(0u, 10u); slices > 0; --slices)
            machine.server.drain_events();
          if (!machine.server.has_work()) {
            machine.client.take_raw();
            machine.client.receive();
          } else {
            machine.client.interrupt();
            RC_ASSERT(machine.client.receive() == fmt::format("T02thread:{:02x};", current + 1));
          }
          current = static_cast<std::uint32_t>(machine.ask("qC").back() - '1');
          told = kNobody;
          const std::size_t at = states.position();
          if (at < from && executes(at) && machine.ask("?").find("swbreak") != std::string::npos)
            told = states.state(at).next;
        }
      }
      RC_ASSERT(machine.travel.is_right());
      const auto memory =
          to_hex(std::span(states.state(states.position()).memory).subspan(kData, 16));
      RC_ASSERT(machine.ask("m3000,10") == memory);
    }
    // Back where the run was left, and on: it is the run that never went back.
    machine.client.disconnect();
    TravelBench plain(vcpus);
    plain.server.start();
    plain.run(static_cast<unsigned>(states.present() / vcpus));
    machine.run(10);
    plain.run(10);
    RC_ASSERT(machine.travel.present() == plain.travel.present());
    RC_ASSERT(states.state(states.present()) == plain.travel.state(plain.travel.present()));
    RC_ASSERT(machine.travel.is_right());
  });
}

}  // namespace
}  // namespace ringside::debug
