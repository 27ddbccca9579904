#include "time/record/timeline.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "machine/machine.h"

namespace ringside::time {
namespace {

using std::chrono::nanoseconds;

// Nobody runs; the test says when the guest would wake.
class SleepingEngine final : public hypervisor::Engine,
                             public hypervisor::CpuPort,
                             public hypervisor::Recordable {
 public:
  class NoVcpu final : public hypervisor::Vcpu {
   public:
    bool active() const override { return true; }
    bool in_guest() const override { return true; }
    bool halted() const override { return true; }
    Result<x86::RegisterValue> read_register(x86::Register) override { return no(); }
    Result<void> write_register(x86::Register, const x86::RegisterValue&) override { return no(); }
    Result<x86::CpuState> state() override { return no(); }
    Result<void> set_state(const x86::CpuState&) override { return no(); }
    Result<std::uint64_t> read_msr(std::uint32_t) override { return no(); }
    Result<void> write_msr(std::uint32_t, std::uint64_t) override { return no(); }
    bool offers(hypervisor::Capability) const override { return false; }
    Result<void> set_capability(hypervisor::Capability, bool) override { return no(); }
    Result<void> inject_exception(const x86::Exception&) override { return no(); }
    Result<void> set_entry_insn_length(std::uint8_t) override { return no(); }
    Result<std::uint8_t> entry_insn_length() override { return no(); }

   private:
    static tl::unexpected<Error> no() { return fail(ErrorCode::NotSupported, "a fake"); }
  };

  unsigned vcpu_count() const override { return 1; }
  hypervisor::Vcpu& vcpu(VcpuId) override { return vcpu_; }
  hypervisor::Memory& memory() override { std::abort(); }
  void suspend(VcpuId) override {}
  void resume(VcpuId) override {}
  std::optional<hypervisor::VcpuEvent> take_event() override { return std::nullopt; }
  const std::optional<hypervisor::VmEnd>& ended() const override { return ended_; }
  void stop_instead_of_death(bool) override {}
  bool run_slice() override { return false; }
  std::optional<VirtualTime> idle_until() const override { return until; }
  void advance_to(VirtualTime time) override { time_ = std::max(time_, time); }
  void visit_processors(StateVisitor&) override {}
  void visit_schedule(StateVisitor&) override {}
  void visit_vcpu(VcpuId, StateVisitor&) override {}
  bool set_progress(const hypervisor::Progress&) override { return true; }
  hypervisor::Progress progress() const override { return {count}; }
  using Recordable::stop_at;
  void stop_at(std::optional<hypervisor::Progress> at) override { limit = at; }
  void tell_changes(std::function<void(const hypervisor::Change&)>) override {}
  hypervisor::Supervision supervision() const override { return {}; }
  void follow_recording() override {}
  void impose(const hypervisor::Supervision&) override {}
  void reset_under_way(const x86::CpuState&) override {}
  Result<void> reset(const x86::CpuState&) override { return {}; }
  Recordable* recordable() override { return this; }
  std::string_view name() const override { return "fake"; }
  CpuPort& cpus() override { return *this; }
  VirtualTime now() const override { return time_; }
  void deadline_moved() override {}
  void set_interrupt_pin(VcpuId, bool) override {}
  void non_maskable_interrupt(VcpuId) override {}
  void init(VcpuId) override {}
  void start_up(VcpuId, std::uint8_t) override {}
  void retry(VcpuId) override {}
  void set_a20(bool) override {}
  void ram_written(Gpa, std::uint64_t) override {}
  void fall_asleep() override {}
  void wake(const x86::CpuState&) override {}
  void end(hypervisor::VmEnd) override {}

  std::optional<VirtualTime> until;
  InsnCount count;
  std::optional<hypervisor::Progress> limit;

 private:
  NoVcpu vcpu_;
  VirtualTime time_;
  std::optional<hypervisor::VmEnd> ended_;
};

class TimelineTest : public ::testing::Test {
 protected:
  TimelineTest()
      : ram(hypervisor::GuestRam::create(1u << 20).value()), machine(ram, {}), now(start) {
    machine.connect(engine);
  }
  Timeline timeline(Pace pace) { return {engine, machine, pace}; }

