// Debian's cloud kernel in the same state at the same instruction, boot after boot: at the first
// instructions of user space and at power-off, on other thread layouts, under load, with a
// debugger, and when a session is replayed. Needs what tests/linux/prepare fetches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <random>
#include <regex>

#include "cli/run/cpio.h"
#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using Stream = ChildProcess::Stream;
using Words = std::vector<std::string>;

constexpr std::uint64_t kFirstInstruction = 0x10000001000;  // of /init: where it is linked

std::string content_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

Deadline long_wait() { return Deadline(std::chrono::minutes(15)); }

// Programs that do nothing but take processor time, and their end.
class Load {
 public:
  Load() {
    for (int i = 0; i < 2; ++i)
      hogs_.push_back(
          std::make_unique<ChildProcess>(Words{"/bin/sh", "-c", "while :; do :; done"}));
  }

 private:
  std::vector<std::unique_ptr<ChildProcess>> hogs_;
};

class LinuxBoots : public ::testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "only the software CPU is deterministic";
    if (::access(kernel_.c_str(), R_OK) != 0) GTEST_SKIP() << "no kernel; see make test-guests";
    base_ = ::testing::TempDir() + "ringside-boots-" + std::to_string(::getpid());
    const std::string programs = GUEST_PROGRAMS;
    cli::CpioArchive archive;
    for (const char* name : {"init", "marker"})
      ASSERT_TRUE(archive.add_file(name, 0755, content_of(programs + name)));
    const std::vector<std::byte> bytes = std::move(archive).finish();
    std::ofstream(initramfs(), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  void TearDown() override {
    for (const std::string& path : {initramfs(), journal(), serial()})
      ::unlink(path.c_str());
  }
  std::string initramfs() const { return base_ + ".cpio"; }
  std::string journal() const { return base_ + ".journal"; }
  std::string serial() const { return base_ + ".serial"; }

  Words command(const std::string& more_to_say, const Words& options = {}) const {
    Words words = {RINGSIDE_PROGRAM,
                   "-e",
                   "soft",
                   "-m",
                   "256M",
                   "-c",
                   std::to_string(GetParam()),
                   "--debug-exit",
                   "--log",
                   "debug",
                   "-i",
                   initramfs(),
                   "-a",
                   "console=ttyS0 " + more_to_say};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(kernel_);
    return words;
  }

  // The line with instruction count and hash at the end of a run.
  static std::string state_of(ChildProcess& process, int status) {
    const int ended = process.await_exit(long_wait());
    const std::string error = process.text(Stream::Error);
    EXPECT_EQ(ended, status) << error << process.text(Stream::Output);
    std::smatch found;
    EXPECT_TRUE(std::regex_search(error, found,
                                  std::regex("state: [0-9]+ instructions, hash [0-9a-f]{16}")))
        << error;
    return found.str();
  }
  static constexpr int kAtMarker = 0x15 << 1 | 1;  // what /marker writes to the debug-exit port
  static constexpr int kPowerOff = 1;

  std::string run(const Words& words, int status) const {
    ChildProcess process(words);
    process.close_input();
    return state_of(process, status);
  }

  // On another layout: one processor for everything, two busy neighbours, no pacing, COM1 to a
  // file.
  std::string run_elsewhere(const std::string& more_to_say, int status) const {
    const Load load;
    Words words = {"/usr/bin/taskset", "-c", "0"};
    const Words inner = command(more_to_say, {"-s", "file:" + serial(), "--pace", "off"});
    words.insert(words.end(), inner.begin(), inner.end());
    return run(words, status);
  }

  const std::string kernel_ = RINGSIDE_LINUX_FILES "/cloud-amd64/vmlinuz";
  std::string base_;
};

INSTANTIATE_TEST_SUITE_P(Vcpus, LinuxBoots, ::testing::Values(1, 2));

TEST_P(LinuxBoots, AreInTheSameStateInUserSpaceAndAtPowerOff) {
  const std::string at_marker = run(command("rdinit=/marker"), kAtMarker);
  EXPECT_EQ(run_elsewhere("rdinit=/marker", kAtMarker), at_marker);
  const std::string at_end = run(command(""), kPowerOff);
  EXPECT_EQ(run_elsewhere("", kPowerOff), at_end);
  RecordProperty("marker", at_marker);
  RecordProperty("end", at_end);
}

