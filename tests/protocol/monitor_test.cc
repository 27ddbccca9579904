// The monitor commands that need the whole machine: raw qRcmd packets to the real program.
#include <gmock/gmock.h>

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// The stop after whatever is said before it.
std::string await_stop_with_words(DebugClient& client, std::string& words) {
  for (;;) {
    const std::string packet = client.receive();
    if (packet.front() != 'O') return packet;
    words += unhex(packet.substr(1));
  }
}

class MonitorRows : public Protocol {
 protected:
  void begin(std::string_view name, const GuestOptions& options = {}) {
    guest_.emplace(name, options);
    if (options.start == Start::Running) guest_->await_said_numbers(options.cpus);
    client_.emplace(guest_->attach());
    client_->request("vCont?");
  }
  std::string monitor(const std::string& command) { return testing::monitor(*client_, command); }
  std::string number(const char* symbol) { return "0x" + hex_number((*guest_)[symbol]); }
  bool soft() const { return engine() == "soft"; }

  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
};

TEST_F(MonitorRows, HelpHasAPageForEachCommand) {
  begin("counters");
  const std::string all = monitor("help");
  unsigned pages = 0;
  for (std::size_t at = 0; at < all.size(); at = all.find('\n', at) + 1) {
    std::string name = all.substr(at, all.find_first_of("[\n", at) - at);
    if (!name.starts_with("  ")) continue;  // a heading, or a blank line
    name = name.substr(2, name.find("  ", 2) - 2);
    ++pages;
    while (!name.empty() && (std::isupper(name.back()) != 0 || name.back() == ' '))
      name.pop_back();
    EXPECT_THAT(monitor("help " + name), AllOf(HasSubstr(name), Not(HasSubstr("no such"))));
  }
  EXPECT_GT(pages, 40u);
}

TEST_F(MonitorRows, OnKvmThereIsNoPast) {
  if (engine() != "kvm") GTEST_SKIP() << "the software CPU has a past";
  begin("counters");
  EXPECT_EQ(monitor("when"),
            "when: there is no past on KVM, because no run of it can be repeated\n");
  EXPECT_THAT(client_->request("qSupported"), Not(HasSubstr("Reverse")));
  EXPECT_EQ(client_->request("bs"), "");
}

TEST_F(MonitorRows, InterruptControllers) {
  begin("interrupts", {.cpus = 2});
  client_->run_to((*guest_)["sled"]);
  const std::string apic = monitor("info lapic");
  EXPECT_THAT(apic, HasSubstr("local APIC state for CPU 0"));
  if (soft()) {
    EXPECT_THAT(apic, ContainsRegex("LVTT\t 0x00020040 .* periodic +Fixed  \\(vec 64\\)"));
    EXPECT_THAT(apic, HasSubstr("divide by 1) initial_count = 20000"));
    EXPECT_THAT(apic, HasSubstr("SPIV\t 0x000001ff APIC enabled"));
  }
  EXPECT_THAT(monitor("info lapic 1"), HasSubstr("for CPU 1"));
  EXPECT_THAT(monitor("info lapic 2"), HasSubstr("no such vCPU"));
  EXPECT_THAT(monitor("info lapic x"), HasSubstr("no such vCPU"));
  EXPECT_THAT(monitor("info ioapic"), ContainsRegex("pin 23 0x0+10000 .*masked"));
  EXPECT_THAT(monitor("info pic"), HasSubstr("pic0: irr="));
}

TEST_F(MonitorRows, EngineAndProbe) {
  begin("counters");
  EXPECT_THAT(monitor("engine"), AllOf(HasSubstr("engine: " + engine()), HasSubstr("auto: takes")));
}

