// What stock GDB makes of the server's larger capabilities: threads held and run, processes,
// conditions and printing in the server, searching, monitor commands.
#include "gdb/gdb_fixture.h"

namespace ringside::testing {
namespace {

using Start = GuestOptions::Start;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(Dialogue, SchedulerLockingHoldsTheOtherVcpus) {
  begin("counters", {.cpus = 2, .start = Start::Running});
  guest_->await_said_numbers(2);
  connect();
  gdb("thread 2");
  gdb("set scheduler-locking on");
  const std::string first = gdb("print *(long*)&counters");
  const std::string second = gdb("print ((long*)&counters)[1]");
  gdb("break *tick");
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1"));
    EXPECT_THAT(gdb("print $_thread"), HasSubstr("= 2"));
  }
  gdb("delete");
  gdb("stepi 20");
  const auto value = [](const std::string& text) { return text.substr(text.find(" = ")); };
  EXPECT_EQ(value(gdb("print *(long*)&counters")), value(first));
  EXPECT_NE(value(gdb("print ((long*)&counters)[1]")), value(second));
  gdb("set scheduler-locking off");
  continue_and_interrupt();
  EXPECT_NE(value(gdb("print *(long*)&counters")), value(first));
}

TEST_F(Dialogue, ProcessesWhereTheyAreAskedFor) {
  begin("counters", {.cpus = 2, .start = Start::Running});
  guest_->await_said_numbers(2);
  gdb("set remote multiprocess-feature-packet on");
  gdb("target extended-remote 127.0.0.1:" + std::to_string(guest_->port()));
  EXPECT_THAT(gdb("info inferiors"), HasSubstr("process 1"));
  EXPECT_THAT(gdb("info threads"), AllOf(HasSubstr("Thread 1.1"), HasSubstr("Thread 1.2")));
  EXPECT_THAT(gdb("maint packet Hgp1.2"), HasSubstr("OK"));
  EXPECT_THAT(gdb("maint packet qC"), HasSubstr("QCp01.02"));
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
}

TEST_F(Dialogue, ConditionsStayInTheServer) {
  begin("demo");
  connect();
  gdb("set breakpoint always-inserted on");
  gdb("break is_prime if number == 3000");
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1, is_prime (number=3000)"));
  EXPECT_THAT(gdb("info breakpoints"), HasSubstr("already hit 1 time"));
  EXPECT_THAT(gdb("monitor breakpoints"), HasSubstr("3001 hits, 1 true"));
}

TEST_F(Dialogue, PrintingWithoutStopping) {
  begin("demo");
  connect();
  gdb("set breakpoint always-inserted on");
  gdb("set dprintf-style agent");
  gdb("dprintf look_at,\"%s looks at %d\\n\", worker->name, (int)number");
  gdb("break is_prime if number == 3");
  const std::string said = gdb("continue");
  EXPECT_THAT(said, HasSubstr("anna looks at 0\nanna looks at 1\nanna looks at 2\n"));
  EXPECT_THAT(said, HasSubstr("Breakpoint 2, is_prime (number=3)"));
}

// What add-ons do that borrow the guest's processor for a moment, in a guest that is idle.
TEST_F(Dialogue, AnIdleGuestExecutesWhereThePcIsSet) {
  begin("halt", {.start = Start::Running});
  guest_->await_said_numbers(1);
  connect();
  gdb("set $here = $pc");
  gdb("set $pc = " + at("handler").substr(1));
  gdb("stepi");  // lock incq sent
  EXPECT_THAT(gdb("print *(long*)&sent"), HasSubstr("= 1"));
  gdb("set $pc = $here");
  gdb("stepi");
  EXPECT_THAT(gdb("print *(long*)&sent"), HasSubstr("= 1"));
}

TEST_F(Dialogue, FindAndCompareSections) {
  begin("demo");
  connect();
  // There is no memory between 640 KiB and 768 KiB.
  const std::string found = gdb("find /b 0, 0x200000, 'a', 'n', 'n', 'a', 0");
  EXPECT_THAT(found, HasSubstr("1 pattern found"));
  EXPECT_THAT(gdb("x/s $_"), HasSubstr("\"anna\""));
  EXPECT_THAT(gdb("compare-sections .text"), HasSubstr("matched"));
}

// The add-ons gef and pwndbg ask this, with the capital letter, to find out that the server has
// QEMU's packets and monitor commands, and take a server that has an answer to qOffsets for user
// mode.
TEST_F(Dialogue, AddOnsFindTheirDialect) {
  begin("demo");
  connect();
  EXPECT_THAT(gdb("maintenance packet Qqemu.sstepbits"),
              HasSubstr("received: \"ENABLE=1,NOIRQ=2,NOTIMER=4\""));
  EXPECT_THAT(gdb("maintenance packet qOffsets"), HasSubstr("received: \"\""));
}

// GDB refuses what lies outside a memory map, and takes hardware breakpoints where it is not RAM.
TEST_F(Dialogue, TheMemoryMapStandsInNobodysWay) {
  begin("paging64");
  connect();
  gdb("hbreak spin");
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1, spin ()"));
  EXPECT_THAT(gdb("info mem"),
              AllOf(HasSubstr("provided by the target"), HasSubstr("0x8000000000000000 rw nocache"),
                    HasSubstr("0x10000000000000000 rw nocache")));
  EXPECT_THAT(gdb("x/s 0xffff800000003000"), HasSubstr("\"small frame"));
  EXPECT_EQ(gdb("set var *(char*)0xffff800000003000 = 'S'"), "");
  EXPECT_THAT(gdb("x/s 0xffff800000003000"), HasSubstr("\"Small frame"));
  gdb("set var *(short*)0x100000 = 0x1234");
  EXPECT_THAT(gdb("x/xh 0x100000"), HasSubstr("0x1234"));
  EXPECT_THAT(gdb("x/xw 0xfee00030"), HasSubstr("Cannot access memory"));  // not mapped
  gdb("set debug remote 1");
  EXPECT_THAT(gdb("x/xb 0xffff800000003000"), HasSubstr("$mffff800000003000,1#"));
  EXPECT_THAT(gdb("x/xb 0xffff800000003000"), HasSubstr("$mffff800000003000,1#"));
  gdb("set breakpoint always-inserted on");
  EXPECT_THAT(gdb("break *0xffff800040100055"), HasSubstr("$Z0,ffff800040100055,1#"));
  gdb("set debug remote 0");
  gdb("maint packet Qqemu.PhyMemMode:1");
  EXPECT_THAT(gdb("x/xw 0xfee00030"), ContainsRegex("0x[0-9a-f]+14\n"));  // the APIC's version
  EXPECT_THAT(gdb("maint packet qXfer:memory-map:read::0,1000"),
              HasSubstr("<memory type=\"ram\" start=\"0xc0000\" length=\""));
}

TEST_F(Dialogue, WatchingWithoutAnAddressOfItsOwn) {
  begin("spaces", {.cpus = 2, .start = Start::Running});
  guest_->await_said_numbers(2);
  connect();
  gdb("monitor watch-phys 0x" + hex_number((*guest_)["frame_b"] + 8) + " 8 w");
  const std::string stop = gdb("continue");
  EXPECT_THAT(stop, HasSubstr("vCPU 1 wrote to the watched physical memory at"));
  EXPECT_THAT(stop, HasSubstr("SIGTRAP"));
  EXPECT_THAT(gdb("print $_thread"), HasSubstr("= 2"));
}

TEST_F(Dialogue, CatchingWhatTheMachineDoes) {
  begin("transfers");
  connect();
  EXPECT_THAT(gdb("monitor catch io 0xe9 w if $rcx <= 3"), HasSubstr("Catch 1: io 0xe9 w"));
  const std::string stop = gdb("continue");
  EXPECT_THAT(stop, ContainsRegex("vCPU 0 wrote 0x.. to port 0xe9 .1 byte."));
  EXPECT_THAT(stop, HasSubstr("SIGTRAP"));
  EXPECT_THAT(gdb("print $rcx"), ContainsRegex("= [0-3]"));
  EXPECT_THAT(gdb("monitor catch"),
              ContainsRegex("1: io 0xe9 w if .rcx <= 0x3, [0-9]+ hits, 1 true"));
  gdb("monitor catch delete 1");
  EXPECT_THAT(gdb("monitor pending"), HasSubstr("interrupt shadow: none"));
  continue_and_interrupt();
}

TEST_F(Dialogue, APanicInWords) {
  begin("end_panic");
  connect();
  gdb_->start("continue");
  guest_->await_said("r");
  guest_->process().write_input("x");
  EXPECT_THAT(gdb_->finish(),
              AllOf(HasSubstr("the guest wrote to its panic port"), HasSubstr("SIGABRT")));
  EXPECT_THAT(gdb("info symbol $pc"), HasSubstr("after_panic"));
}

// It is a temporary breakpoint and a continue: the timer's handler runs meanwhile, many times.
TEST_F(Dialogue, FinishAcrossTimerInterrupts) {
  begin("timed");
  connect();
  gdb("break is_prime if number > 20000 && number % 2 != 0");
  gdb("continue");
  const auto ticks = [&] {
    const std::string text = gdb("output *(long*)&timer_ticks");
    return std::stol(text);
  };
  long during = 0;
  for (int i = 0; i < 30; ++i) {
    const long before = ticks();
    const std::string said = gdb("finish");
    during += ticks() - before;
    ASSERT_THAT(said, AllOf(HasSubstr("Run till exit"), HasSubstr("look_at (worker="),
                            ContainsRegex("Value returned is \\$[0-9]+ = [01]\n")));
    ASSERT_THAT(gdb("continue"), HasSubstr("is_prime (number=" + std::to_string(20003 + 2 * i)));
  }
  EXPECT_GT(during, 5);
}

TEST_F(Dialogue, PrintingGoesOnWithoutADebugger) {
  begin("demo");
  connect();
  gdb("break is_prime");
  gdb("continue");
  gdb("delete");
  gdb("set breakpoint always-inserted on");
  gdb("set dprintf-style agent");
  gdb("set disconnected-dprintf on");
  gdb("dprintf look_at,\"at %d\\n\", (int)number");
  gdb("condition 2 number % 1000 == 0");
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
  guest_->process().await(ChildProcess::Stream::Error, "debugger: at 1000");
  guest_->process().await(ChildProcess::Stream::Error, "debugger: at 2000");
  // The next one sees it go on, and can end it.
  gdb("delete");
  connect();
  EXPECT_THAT(gdb("monitor breakpoints"), HasSubstr("persistent"));
  EXPECT_THAT(gdb("monitor forget"), HasSubstr("1 breakpoints taken out"));
  EXPECT_THAT(gdb("monitor breakpoints"), HasSubstr("No breakpoints"));
  // The same when it is killed in the midst of a continue.
  gdb("dprintf look_at,\"late at %d\\n\", (int)number");
  gdb("condition 3 number % 1000 == 0");
  gdb_->start("continue");
  guest_->process().await_busy();
  gdb_.reset();
  guest_->process().await(ChildProcess::Stream::Error, "debugger: late at ");
}

TEST_F(Dialogue, NextStaysOutOfInterruptHandlers) {
  begin("interrupts");
  connect();
  gdb("tbreak *sled");
  gdb("continue");
  for (int i = 0; i < 300; ++i) {
    gdb("nexti 7");
    ASSERT_THAT(gdb("info symbol $pc"), HasSubstr("sled")) << i;
  }
}

}  // namespace
}  // namespace ringside::testing
