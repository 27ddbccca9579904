// A second stock GDB beside the one that has the machine.
#include "gdb/gdb_fixture.h"

namespace ringside::testing {
namespace {

using Start = GuestOptions::Start;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(Dialogue, ASecondGdbLooksAtTheGuestOfTheFirst) {
  begin("demo", {.cpus = 2});
  connect();
  gdb("break is_prime");
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1, is_prime"));

  GdbSession second(guest_->image().path());
  const std::string remote = "target remote 127.0.0.1:" + std::to_string(guest_->port());
  EXPECT_THAT(second.command(remote), HasSubstr("is_prime"));
  EXPECT_THAT(second.command("info threads"), AllOf(HasSubstr("vCPU 0"), HasSubstr("vCPU 1")));
  EXPECT_THAT(second.command("bt 2"), HasSubstr("look_at"));
  EXPECT_THAT(second.command("x/i $pc"), Not(HasSubstr("int3")));

  gdb("delete");
  gdb_->start("continue");
  guest_->process().await_busy();
  // Each look is one at the guest as it runs.
  const auto number = [&] {
    second.command("maintenance flush register-cache");
    second.command("maintenance flush dcache");
    return second.command("print workers[0]");
  };
  const std::string before = number();
  for (const Deadline deadline; number() == before;)
    ASSERT_FALSE(deadline.passed());
  EXPECT_THAT(second.command("set var $rax = 1"), HasSubstr("E16"));
  EXPECT_THAT(second.command("continue"), AllOf(HasSubstr("this one only looks; 'monitor control'"),
                                                HasSubstr("Remote failure reply: E16")));
  EXPECT_THAT(second.command("monitor quit"), HasSubstr("only looks"));
  EXPECT_THAT(second.command("monitor control"), HasSubstr("another debugger has the machine"));
  EXPECT_THAT(second.command("monitor info status"), HasSubstr("running"));

  // The first goes without a word, and the second has the machine as soon as it asks.
  gdb_.reset();
  std::string answer;
  for (const Deadline deadline; answer.find("has the machine now") == std::string::npos;
       answer = second.command("monitor control"))
    ASSERT_FALSE(deadline.passed());
  second.command("maintenance flush register-cache");
  second.command("break is_prime");
  EXPECT_THAT(second.command("continue"), HasSubstr("Breakpoint 1, is_prime"));
  EXPECT_THAT(second.command("detach"), HasSubstr("detached"));
}

}  // namespace
}  // namespace ringside::testing