TEST_F(MonitorRows, PagesInQemusLayout) {
  begin("paging64");
  EXPECT_EQ(monitor("info tlb"), "PG disabled\n");
  EXPECT_EQ(monitor("info mem"), "PG disabled\n");
  client_->run_to((*guest_)["spin"]);
  const std::string tlb = monitor("info tlb");
  EXPECT_THAT(tlb, HasSubstr("ffff800000003000: "));
  EXPECT_THAT(tlb, ContainsRegex("ffff8000[0-9a-f]+: [0-9a-f]+ --P"));
  EXPECT_THAT(monitor("info mem"), ContainsRegex("ffff800000003000-ffff800000004000 "
                                                 "0000000000001000 -r[w-]"));
  EXPECT_EQ(monitor("info tlb 0xffff800000003000 0xffff800000003000"),
            tlb.substr(tlb.find("ffff800000003000"), 16 + 2 + 16 + 1 + 9 + 1));
  EXPECT_THAT(monitor("info tlb 1 2 3"), HasSubstr("arguments"));
}

TEST_F(MonitorRows, InfoOfTheWholeMachine) {
  begin("counters", {.cpus = 2});
  const std::string all = monitor("info");
  for (const char* subject : {"cpus", "ioapic", "lapic", "mem", "mtree", "pic", "qtree",
                              "registers", "status", "tlb", "version"}) {
    EXPECT_THAT(all, HasSubstr(std::string("info ") + subject));
    EXPECT_THAT(monitor(std::string("info ") + subject), Not(HasSubstr("nothing is known")));
  }
  EXPECT_THAT(monitor("info version"), ContainsRegex("ringside [0-9.]+, engine: " + engine()));
  EXPECT_THAT(monitor("info mtree"), AllOf(HasSubstr("00000000fec00000-00000000fec00fff"),
                                           HasSubstr("local APIC"), HasSubstr("COM1")));
  EXPECT_THAT(monitor("info qtree"), HasSubstr("dev: COM1 (16550A)\n    ports 03f8-03ff, irq 4"));
  EXPECT_THAT(monitor("info status"), HasSubstr("VM status: paused"));
  EXPECT_THAT(monitor("info regster"), HasSubstr("did you mean registers?"));
  EXPECT_THAT(monitor("sytem_reset"), HasSubstr("did you mean system_reset?"));
  EXPECT_EQ(monitor("info registers rip"),
            "rip 0x" + std::string(16 - hex_number(client_->rip()).size(), '0') +
                hex_number(client_->rip()) + "\n");
}

TEST_F(MonitorRows, PortsAreLookedAt) {
  begin("counters", {.start = Start::Running});
  guest_->process().write_input("a");
  EXPECT_EQ(monitor("i 0x3ff"), "portb[0x03ff] = 0x00\n");
  EXPECT_EQ(monitor("i/h 0x3f8").substr(0, 15), "portw[0x03f8] =");
  EXPECT_EQ(monitor("i /w 0xcf8"), "portl[0x0cf8] = 0x00000000\n");
  EXPECT_EQ(monitor("i 0x1234"), "portb[0x1234] = 0xff\n");
  EXPECT_THAT(monitor("i 0x21"), HasSubstr("portb[0x0021] = "));
  EXPECT_THAT(monitor("i 0x10000"), HasSubstr("wants a port"));
  EXPECT_THAT(monitor("i"), HasSubstr("wants a port"));
  EXPECT_THAT(monitor("i/q 0x20"), HasSubstr("the size is"));
}

TEST_F(MonitorRows, AnNmiFromOutside) {
  begin("interrupts");
  client_->run_to((*guest_)["sled"]);
  EXPECT_THAT(monitor("nmi 1"), HasSubstr("no such vCPU"));
  EXPECT_THAT(monitor("nmi x"), HasSubstr("no such vCPU"));
  // The guest has no handler for it; that of an interrupt serves.
  const std::string idtr = monitor("info registers idtr");
  const std::uint64_t idt = std::stoull(idtr.substr(idtr.find_first_of("0123456789")), nullptr, 16);
  client_->write(idt + 2 * 16, client_->read(idt + 0x41 * 16, 16));
  EXPECT_THAT(monitor("nmi"), HasSubstr("vCPU 0 takes an NMI"));
  client_->run_to((*guest_)["sent_handler"]);
  EXPECT_EQ(client_->read_u64((*guest_)["sent"]), 0u);
}

