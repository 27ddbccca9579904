// Rows 44 to 48: one instruction exactly, whatever it is.
#include "protocol/protocol_test.h"
#include "support/effort.h"

namespace ringside::testing {
namespace {

TEST_F(Protocol, Row44_AStepIsOneInstruction) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.run_to(guest["tick"]);
  for (std::uint64_t round = 0; round < 100; ++round) {
    EXPECT_EQ(client.step().text, "T05thread:01;");
    EXPECT_EQ(client.rip(), guest["tick_end"]);
    EXPECT_EQ(client.read_u64(guest["counters"]), round + 1);
    client.step();  // ret
    client.step();  // jmp
    EXPECT_EQ(client.rip(), guest["entry_of_loop"]);
    client.step();  // call
    EXPECT_EQ(client.rip(), guest["tick"]);
  }
}

TEST_F(Protocol, Row45_OnlyTheCurrentVcpuSteps) {
  GuestProcess guest("counters", {.cpus = 3, .start = Start::Running});
  guest.await_said_numbers(3);
  DebugClient client = guest.attach();
  client.request("Hc2");
  client.select(1);
  const std::string before = client.read(guest["counters"], 24);
  for (int i = 0; i < 40; ++i)
    EXPECT_EQ(client.step().vcpu, 1u);
  const std::string after = client.read(guest["counters"], 24);
  EXPECT_EQ(after.substr(0, 8), before.substr(0, 8));
  EXPECT_NE(after.substr(8, 8), before.substr(8, 8));
  EXPECT_EQ(after.substr(16), before.substr(16));
}

TEST_F(Protocol, Row46_AStepDoesNotLandInAnInterruptHandler) {
  GuestProcess guest("interrupts");
  DebugClient client = guest.attach();
  // A slow machine must have time left beside the interrupts.
  const std::uint64_t period = client.read_u64(guest["period"]);
  client.write(guest["period"], little_endian(period * slowness(), 8));
  client.run_to(guest["sled"]);
  client.resume();
  client.stop();  // in the middle of the run, so that an interrupt may be pending
  client.run_to(guest["sled"]);
  std::uint64_t expected = guest["sled"];
  const unsigned steps = 1000 / slowness();
  for (unsigned i = 0; i < steps; ++i) {
    client.step();
    const std::uint64_t now = client.rip();
    if (expected == guest["sled_end"]) {
      expected = guest["sled"];
    } else {
      expected = expected < guest["sled"] + 64 ? expected + 1 : guest["sled_end"];
    }
    ASSERT_EQ(now, expected) << "after " << i << " steps";
  }
  // The interrupts were late, not lost.
  const std::uint64_t ticks = client.read_u64(guest["ticks"]);
  client.insert(guest["handler"]);
  client.resume();
  client.await_stop();
  EXPECT_EQ(client.rip(), guest["handler"]);
  EXPECT_EQ(client.read_u64(guest["ticks"]), ticks);
}

TEST_F(Protocol, Row46_AStepLandsInAnInterruptHandlerWhereThatIsAsked) {
  GuestProcess guest("interrupts");
  DebugClient client = guest.attach();
  client.run_to(guest["sled"]);
  ASSERT_EQ(client.request("Qqemu.sstep=1"), "OK");
  // The range is all that the guest does outside of its handler.
  client.request("vCont?");
  client.request("vCont;r" + hex_number(guest["sled"]) + "," + hex_number(guest["sled_end"] + 2) +
                 ":1");
  EXPECT_EQ(client.rip(), guest["handler"]);
}

TEST_F(Protocol, Row46_ARangeStepStaysOutOfInterruptHandlers) {
  GuestProcess guest("interrupts");
  DebugClient client = guest.attach();
  client.run_to(guest["sled"]);
  client.request("vCont?");
  const std::uint64_t ticks = client.read_u64(guest["ticks"]);
  const std::uint64_t rounds = client.read_u64(guest["rounds"]);
  // The range is the whole loop, so that only Ctrl-C ends it, many timer periods later.
  client.send("vCont;r" + hex_number(guest["sled"]) + "," + hex_number(guest["sled_end"] + 2) +
              ":1");
  EXPECT_TRUE(client.silent_for(kQuiet));
  client.interrupt();
  client.receive();
  EXPECT_GT(client.read_u64(guest["rounds"]), rounds + (engine() == "soft" ? 1000 : 0));
  EXPECT_EQ(client.read_u64(guest["ticks"]), ticks);
  EXPECT_GE(client.rip(), guest["sled"]);
  EXPECT_LE(client.rip(), guest["sled_end"]);
}

// The guest steps itself with TF: a debugger that steps it too changes nothing of what it sees.
TEST_F(Protocol, Row47_TheGuestsOwnSingleStepping) {
  NEEDS(Feature::EveryInstruction);
  constexpr std::uint64_t kTrap = 1 << 8, kSingleStep = 1 << 14;
  GuestProcess guest("ownstep");
  DebugClient client = guest.attach();
  client.run_to(guest["own_end"]);
  const std::uint64_t alone = client.read_u64(guest["traps"]);
  // An emulated host processor may not trap after the POPF that ends it (Bochs 2.7 does not).
  if (engine() == "soft") {
    EXPECT_EQ(alone, 11u);
  }
  EXPECT_EQ(client.read_u64(guest["all_dr6"]) & ~0xffff0ff0u, kSingleStep);
  client.write(guest["all_dr6"], std::string(8, '\0'));
  client.run_to(guest["at_own_popf"]);
  bool seen_in_handler = false;
  for (int i = 0; i < 500 && client.rip() != guest["own_end"]; ++i) {
    client.step();
    seen_in_handler |= client.rip() == guest["own_handler"];
  }
  ASSERT_EQ(client.rip(), guest["own_end"]);
  EXPECT_TRUE(seen_in_handler);
  EXPECT_EQ(client.read_u64(guest["traps"]), alone);
  EXPECT_EQ(client.read_u64(guest["all_dr6"]) & ~0xffff0ff0u, kSingleStep);
  EXPECT_EQ(client.read_u64(guest["pushed_flags"]) & kTrap, kTrap);
  // Outside of it steps leave no trace at all.
  client.write(guest["all_dr6"], std::string(8, '\0'));
  for (int i = 0; i < 4; ++i)
    client.step();
  EXPECT_EQ(client.read_u64(guest["all_dr6"]), 0u);
}

class Steps : public Protocol {
 protected:
  static constexpr std::uint64_t kTrap = 1 << 8, kInterrupt = 1 << 9, kDirection = 1 << 10,
                                 kOverflow = 1 << 11;