  SleepingEngine engine;
  hypervisor::GuestRam ram;
  machine::Machine machine;
  const Timeline::Clock::time_point start = Timeline::Clock::time_point() + std::chrono::hours(1);
  Timeline::Clock::time_point now;
};

TEST_F(TimelineTest, WaitsAsLongAsTheGuestWould) {
  Timeline line = timeline(Pace::On);
  engine.until = VirtualTime{5000};
  EXPECT_EQ(line.begin_wait(start), nanoseconds(5000));
  EXPECT_EQ(engine.now().ns, 0u);
  line.end_wait(start + nanoseconds(5100));  // never beyond what the guest waits for
  EXPECT_EQ(engine.now().ns, 5000u);
}

TEST_F(TimelineTest, AnInterruptedWaitCounts) {
  Timeline line = timeline(Pace::On);
  engine.until = VirtualTime{5000};
  line.begin_wait(start);
  line.end_wait(start + nanoseconds(2000));
  EXPECT_EQ(engine.now().ns, 2000u);
  line.end_wait(start + nanoseconds(4000));  // it has ended
  EXPECT_EQ(engine.now().ns, 2000u);
  EXPECT_EQ(line.begin_wait(start + nanoseconds(4000)), nanoseconds(3000));
}

TEST_F(TimelineTest, TimePassesForAGuestThatWaitsForTheWorld) {
  Timeline line = timeline(Pace::On);
  engine.until = kNever;
  EXPECT_EQ(line.begin_wait(start), std::nullopt);
  line.end_wait(start + nanoseconds(700));
  EXPECT_EQ(engine.now().ns, 700u);
}

TEST_F(TimelineTest, TimeStandsStillForAStoppedGuest) {
  Timeline line = timeline(Pace::On);
  EXPECT_EQ(line.begin_wait(start), std::nullopt);
  line.end_wait(start + nanoseconds(700));
  EXPECT_EQ(engine.now().ns, 0u);
}

TEST_F(TimelineTest, AGuestThatIsFasterThanItsClockIsHeldBack) {
  using std::chrono::milliseconds;
  const auto at = [this](nanoseconds since) { return start + since; };
  Timeline line = timeline(Pace::On);
  EXPECT_EQ(line.lead(start), nanoseconds(0));
  engine.advance_to({30'000'000});
  EXPECT_EQ(line.lead(at(milliseconds(10))), milliseconds(20));
  EXPECT_EQ(line.lead(at(milliseconds(29))), nanoseconds(0)) << "a wait that is not worth it";
  // Slower for a while, and faster for as long.
  EXPECT_EQ(line.lead(at(milliseconds(130))), nanoseconds(0));
  engine.advance_to({130'000'000});
  EXPECT_EQ(line.lead(at(milliseconds(130))), nanoseconds(0));
  engine.advance_to({150'000'000});
  EXPECT_EQ(line.lead(at(milliseconds(130))), milliseconds(20));
  // A debugger has had it for an hour.
  EXPECT_EQ(line.lead(at(std::chrono::hours(1))), nanoseconds(0));
  engine.advance_to({1'250'000'000});
  EXPECT_EQ(line.lead(at(std::chrono::hours(1))), milliseconds(100));

  Timeline free = timeline(Pace::Off);
  EXPECT_EQ(free.lead(start), nanoseconds(0));
  engine.advance_to({9'000'000'000});
  EXPECT_EQ(free.lead(start), nanoseconds(0));
}

TEST_F(TimelineTest, UnpacedTimeRunsAhead) {
  Timeline line = timeline(Pace::Off);
  engine.until = VirtualTime{1'000'000'000'000};
  EXPECT_EQ(line.begin_wait(start), nanoseconds(0));
  EXPECT_EQ(engine.now().ns, 1'000'000'000'000u);
  engine.until = kNever;
  EXPECT_EQ(line.begin_wait(start), std::nullopt);
  line.end_wait(start + nanoseconds(700));
  EXPECT_EQ(engine.now().ns, 1'000'000'000'000u);
}

TEST_F(TimelineTest, AReplayAppliesEachInputAtItsInstructionAndTime) {
  const std::string path = ::testing::TempDir() + "ringside-journal-" + std::to_string(::getpid());
  const RunIdentity identity{1, 1u << 20, 7};
  const std::vector<std::byte> key{std::byte{'k'}};
  {
    Timeline line = timeline(Pace::On);
    line.record(JournalWriter::create(path, identity, {}).value());
    engine.count = {100};
    engine.until = VirtualTime{5000};
    engine.advance_to({1000});
    ASSERT_TRUE(line.input(machine::SerialInput{0, key}));
  }
  SleepingEngine again;
  machine::Machine machine_again(ram, {});
  machine_again.connect(again);
  const std::size_t room = machine_again.serial_room(0);
  Timeline line(again, machine_again, Pace::On);
  line.replay(JournalReader::open(path, identity).value(), nullptr);
  ::unlink(path.c_str());

  ASSERT_TRUE(line.prepare_slice());
  EXPECT_EQ(again.limit, hypervisor::Progress{{100}});
  ASSERT_TRUE(line.input(machine::SerialInput{0, key}));  // from outside: ignored
  EXPECT_EQ(machine_again.serial_room(0), room);

  again.count = {50};
  again.until = VirtualTime{300};  // a device wakes the guest, which then executes the other fifty
  ASSERT_TRUE(line.prepare_slice());
  EXPECT_EQ(again.now().ns, 300u);
  again.count = {100};
  again.until = VirtualTime{400};  // a device event comes first
  ASSERT_TRUE(line.prepare_slice());
  EXPECT_EQ(again.now().ns, 400u);
  EXPECT_EQ(machine_again.serial_room(0), room);
  again.until = VirtualTime{5000};
  ASSERT_TRUE(line.prepare_slice());
  EXPECT_EQ(again.now().ns, 1000u);
  EXPECT_LT(machine_again.serial_room(0), room);
  EXPECT_EQ(again.limit, std::nullopt);
}

TEST_F(TimelineTest, AReplayThatLeftThePathSaysSo) {
  const std::string path = ::testing::TempDir() + "ringside-lost-" + std::to_string(::getpid());
  const RunIdentity identity{1, 1u << 20, 7};
  {
    Timeline line = timeline(Pace::On);
    line.record(JournalWriter::create(path, identity, {}).value());
    engine.count = {100};
    ASSERT_TRUE(line.input(machine::GuestGdbConnection{true}));
  }
  Timeline line = timeline(Pace::On);
  line.replay(JournalReader::open(path, identity).value(), nullptr);
  ::unlink(path.c_str());
  engine.count = {101};
  EXPECT_FALSE(line.prepare_slice());
  // It sleeps beyond the moment, with instructions to go until it.
  engine.count = {99};
  engine.until = VirtualTime{5000};
  EXPECT_FALSE(line.prepare_slice());
}

}  // namespace
}  // namespace ringside::time
