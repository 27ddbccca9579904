// Rows 14 to 21: vCPUs as threads, and their registers.
#include <gmock/gmock.h>

#include "protocol/protocol_test.h"
#include "ringside/x86/registers.h"
#include "x86/register_table.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

// A guest whose vCPUs all run, stopped.
struct Stopped {
  explicit Stopped(unsigned cpus, const char* name = "counters")
      : guest(name, {.cpus = cpus, .start = Start::Running}),
        client((await(cpus), guest.attach())) {}
  void await(unsigned cpus) { guest.await_said_numbers(cpus); }
  GuestProcess guest;
  DebugClient client;
};

TEST_F(Protocol, Row14_VcpusAreThreads) {
  Stopped machine(4);
  EXPECT_EQ(machine.client.request("qfThreadInfo"), "m01,02,03,04");
  EXPECT_EQ(machine.client.request("qsThreadInfo"), "l");
}

TEST_F(Protocol, Row14_AVcpuThatWasNotStartedIsNoThread) {
  GuestProcess guest("counters", {.cpus = 4});
  DebugClient client = guest.attach();
  EXPECT_EQ(client.threads(), std::vector<std::string>{"01"});
}

TEST_F(Protocol, Row15_IdsAreHexadecimalInWholeBytes) {
  Stopped machine(16);
  EXPECT_EQ(machine.client.request("qfThreadInfo"),
            "m01,02,03,04,05,06,07,08,09,0a,0b,0c,0d,0e,0f,10");
  machine.client.select(15);
  EXPECT_EQ(machine.client.request("qC"), "QC10");
}

TEST_F(Protocol, Row16_ThreadExtraInfoNamesTheVcpu) {
  Stopped machine(2);
  EXPECT_EQ(unhex(machine.client.request("qThreadExtraInfo,02")), "vCPU 1");
  EXPECT_EQ(unhex(machine.client.request("qThreadExtraInfo,1")), "vCPU 0");
  EXPECT_EQ(machine.client.request("qThreadExtraInfo,03"), "E16");
  EXPECT_EQ(machine.client.request("qThreadExtraInfo"), "E16");
}

TEST_F(Protocol, ThreadsSayWhatTheyDo) {
  GuestProcess guest("counters", {.cpus = 2, .start = Start::Running});
  guest.await_said_numbers(2);
  DebugClient client = guest.attach();
  client.request("vCont?");
  EXPECT_THAT(client.request("qXfer:threads:read::0,1000"),
              HasSubstr("name=\"vCPU 1\">running, long mode, CPL 0</thread>"));
  EXPECT_EQ(unhex(client.request("qThreadExtraInfo,2")), "vCPU 1: running, long mode, CPL 0");
  client.send("vCont;c");
  EXPECT_EQ(unhex(client.request("qThreadExtraInfo,2")), "vCPU 1: running");
}

TEST_F(Protocol, ThreadsSayThatTheySleep) {
  GuestProcess guest("end_halt", {});
  DebugClient client = guest.attach();
  client.request("vCont?");
  client.send("vCont;c");
  guest.await_said("r");
  guest.process().write_input("x");
  // Halted for good: with a debugger there, the machine goes on.
  for (;;) {
    client.stop();
    const std::string words = unhex(client.request("qThreadExtraInfo,1"));
    if (words == "vCPU 0: halted, long mode, CPL 0") break;
    ASSERT_EQ(words, "vCPU 0: running, long mode, CPL 0");
    client.send("vCont;c");
  }
}

TEST_F(Protocol, Row17_AliveThreads) {
  Stopped machine(2);
  EXPECT_EQ(machine.client.request("T1"), "OK");
  EXPECT_EQ(machine.client.request("T02"), "OK");
  EXPECT_EQ(machine.client.request("T3"), "E16");
  EXPECT_EQ(machine.client.request("T41"), "E16");
  EXPECT_EQ(machine.client.request("T7fffffffffffffff"), "E16");
  EXPECT_EQ(machine.client.request("Tffffffffffffffffffff"), "E16");
  EXPECT_EQ(machine.client.request("T"), "E16");
  EXPECT_EQ(machine.client.request("Tx"), "E16");
}

TEST_F(Protocol, Row18_ThreadSelection) {
  Stopped machine(2);
  DebugClient& client = machine.client;
  for (const unsigned vcpu : {1u, 0u}) {
    client.select(vcpu);
    EXPECT_EQ(client.registers()[kRdi], vcpu);  // the guest keeps its number there
  }
  client.select(1);
  EXPECT_EQ(client.request("Hg0"), "OK");
  EXPECT_EQ(client.request("qC"), "QC01");
  client.select(1);
  EXPECT_EQ(client.request("Hg-1"), "OK");
  EXPECT_EQ(client.request("qC"), "QC01");
  EXPECT_EQ(client.request("Hc2"), "OK");
  EXPECT_EQ(client.request("Hc-1"), "OK");
  for (const char* wrong : {"Hg3", "Hgffffffffffffffff1", "Hg", "Hc", "Hx1", "H"})
    EXPECT_EQ(client.request(wrong), "E16") << wrong;
}