TEST_F(MonitorRows, ThePowerButtonOfAGuestThatDoesNotListen) {
  begin("counters");
  EXPECT_THAT(monitor("system_powerdown"), HasSubstr("the guest has not enabled it"));
  // PM1: the status, and once it is enabled.
  EXPECT_EQ(monitor("i/h 0x600"), "portw[0x0600] = 0x0100\n");
}

TEST_F(MonitorRows, MsrsByName) {
  begin("counters");
  EXPECT_THAT(monitor("msr LSTAR 0x1234"), HasSubstr("msr 0xc0000082 = 0x0000000000001234"));
  EXPECT_EQ(monitor("msr IA32_LSTAR"), monitor("msr 0xc0000082"));
  EXPECT_THAT(monitor("msr"), AllOf(HasSubstr("(IA32_APIC_BASE)"), HasSubstr("(IA32_EFER)")));
  EXPECT_THAT(monitor("msr IA32_LSTRA"), HasSubstr("did you mean IA32_LSTAR?"));
}

TEST_F(MonitorRows, MsrsByNumber) {
  begin("counters");
  EXPECT_THAT(monitor("msr 0xc0000082"), HasSubstr("msr 0xc0000082 = 0x"));
  EXPECT_THAT(monitor("msr 0xc0000082 0x1234"), HasSubstr("= 0x0000000000001234"));
  EXPECT_THAT(monitor("msr 0xc0000082"), HasSubstr("= 0x0000000000001234"));
  EXPECT_THAT(monitor("msr 0x12345678"), HasSubstr("msr: "));
}

// Both vCPUs write to the same linear address, which is none of the watched number.
TEST_F(MonitorRows, PhysicalMemoryIsWatchedWhateverItsLinearAddress) {
  begin("spaces", {.cpus = 2, .start = Start::Running});
  NEEDS(Feature::PageWatches);
  const std::uint64_t watched = (*guest_)["frame_b"] + 8;
  const std::string place = "0x" + hex_number(watched);
  EXPECT_THAT(monitor("watch-phys"), HasSubstr("No physical"));
  EXPECT_THAT(monitor("watch-phys " + place + " 8"), HasSubstr("Watching 8 bytes"));
  EXPECT_THAT(monitor("watch-phys"), HasSubstr("physical write watchpoint of 8 bytes"));
  for (int i = 0; i < 4; ++i) {
    client_->send("vCont;c");
    std::string words;
    const StopReply stop = parse_stop(await_stop_with_words(*client_, words));
    EXPECT_EQ(stop.text.substr(0, 3), "T05");
    EXPECT_EQ(stop.vcpu, 1u);
    EXPECT_THAT(words, HasSubstr("vCPU 1 wrote to the watched physical memory at " + place));
    EXPECT_EQ(client_->rip(), (*guest_)["loop"] + 4);  // after the incq
  }
  EXPECT_THAT(monitor("breakpoints"),
              ContainsRegex("physical write watchpoint of 8 bytes .*, 4 hits"));
  EXPECT_THAT(monitor("unwatch-phys " + place), HasSubstr("No longer"));
  EXPECT_THAT(monitor("unwatch-phys " + place), HasSubstr("nothing is watched"));
  client_->send("vCont;c");
  EXPECT_TRUE(client_->silent_for(kQuiet));
}

