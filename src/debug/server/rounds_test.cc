// Whoever owns a server may sleep when has_work() says so, and only then.
#include "debug/server/server.h"
#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/fixture.h"
#include "rsp/reply.h"

namespace ringside::debug {
namespace {

using testing::Bench;
using testing::FakeStoppoints;
namespace exit = hypervisor::exit;

// Each resume meets an int3 of the guest's own, for a while.
class StormyVm final : public hypervisor::testing::FakeVm {
 public:
  void resume(VcpuId id) override {
    FakeVm::resume(id);
    if (storm == 0) return;
    --storm;
    happen(id, exit::Breakpoint{});
  }
  unsigned storm = 0;
};

TEST(Rounds, GoOnWhileThereAreMoreEventsThanOneTakes) {
  StormyVm vm;
  vm.memory().add_ram(Gpa{0}, 0x1000);
  Server server(vm, {});
  vm.storm = 1000;
  server.start();
  unsigned rounds = 1;
  for (; server.has_work() && rounds < 1000; ++rounds)
    server.drain_events();
  EXPECT_FALSE(server.has_work());
  EXPECT_EQ(vm.storm, 0u);
  EXPECT_TRUE(vm.vcpu({0}).in_guest());
  EXPECT_GT(rounds, 2u) << "no round may take for ever";
}

// A breakpoint prints, there is nobody to print it to any more, and its vCPU waits outside of the
// guest for room; which there is as soon as the text has gone to the console.
TEST(Rounds, GoOnForAVcpuThatHasWaitedForRoom) {
  std::string printed;
  ServerOptions options;
  options.console = [&](std::string_view text) { printed += text; };
  FakeStoppoints engine;
  engine.filters = engine.physical_supported = true;
  Bench bench(1, options);
  engine.give_to(bench.guest.vm);
  bench.attach();
  const std::string text = std::string(200, '.') + '\0';
  const std::string print = "22002200340100c9" + rsp::reply::hex(text) + "27";
  ASSERT_EQ(bench.ask("Z0,1000,1;cmds:1,Xd2," + print), "OK");
  bench.client.disconnect();
  ASSERT_NE(engine.filter, nullptr);
  const exit::HardwareBreakpoint hit{Gva{0x1000}};
  while (!engine.filter->wants_stop({0}, hit)) {
  }
  bench.guest.vm.happen({0}, hit);
  bench.server.drain_events();
  EXPECT_FALSE(printed.empty());
  EXPECT_TRUE(bench.server.has_work() || bench.in_guest(0));
  bench.server.drain_events();
  EXPECT_TRUE(bench.in_guest(0));
  EXPECT_FALSE(bench.server.has_work());
}

}  // namespace
}  // namespace ringside::debug