  void SetUp() override {
    Protocol::SetUp();
    if (IsSkipped()) return;
    NEEDS(Feature::EveryInstruction);
    guest_.emplace("steps");
    client_.emplace(guest_->attach());
  }
  std::uint64_t symbol(const std::string& name) { return (*guest_)[name.c_str()]; }
  std::uint64_t flags() { return client_->registers()[kEflags]; }
  void run_to(const char* label) {
    client_->run_to(symbol(label));
    ASSERT_EQ(client_->rip(), symbol(label));
  }
  // Steps over the instruction at one label; it must end at the other.
  void step(const char* from, const char* to) {
    run_to(from);
    EXPECT_EQ(client_->step().text, "T05thread:01;");
    EXPECT_EQ(client_->rip(), symbol(to)) << from;
  }
  // The guest is well: it goes round and round.
  void expect_rounds() {
    for (int i = 0; i < 2; ++i) {
      const std::uint64_t before = client_->read_u64(symbol("rounds"));
      run_to("at_pushf");
      EXPECT_EQ(client_->read_u64(symbol("rounds")), before + 1);
      client_->step();
    }
  }

  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
};

TEST_F(Steps, Row47_PushfPushesNoTrapFlag) {
  step("at_pushf", "after_pushf");
  const std::uint64_t pushed = client_->read_u64(client_->registers()[kRsp]);
  EXPECT_EQ(pushed & kTrap, 0u);
  EXPECT_EQ(flags() & kTrap, 0u);
  expect_rounds();
}

TEST_F(Steps, Row47_PopfSetsWhatWasPopped) {
  step("at_popf", "after_popf");
  EXPECT_EQ(flags() & (kTrap | kInterrupt | kOverflow), kInterrupt | kOverflow);
  expect_rounds();
  EXPECT_EQ(client_->read_u64(symbol("popped_flags")) & kTrap, 0u);
}

TEST_F(Steps, Row47_CliAndSti) {
  step("at_cli", "after_cli");
  EXPECT_EQ(flags() & kInterrupt, 0u);
  step("at_sti", "after_sti");
  EXPECT_EQ(flags() & kInterrupt, kInterrupt);
  expect_rounds();
}

TEST_F(Steps, Row47_Iret) {
  step("at_iret", "after_iret");
  EXPECT_EQ(flags() & (kTrap | kInterrupt | kDirection | kOverflow | 1),
            kDirection | kOverflow | 1);
  expect_rounds();
}

TEST_F(Steps, Row48_Syscall) {
  step("at_syscall", "at_syscall_entry");
  const Registers registers = client_->registers();
  EXPECT_EQ(registers[kRcx], symbol("after_syscall"));
  EXPECT_EQ(registers[11] & kTrap, 0u);  // r11: the flags
  expect_rounds();
}

TEST_F(Steps, Row48_MovSs) {
  step("at_movss", "after_movss");
  expect_rounds();
}

TEST_F(Steps, Row48_IntNGoesToTheHandler) {
  step("at_int", "on_int");
  const std::uint64_t rsp = client_->registers()[kRsp];
  EXPECT_EQ(client_->read_u64(rsp), symbol("after_int"));
  EXPECT_EQ(client_->read_u64(rsp + 16) & kTrap, 0u);
  client_->step();
  EXPECT_EQ(client_->rip(), symbol("after_int"));
  expect_rounds();
}

TEST_F(Steps, Row48_AFaultGoesToTheHandler) {
  step("at_ud2", "on_ud2");
  EXPECT_EQ(client_->read_u64(client_->registers()[kRsp]), symbol("at_ud2"));
  step("at_fault", "on_fault");
  const std::uint64_t rsp = client_->registers()[kRsp];
  EXPECT_EQ(client_->read_u64(rsp), 0u);  // the error code: read, supervisor, not present
  EXPECT_EQ(client_->read_u64(rsp + 8), symbol("at_fault"));
  EXPECT_EQ(client_->read_u64(rsp + 24) & kTrap, 0u);
  expect_rounds();
}

TEST_F(Steps, Row48_ARepeatedInstructionStepsByItsIterations) {
  run_to("at_rep");
  for (unsigned left = 15; left > 0; --left) {
    client_->step();
    ASSERT_EQ(client_->rip(), symbol("at_rep"));
    ASSERT_EQ(client_->registers()[kRcx], left);
  }
  client_->step();
  EXPECT_EQ(client_->rip(), symbol("after_rep"));
  EXPECT_EQ(client_->read(symbol("rep_to"), 16), "0123456789abcdef");
  expect_rounds();
}

TEST_F(Steps, Row48_Hlt) {
  step("at_hlt", "after_hlt");
  // Halted it is all the same: it goes on after its interrupt only.
  client_->insert(symbol("on_timer"));
  client_->resume();
  client_->await_stop();
  EXPECT_EQ(client_->rip(), symbol("on_timer"));
  client_->remove(symbol("on_timer"));
  expect_rounds();
}

}  // namespace
}  // namespace ringside::testing