// Whatever realises it: more than a processor has registers for, with the client's words.
TEST_F(MonitorRows, MoreWatchpointsThanRegisters) {
  NEEDS(Feature::PageWatches);
  begin("watched");
  client_->send("vCont;c");
  guest_->await_said("0");
  client_->interrupt();
  client_->await_stop();
  for (const std::uint64_t offset : {0u, 8u, 16u, 24u})
    ASSERT_EQ(client_->request("Z2," + hex_number((*guest_)["filler"] + offset) + ",8"), "OK");
  ASSERT_EQ(client_->request("Z2," + hex_number((*guest_)["crossing"]) + ",4"), "OK");
  ASSERT_EQ(client_->request("Z3," + hex_number((*guest_)["target"]) + ",8"), "OK");
  EXPECT_THAT(monitor("breakpoints"), HasSubstr("write watchpoint of 4 bytes"));
  bool read = false, written = false;
  for (int i = 0; i < 6; ++i) {
    client_->send("vCont;c");
    const StopReply stop = client_->await_stop();
    const bool reads = stop.field("rwatch") == hex_number((*guest_)["target"]);
    EXPECT_TRUE(reads || stop.field("watch") == hex_number((*guest_)["crossing"])) << stop.text;
    (reads ? read : written) = true;
  }
  EXPECT_TRUE(read && written);
  EXPECT_THAT(monitor("breakpoints"), ContainsRegex("write watchpoint of 4 bytes[^\n]*, [1-9]"));
}

TEST_F(MonitorRows, WhatIsNoWatchIsRefused) {
  begin("counters");
  for (const char* wrong : {"watch-phys 1", "watch-phys 1 2 x", "watch-phys 1 2 w 3",
                            "watch-phys 0 0", "watch-phys 0xffffffffffffffff 2", "watch-phys q 1",
                            "unwatch-phys", "bind 1 2 3", "bind z", "linear-pc maybe"}) {
    const std::string said = monitor(wrong);
    EXPECT_THAT(said, Not(AnyOf(HasSubstr("Watching"), HasSubstr("counts where")))) << wrong;
    EXPECT_THAT(said, HasSubstr(": ")) << wrong;
  }
}

TEST_F(MonitorRows, DevicesThatWriteAreCaught) {
  const std::string disk =
      (std::filesystem::temp_directory_path() / ("ringside-dma-" + std::to_string(::getpid())))
          .string();
  std::ofstream(disk) << std::string(4096, 'D');
  begin("dma", {.arguments = {"-d", disk}});
  std::remove(disk.c_str());
  NEEDS(Feature::PageWatches);
  client_->run_to((*guest_)["ask_device"]);
  EXPECT_EQ(client_->read((*guest_)["sector"], 1), std::string(1, '\0'));
  monitor("watch-phys " + number("sector") + " 4");
  client_->send("vCont;c");
  std::string words;
  const std::string stop = await_stop_with_words(*client_, words);
  EXPECT_EQ(stop.substr(0, 3), "T05") << stop;
  EXPECT_THAT(words,
              HasSubstr("a device wrote to the watched physical memory at " + number("sector")));
  EXPECT_EQ(client_->read((*guest_)["sector"], 4), "DDDD");
  EXPECT_EQ(client_->read_u64((*guest_)["requests"]), 1u);
  EXPECT_EQ(client_->read_u64((*guest_)["answers"]), 0u);
}

// The page of the local APIC has reserved registers, whose reading by the guest is an error that
// can interrupt it; the virtio disk and the I/O APIC lie in memory, too.
TEST_F(MonitorRows, LookingAtDevicesChangesNothing) {
  const std::string disk =
      (std::filesystem::temp_directory_path() / ("ringside-look-" + std::to_string(::getpid())))
          .string();
  std::ofstream(disk) << std::string(4096, 'D');
  begin("counters", {.cpus = 2, .arguments = {"-d", disk}});
  std::remove(disk.c_str());
  client_->send("vCont;c");
  guest_->await_said_numbers(2);
  client_->stop();
  constexpr std::uint64_t kApic = 0xfee00000, kIoApic = 0xfec00000, kDisk = 0xd0000000;
  EXPECT_EQ(client_->request("Qqemu.PhyMemMode:1"), "OK");
  client_->write(kApic + 0x370, little_endian(0xfe, 4));  // errors interrupt
  client_->write(kApic + 0x280, little_endian(0, 4));
  const std::string before = soft() ? monitor("hash") : monitor("info lapic");
  for (const std::uint64_t page : {kApic, kIoApic, kDisk}) {
    const std::uint64_t size = page == kDisk ? 0x200 : 0x1000;
    for (const char* kind : {"m", "x"}) {
      for (const std::uint64_t from : {0u, 1u, 2u}) {
        const std::string got =
            client_->request(kind + hex_number(page + from) + "," + hex_number(size - from));
        EXPECT_GE(got.size(), size - from);
      }
    }
    for (std::uint64_t at = 0; at < size; at += 15)
      EXPECT_EQ(client_->read(page + at, 1).size(), 1u);
    monitor("physical 0x" + hex_number(page) + " 512");
  }
  if (soft()) {
    EXPECT_EQ(monitor("hash"), before);
  }
  // The error register shows what has come since it was last written.
  client_->write(kApic + 0x280, little_endian(0, 4));
  EXPECT_EQ(client_->read(kApic + 0x280, 4), little_endian(0, 4));
  if (!soft()) {
    EXPECT_EQ(monitor("info lapic"), before);
  }
}