class Debugged {
 public:
  explicit Debugged(const Words& words) : process(words), port(port_of(process)), client(port) {
    client.request("qSupported:swbreak+;hwbreak+");
    client.request("?");
  }
  std::string hash() { return unhex(client.request("qRcmd," + hex("hash"))); }

  ChildProcess process;
  const std::uint16_t port;
  DebugClient client;

 private:
  static std::uint16_t port_of(ChildProcess& process) {
    const std::string line = process.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
    return static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
  }
};

// Stops the guest again and again on its way to `address`, reads, watches a word of its stack's
// page, and where it can without another schedule (one vCPU) steps. Gives the number of stops.
int meddle_on_the_way(DebugClient& client, std::uint64_t address, bool steps) {
  constexpr int kMost = 100;
  EXPECT_EQ(client.request("Qqemu.sstep=1"), "OK");
  std::minstd_rand random(7);
  std::string watch;
  for (int stops = 0;; ++stops) {
    client.resume();
    if (stops < kMost && client.silent_for(std::chrono::milliseconds(random() % 20)))
      client.interrupt();
    client.await_stop(long_wait());
    const Registers registers = client.registers();
    if (!watch.empty()) {
      EXPECT_EQ(client.request("z" + watch), "OK");
      watch.clear();
    }
    if (registers.rip() == address) return stops;
    if (stops < kMost) {
      watch = "4," + hex_number(registers[kRsp] & ~std::uint64_t{0xfff}) + ",8";
      EXPECT_EQ(client.request("Z" + watch), "OK");
    }
    client.request("m" + hex_number(registers.rip()) + ",40");
    client.request("m" + hex_number(registers[kRsp]) + ",100");
    for (unsigned i = 0; steps && i < 20; ++i)
      client.step();
  }
}

TEST_P(LinuxBoots, AreTheSameUnderADebugger) {
  const std::string expected = run(command(""), kPowerOff);
  const Words words = command("", {"-G", "w0"});
  std::string at_init;
  for (const bool meddling : {false, true}) {
    Debugged linux(words);
    ASSERT_EQ(linux.client.request("Z1," + hex_number(kFirstInstruction) + ",1"), "OK");
    if (meddling) {
      EXPECT_GT(meddle_on_the_way(linux.client, kFirstInstruction, GetParam() == 1), 30);
    } else {
      linux.client.resume();
      linux.client.await_stop(long_wait());
    }
    ASSERT_EQ(linux.client.rip(), kFirstInstruction);
    EXPECT_THAT(linux.hash(), MatchesRegex("[0-9]+ instructions, hash [0-9a-f]{16}\n"));
    if (meddling) {
      EXPECT_EQ(linux.hash(), at_init);
    } else {
      at_init = linux.hash();
    }
    linux.client.detach();
    EXPECT_EQ(state_of(linux.process, kPowerOff), expected);
  }
  RecordProperty("init", at_init);
}

TEST_P(LinuxBoots, AreTheSameWithTwoHundredAttachments) {
  const std::string expected = run(command(""), kPowerOff);
  Debugged linux(command("", {"-G", "w0"}));
  const std::uint16_t port = linux.port;
  linux.client.detach();
  std::minstd_rand random(3);
  int cycles = 0;
  for (; cycles < 200 && linux.process.running(); ++cycles) {
    DebugClient client(port);
    client.request("?");
    client.registers();
    client.insert(client.rip());  // a breakpoint that the detachment takes out
    client.detach();
    client.silent_for(std::chrono::milliseconds(random() % 10));
  }
  EXPECT_EQ(cycles, 200);
  EXPECT_EQ(state_of(linux.process, kPowerOff), expected);
}

TEST_P(LinuxBoots, OfARecordedSessionAreReplayedToTheSameState) {
  std::string recorded;
  {
    ChildProcess process(command("-- type", {"--record", journal()}));
    process.await(Stream::Output, "type a line", long_wait());
    for (const char* text : {"he", "llo", "\n"})
      process.write_input(text);
    recorded = state_of(process, kPowerOff);
    EXPECT_THAT(process.text(Stream::Output), HasSubstr("read hello"));
  }
  EXPECT_EQ(run(command("-- type", {"--replay", journal()}), kPowerOff), recorded);
}

}  // namespace
}  // namespace ringside::testing
