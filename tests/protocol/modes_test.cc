// From the reset vector through real and protected mode to 64-bit mode, in one connection.
#include "protocol/protocol_test.h"
#include "ringside/x86/registers.h"
#include "x86/register_table.h"

namespace ringside::testing {
namespace {

constexpr GuestOptions kFirmware{.firmware = true};

std::uint64_t shown_rip(DebugClient& client) {
  const std::string bytes = unhex(client.request("p10"));
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void read_description(DebugClient& client) {
  client.request("qXfer:features:read:target.xml:0,100");
}

TEST_F(Protocol, Modes_APlainClientSeesRipAndBreaksByLinearAddress) {
  NEEDS(Feature::EveryInstruction);
  GuestProcess guest("reset", kFirmware);
  DebugClient client = guest.attach();
  EXPECT_EQ(client.rip(), 0xfff0u);
  client.insert(guest["rom16_function"]);
  client.resume();
  client.await_stop();
  EXPECT_EQ(client.rip(), guest["rom16_function"] & 0xffff);
  client.remove(guest["rom16_function"]);
  client.step();
  EXPECT_EQ(client.read_u64(guest["counts"]), 1u);
  client.run_to(guest["low16_function"]);
  EXPECT_EQ(client.rip(), guest["low16_function"] - guest["low16"]);
}

TEST_F(Protocol, Modes_WithTheDescriptionRipIsLinear) {
  NEEDS(Feature::EveryInstruction);
  GuestProcess guest("reset", kFirmware);
  DebugClient client = guest.attach();
  read_description(client);
  EXPECT_EQ(shown_rip(client), 0xfffffff0u);
  client.request("vCont?");
  const std::string stepped = client.request("vCont;s:1");
  EXPECT_NE(stepped.find("10:00f0ffff00000000;"), std::string::npos) << stepped;
  for (const char* place : {"rom16_function", "low16_function", "protected32"}) {
    client.insert(guest[place]);
    client.resume();
    client.await_stop();
    EXPECT_EQ(shown_rip(client), guest[place]) << place;
    client.remove(guest[place]);
    const std::string all = client.request("g");
    EXPECT_EQ(all.substr(16 * 16, 16), hex(little_endian(guest[place], 8)));
    // Written back, it is where it was.
    EXPECT_EQ(client.request("G" + all), "OK");
    EXPECT_EQ(shown_rip(client), guest[place]) << place;
    EXPECT_EQ(client.request("P10=" + hex(little_endian(guest[place], 8))), "OK");
    EXPECT_EQ(shown_rip(client), guest[place]) << place;
  }
  // The first instruction was not lost on the way.
  client.run_to(guest["long64"]);
  client.run_to(guest["spin"]);
  EXPECT_EQ(client.read_u64(guest["counts"] + 8), 1u);
  EXPECT_EQ(shown_rip(client), guest["spin"]);
}

// What the processor would load, in real mode and in long mode; the guest goes on with it.
TEST_F(Protocol, Modes_AWrittenSelectorLoadsItsSegment) {
  NEEDS(Feature::EveryInstruction);
  using x86::Register;
  GuestProcess guest("reset", kFirmware);
  DebugClient client = guest.attach();
  const auto write = [&](Register r, std::uint64_t value) {
    return client.request("P" + hex_number(static_cast<std::size_t>(r)) + "=" +
                          hex(little_endian(value, x86::info(r).size())));
  };
  const auto read = [&](Register r) {
    return client.request("p" + hex_number(static_cast<std::size_t>(r)));
  };
  client.run_to(guest["low16_function"]);
  EXPECT_EQ(write(Register::Ds, 0x100), "OK");
  EXPECT_EQ(read(Register::DsBase), hex(little_endian(0x1000, 8)));
  EXPECT_EQ(write(Register::Tr, 0x10), "E16");
  client.step();
  EXPECT_EQ(client.read_u64(guest["counts"] + 0x1000 + 8) & 0xffff, 1u);
  EXPECT_EQ(client.read_u64(guest["counts"] + 8), 0u);
  EXPECT_EQ(write(Register::Ds, 0), "OK");

  client.run_to(guest["long64"]);
  EXPECT_EQ(write(Register::Ds, 0x20), "E16");  // beyond the table
  EXPECT_EQ(write(Register::Cs, 0x10), "E16");  // data
  EXPECT_EQ(write(Register::Cs, 0x1b), "E16");  // at another privilege level
  EXPECT_EQ(write(Register::Cr4, 0), "E16");
  EXPECT_EQ(write(Register::Cr4, 0xffff'ffff), "E16");
  EXPECT_EQ(write(Register::Ds, 0x18), "OK");
  EXPECT_EQ(write(Register::Fs, 0), "OK");
  EXPECT_EQ(write(Register::FsBase, 0x12345), "OK");
  EXPECT_EQ(client.request("G" + client.request("g")), "OK");
  EXPECT_EQ(read(Register::FsBase), hex(little_endian(0x12345, 8)));
  EXPECT_EQ(read(Register::Cr4), hex(little_endian(0x20, 8)));
  client.run_to(guest["spin"]);
  EXPECT_EQ(client.read_u64(guest["counts"] + 24), 1u);
  EXPECT_EQ(read(Register::Ds), hex(little_endian(0x18, 4)));
}

TEST_F(Protocol, Modes_RangesAreLinearToo) {
  GuestProcess guest("reset", kFirmware);
  DebugClient client = guest.attach();
  read_description(client);
  client.request("vCont?");
  client.run_to(guest["low16"]);
  client.request("vCont;r" + hex_number(guest["low16"]) + "," +
                 hex_number(guest["low16_call"] + 1) + ":1");
  EXPECT_EQ(shown_rip(client), guest["low16_function"]);
}

TEST_F(Protocol, Modes_BreakpointsSetAtTheResetVectorAreHitInEveryMode) {
  NEEDS(Feature::EveryInstruction);
  GuestProcess guest("reset", kFirmware);
  DebugClient client = guest.attach();
  client.request("vCont?");
  const char* const places[] = {"rom16_function", "low16_function", "protected32",
                                "after_paging",   "long64",         "long_function"};
  for (const char* place : places)
    client.insert(guest[place]);
  read_description(client);
  for (const char* place : places) {
    client.resume();
    std::string stop = client.receive();
    while (stop.front() == 'O')
      stop = client.receive();
    EXPECT_EQ(shown_rip(client), guest[place]) << place;
  }
}

TEST_F(Protocol, Modes_TheDescriptionStaysAsItIs) {
  NEEDS(Feature::EveryInstruction);
  GuestProcess guest("reset", kFirmware);
  DebugClient client = guest.attach();
  const std::string before = client.request("qXfer:features:read:target.xml:0,4000");
  const std::size_t size = client.request("g").size();
  client.run_to(guest["long64"]);
  EXPECT_EQ(client.request("qXfer:features:read:target.xml:0,4000"), before);
  EXPECT_EQ(client.request("g").size(), size);
}

// The guest watches the table entry of its own #DB, so that each delivery of one is the reason for
// the next, and no instruction is ever over.
TEST_F(Protocol, Modes_ARangeStepThroughExceptionsWithoutEndCanBeInterrupted) {
  using x86::Register;
  NEEDS(Feature::EveryInstruction);
  GuestProcess guest("reset", kFirmware);
  DebugClient client = guest.attach();
  const auto write = [&](Register r, std::uint64_t value) {
    EXPECT_EQ(client.request("P" + hex_number(static_cast<std::size_t>(r)) + "=" +
                             hex(little_endian(value, x86::info(r).size()))),
              "OK");
  };
  client.write(4, std::string("\x00\x06\x00\x00", 4));  // vector 1 is at 0:0600
  client.write(0x600, "\x90\x90\x90\x90");
  client.write(0x500, std::string("\xa0\x04\x00\x90", 4));  // mov 4, %al
  write(Register::Cs, 0);
  write(Register::Ss, 0);
  write(Register::Rsp, 0x7000);
  write(Register::Rip, 0x500);
  write(Register::Dr0, 4);
  write(Register::Dr7, 0xf0001);
  client.request("vCont?");
  client.send("vCont;r0,1000:1");
  client.interrupt();
  EXPECT_EQ(client.await_stop().signal, 2u);
}

}  // namespace
}  // namespace ringside::testing