TEST_F(MonitorRows, BreakpointsBoundToAnAddressSpace) {
  begin("spaces", {.cpus = 2, .start = Start::Running});
  client_->select(1);  // whose space is the other
  const std::string loop = number("loop");
  EXPECT_THAT(monitor("bind"), HasSubstr("Nothing is bound"));
  EXPECT_THAT(monitor("bind " + loop), HasSubstr(loop + " counts where cr3 is 0x"));
  client_->insert((*guest_)["loop"]);
  for (int i = 0; i < 3; ++i) {
    client_->send("vCont;c:2");
    EXPECT_EQ(client_->await_stop().vcpu, 1u);
  }
  client_->send("vCont;c:1");
  EXPECT_TRUE(client_->silent_for(kQuiet));
  client_->interrupt();
  client_->await_stop();
  EXPECT_THAT(monitor("breakpoints"), ContainsRegex("only where cr3 is .*, [34] hits"));
  EXPECT_THAT(monitor("bind " + loop + " off"), HasSubstr("counts everywhere"));
  client_->send("vCont;c:1");
  EXPECT_EQ(client_->await_stop().vcpu, 0u);
}

TEST_F(MonitorRows, MemoryOfAnotherAddressSpace) {
  begin("spaces", {.cpus = 2, .start = Start::Running});
  const auto look = [&] { return client_->read((*guest_)["private"], 8); };
  client_->select(1);
  const std::string theirs = look();
  const std::string space = monitor("registers cr3");
  client_->select(0);
  const std::string own = look();
  ASSERT_NE(own, theirs);
  const std::string cr3 = space.substr(
      space.find("0x"), space.find_first_of(" \n", space.find("0x")) - space.find("0x"));
  EXPECT_THAT(monitor("cr3 " + cr3), HasSubstr("those of cr3 0x"));
  EXPECT_EQ(look(), theirs);
  EXPECT_THAT(monitor("x /2xw " + number("private")), HasSubstr(hex_number((*guest_)["private"])));
  // A breakpoint counts there alone.
  client_->insert((*guest_)["loop"]);
  EXPECT_THAT(monitor("breakpoints"), HasSubstr("only where cr3 is"));
  client_->send("vCont;c");
  EXPECT_EQ(client_->await_stop().vcpu, 1u);
  client_->select(0);
  EXPECT_THAT(monitor("cr3 off"), HasSubstr("those of the current vCPU"));
  EXPECT_EQ(look(), own);
}

TEST_F(MonitorRows, HitsAreCountedByVcpuAndOutliveReinsertion) {
  begin("counters", {.cpus = 2, .start = Start::Running});
  for (int i = 0; i < 8; ++i) {
    client_->insert((*guest_)["tick"]);
    client_->send(i % 2 == 0 ? "vCont;c:1" : "vCont;c:2");
    client_->await_stop();
    client_->remove((*guest_)["tick"]);
  }
  client_->insert((*guest_)["tick"]);
  EXPECT_THAT(monitor("breakpoints"), ContainsRegex("hits \\(vCPU 0: [1-9][0-9]*, vCPU 1: [1-9]"));
}