TEST_F(Protocol, Row19_GeneralRegistersInTheModelsOrder) {
  GuestProcess guest("registers");
  DebugClient client = guest.attach();
  client.run_to(guest["spin"]);
  std::string expected;
  // rax rbx rcx rdx rsi rdi rbp rsp r8..r13 hold their digit, r14 and r15 a pattern
  for (const char* digits :
       {"11", "22", "33", "44", "55", "66", "77", "88", "99", "aa", "bb", "cc", "dd", "ee"})
    for (int i = 0; i < 8; ++i)
      expected += digits;
  expected += hex(little_endian(0xfedcba9876543210, 8)) + hex(little_endian(0x0123456789abcdef, 8));
  expected += hex(little_endian(guest["spin"], 8));
  // eflags cs ss ds es fs gs
  for (const std::uint64_t value : {0xcd7, 0x08, 0x10, 0x10, 0x23, 0x23, 0x10})
    expected += hex(little_endian(value, 4));
  EXPECT_EQ(client.request("g"), expected);
}

TEST_F(Protocol, Row20_SingleRegistersByTheirNumber) {
  GuestProcess guest("registers");
  DebugClient client = guest.attach();
  client.run_to(guest["spin"]);
  const std::string all = client.request("g");
  std::size_t at = 0;
  for (std::size_t number = 0; number < x86::kModelRegisterCount; ++number) {
    const std::size_t digits = 2 * x86::kRegisters[number].size();
    EXPECT_EQ(client.request("p" + hex_number(number)), all.substr(at, digits)) << number;
    at += digits;
  }
  const auto system = [&](x86::Register name) {
    return client.request("p" + hex_number(static_cast<std::size_t>(name)));
  };
  EXPECT_EQ(system(x86::Register::Cr0), hex(little_endian(0x80010011, 8)));
  EXPECT_EQ(system(x86::Register::Cr4), hex(little_endian(0x20, 8)));
  EXPECT_EQ(system(x86::Register::Efer), hex(little_endian(0x501, 8)));
  EXPECT_EQ(client.request("p" + hex_number(x86::kRegisterCount)), "E16");
  EXPECT_EQ(client.request("pffffffff"), "E16");
  EXPECT_EQ(client.request("p"), "E16");
}

TEST_F(Protocol, Row21_RegistersCanBeWritten) {
  GuestProcess guest("registers");
  DebugClient client = guest.attach();
  client.run_to(guest["spin"]);
  EXPECT_EQ(client.request("P0=efcdab8967452301"), "OK");
  EXPECT_EQ(client.registers()[kRax], 0x0123456789abcdefu);
  std::string all = client.request("g");
  all.replace(16, 16, "0807060504030201");  // rbx
  EXPECT_EQ(client.request("G" + all), "OK");
  EXPECT_EQ(client.request("g"), all);
  EXPECT_EQ(client.request("G00"), "E16");
  EXPECT_EQ(client.request("P0=00"), "E16");
  EXPECT_EQ(client.request("P0"), "E16");
  EXPECT_EQ(client.request("g"), all);
  // The guest goes on with them: rip at another instruction, and a stack for it.
  EXPECT_EQ(client.request("P7=" + hex(little_endian(guest["kernel_stack"], 8))), "OK");
  EXPECT_EQ(client.request("P10=" + hex(little_endian(guest["main"], 8))), "OK");
  EXPECT_EQ(client.run_to(guest["spin"]).vcpu, 0u);
  EXPECT_EQ(client.registers()[kRbx], 0x2222222222222222u);
}

// In words or by number, on either engine; the guest goes on as before.
TEST_F(Protocol, Row21_SelectorsAndControlRegistersAreChecked) {
  using x86::Register;
  GuestProcess guest("registers");
  DebugClient client = guest.attach();
  client.run_to(guest["spin"]);
  const auto write = [&](Register r, std::uint64_t value) {
    return client.request("P" + hex_number(static_cast<std::size_t>(r)) + "=" +
                          hex(little_endian(value, x86::info(r).size())));
  };
  const auto read = [&](Register r) {
    return client.request("p" + hex_number(static_cast<std::size_t>(r)));
  };
  const std::string cr4 = read(Register::Cr4), cs = read(Register::Cs);
  EXPECT_EQ(write(Register::Es, 0xfff8), "E16");
  EXPECT_EQ(write(Register::Cs, 0x10), "E16");
  EXPECT_EQ(write(Register::Cr4, 0), "E16");
  EXPECT_EQ(write(Register::Cr4, 0xffffffff), "E16");
  EXPECT_EQ(write(Register::Cr0, 0), "E16");
  EXPECT_EQ(write(Register::Dr6, ~std::uint64_t{0}), "E16");
  EXPECT_EQ(write(Register::Dr7, 1ull << 40 | 0x400), "E16");
  client.request("qSupported:error-message+");
  EXPECT_THAT(write(Register::Es, 0xfff8), HasSubstr("E.es 0xfff8: it lies beyond its table"));
  EXPECT_EQ(read(Register::Cr4), cr4);
  EXPECT_EQ(read(Register::Cs), cs);
  EXPECT_EQ(write(Register::Es, 0), "OK");
  EXPECT_EQ(write(Register::Es, 0x10), "OK");
  client.step();
  EXPECT_EQ(client.request("G" + client.request("g")), "OK");
}

}  // namespace
}  // namespace ringside::testing