TEST_F(MonitorRows, RipAsTheRegisterIs) {
  begin("reset", {.firmware = true});
  client_->request("qXfer:features:read:target.xml:0,10");
  EXPECT_EQ(client_->request("p10"), "f0ffffff00000000");
  EXPECT_THAT(monitor("linear-pc off"), HasSubstr("as the register is"));
  EXPECT_EQ(client_->request("p10"), "f0ff000000000000");
  EXPECT_THAT(monitor("linear-pc"), HasSubstr("as the register is"));
  monitor("linear-pc on");
  EXPECT_EQ(client_->request("p10"), "f0ffffff00000000");
}

TEST_F(MonitorRows, TheMachineStartsAgain) {
  begin("counters", {.cpus = 2});
  const std::string at_power_on = client_->request("g");
  client_->send("vCont;c");
  guest_->await_said_numbers(2);
  client_->interrupt();
  client_->receive();
  const std::string said = monitor("system_reset");
  EXPECT_THAT(said, HasSubstr("as at power-on"));
  client_->select(0);
  EXPECT_EQ(client_->request("g"), at_power_on);
  EXPECT_EQ(client_->read((*guest_)["counters"], 16), std::string(16, '\0'));
  client_->insert((*guest_)["main"]);
  client_->send("vCont;c");
  EXPECT_EQ(client_->await_stop().vcpu, 0u);
  EXPECT_EQ(client_->rip(), (*guest_)["main"]);
  client_->remove((*guest_)["main"]);
  client_->send("vCont;c");
  guest_->await_said_numbers(2);
}

TEST_F(MonitorRows, AfterAResetTheOthersAreNoThreadsUntilTheyAreStarted) {
  begin("counters", {.cpus = 3});
  client_->send("vCont;c");
  guest_->await_said_numbers(3);
  client_->stop();
  EXPECT_THAT(client_->threads(), SizeIs(3));
  // Somebody has a hit that nobody has heard of, and the last stop may be of a vCPU that goes.
  const std::uint64_t tick = (*guest_)["tick"];
  client_->insert(tick);
  for (int i = 0; i < 2; ++i) {
    client_->send("vCont;c");
    client_->await_stop();
  }
  client_->select(2);
  monitor("system_reset");
  EXPECT_EQ(client_->threads(), std::vector<std::string>{"01"});
  EXPECT_EQ(client_->request("qC"), "QC01");
  EXPECT_EQ(client_->request("T3").front(), 'E');
  EXPECT_EQ(client_->request("Hg3").front(), 'E');
  EXPECT_EQ(client_->request("?"), "T02thread:01;");
  EXPECT_EQ(client_->read((*guest_)["counters"], 24), std::string(24, '\0'));
  EXPECT_EQ(client_->read(tick, 1), "\x48");

  // The breakpoint is still there, for every vCPU once it is started.
  std::set<unsigned> hit;
  while (hit.size() < 3) {
    client_->send("vCont;c");
    const StopReply stop = client_->await_stop();
    ASSERT_TRUE(stop.vcpu) << stop.text;
    // Whoever comes first: vCPU 0 has sent the start-up IPI, which others may overtake it after.
    client_->select(0);
    const std::uint64_t boots = client_->rip();
    const bool counts = boots >= (*guest_)["ap_main"] && boots <= (*guest_)["tick_end"];
    EXPECT_TRUE(counts || boots > (*guest_)["send_start_up"]) << boots;
    client_->select(*stop.vcpu);
    EXPECT_EQ(client_->rip(), tick);
    hit.insert(*stop.vcpu);
  }
  EXPECT_THAT(client_->threads(), SizeIs(3));
  client_->remove(tick);
  client_->send("vCont;c");
  constexpr auto kOutput = ChildProcess::Stream::Output;
  for (const char digit : {'0', '1', '2'}) {
    while (std::ranges::count(guest_->process().text(kOutput), digit) < 2)
      guest_->process().await_more(kOutput);
  }
}

TEST_F(MonitorRows, FirmwareStartsAgain) {
  NEEDS(Feature::EveryInstruction);
  begin("reset", {.firmware = true});
  client_->run_to((*guest_)["long64"]);
  monitor("reset");
  EXPECT_EQ(client_->rip(), 0xfff0u);
  client_->run_to((*guest_)["rom16_function"]);
  client_->run_to((*guest_)["long64"]);
}

TEST_F(MonitorRows, QuitEndsTheMachine) {
  begin("counters");
  client_->send("qRcmd," + hex("quit"));
  client_->await_close();
  EXPECT_EQ(guest_->process().await_exit(), 1);
}

// A panic, by QEMU's port.
TEST_F(MonitorRows, APanicStopsInTheDebuggerWithTheReasonInWords) {
  begin("end_panic");
  client_->send("vCont;c");
  guest_->await_said("r");
  guest_->process().write_input("x");
  std::string words;
  const std::string stop = await_stop_with_words(*client_, words);
  EXPECT_EQ(stop.substr(0, 3), "T06") << stop;
  EXPECT_THAT(words, HasSubstr("vCPU 0: the guest wrote to its panic port"));
  EXPECT_EQ(client_->rip(), (*guest_)["after_panic"]);
  EXPECT_EQ(client_->request("?").substr(0, 3), "T06");
  // It can go on.
  EXPECT_EQ(client_->step().text.substr(0, 3), "T05");
}

// Code where there is no memory: KVM cannot go on, and says so as an error of its own; the software
// CPU reads ones there, and comes to a triple fault.
TEST_F(MonitorRows, AnEnginesErrorStopsInTheDebuggerWithTheReasonInWords) {
  begin("counters", {.cpus = 2, .start = Start::Running});
  const std::uint64_t tick = (*guest_)["tick"];
  client_->select(0);
  client_->request("P10=000000d000000000");
  client_->send("vCont;c");
  std::string words;
  const std::string stop = await_stop_with_words(*client_, words);
  EXPECT_EQ(stop.substr(0, 3), "T06") << stop;
  EXPECT_EQ(parse_stop(stop).vcpu, 0u);
  EXPECT_THAT(words, HasSubstr(soft() ? "vCPU 0 cannot go on: triple fault: "
                                      : "vCPU 0 cannot go on: KVM failed at 0xd0000000"));
  EXPECT_EQ(client_->rip(), 0xd0000000u);
  EXPECT_EQ(client_->read(tick, 1).size(), 1u);
  client_->select(1);
  EXPECT_NE(client_->rip(), 0u);
  EXPECT_EQ(client_->request("?").substr(0, 3), "T06");
  EXPECT_THAT(monitor("vcpus"), HasSubstr("CPU #1"));
  EXPECT_TRUE(guest_->running());
}

TEST_F(MonitorRows, APanicWithoutADebuggerEndsTheMachineAndShowsItsState) {
  GuestProcess guest("end_panic", {.start = Start::WithoutDebug});
  guest.await_said("r");
  guest.process().write_input("x");
  EXPECT_EQ(guest.process().await_exit(), 4);
  const std::string error = guest.process().text(ChildProcess::Stream::Error);
  EXPECT_THAT(error, HasSubstr("panic port"));
  if (soft()) {
    EXPECT_THAT(error, HasSubstr("vCPU 0: rip "));
  }
}

TEST_F(MonitorRows, ATripleFaultWithoutADebuggerShowsTheState) {
  GuestProcess guest("end_triple_fault", {.start = Start::WithoutDebug});
  guest.await_said("r");
  guest.process().write_input("x");
  EXPECT_EQ(guest.process().await_exit(), 3);
  if (!soft()) return;
  const std::string error = guest.process().text(ChildProcess::Stream::Error);
  EXPECT_THAT(error, HasSubstr("vCPU 0: rip "));
}

}  // namespace
}  // namespace ringside::testing
