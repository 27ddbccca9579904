// --replay A --against B: two journals, of which one has been edited, and where their runs part.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <regex>
#include <sstream>

#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;

constexpr int kSame = 0, kDifferent = 6, kError = 4;

std::string content_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

class Against : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
  }
  void TearDown() override {
    for (const std::string& path : {a_, b_, disk_})
      ::unlink(path.c_str());
  }

  struct Outcome {
    int status = 0;
    std::string output, error;
  };
  struct Guest {
    std::string name;
    unsigned cpus = 1;
    std::vector<std::string> arguments = {};
  };
  static std::vector<std::string> command(const Guest& guest,
                                          const std::vector<std::string>& options) {
    std::vector<std::string> words = {
        RINGSIDE_PROGRAM,          "-e", "soft", "-m", "32M", "--pace", "off", "-c",
        std::to_string(guest.cpus)};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), guest.arguments.begin(), guest.arguments.end());
    words.push_back(GuestImage(guest.name).path());
    return words;
  }
  // A guest that is typed at until it has said something, and then ended.
  void record(const Guest& guest, const std::string& keys, const std::string& said) {
    ChildProcess process(command(guest, {"--record", a_}));
    process.await(Stream::Output, "r");
    process.write_input(keys);
    if (!said.empty()) {
      process.await(Stream::Output, said);
      process.kill(SIGTERM);
    }
    process.await_exit();
  }
  // One that counts for ever, until its journal has a check.
  void record_counters(unsigned cpus) {
    ::unlink(a_.c_str());
    ChildProcess process(command({"counters", cpus}, {"--record", a_}));
    while (content_of(a_).find(" check ") == std::string::npos)
      process.await_busy();
    process.kill(SIGTERM);
    process.await_exit();
  }
  Outcome compare(const Guest& guest) {
    ChildProcess process(command(guest, {"--replay", a_, "--against", b_}));
    process.close_input();
    const int status = process.await_exit();
    return {status, process.text(Stream::Output), process.text(Stream::Error)};
  }
  void write_b(const std::string& pattern, const std::string& by) {
    const std::string a = content_of(a_);
    const std::string text = std::regex_replace(a, std::regex(pattern), by);
    ASSERT_NE(text, a);
    std::ofstream(b_) << text;
  }
  // The other run has one input more, and no checks that say otherwise.
  void plant(const std::string& line) {
    std::istringstream lines(content_of(a_));
    std::ofstream file(b_);
    std::string each;
    constexpr unsigned kHeader = 4;  // version and content, seed, date, processor
    for (unsigned i = 0; i < kHeader && std::getline(lines, each); ++i)
      file << each << '\n';
    file << line << '\n';
    while (std::getline(lines, each)) {
      const bool is_end = each.find(" end-by-") != std::string::npos;
      if (is_end) file << each.substr(0, each.find(" check ")) << '\n';
    }
  }
  static std::string legend(const std::string& a, const std::string& b) {
    return "A is " + a + "\nB is " + b + "\n";
  }

  const std::string base_ = ::testing::TempDir() + "ringside-against-" + std::to_string(::getpid());
  const std::string a_ = base_ + "-a", b_ = base_ + "-b", disk_ = base_ + "-disk";
};

TEST_F(Against, TheSameRun) {
  record({"end_power_off"}, "x", "");
  std::ofstream(b_) << content_of(a_);
  const Outcome same = compare({"end_power_off"});
  EXPECT_EQ(same.status, kSame) << same.error;
  EXPECT_THAT(same.output, StartsWith(legend(a_, b_) + "inputs: the same, 1 of them\nruns: no "
                                                       "instruction differs up to "));
  EXPECT_THAT(same.output, Not(HasSubstr("differ:")));
}

// The other key is there some instructions before it is read, and forgotten some later. It comes at
// each instruction of the loop that waits for it.
TEST_F(Against, NamesTheInstructionThatReadsAnotherKey) {
  record({"end_power_off"}, "x", "");
  const std::string start = content_of(a_).substr(0, content_of(a_).find(" serial0"));
  const std::uint64_t after = GuestImage("end_power_off")["go"];  // behind IN
  for (unsigned at = 10'000; at < 10'016; ++at) {
    SCOPED_TRACE(at);
    const auto journal = [&](const std::string& key) {
      return start.substr(0, start.rfind('\n') + 1) + std::to_string(at) + " 0 serial0 " + key +
             "\n" + std::to_string(at + 5000) + " 0 end-by-outside 0\n";
    };
    std::ofstream(a_) << journal("78");
    std::ofstream(b_) << journal("79");
    const Outcome outcome = compare({"end_power_off"});
    EXPECT_EQ(outcome.status, kDifferent) << outcome.error;
    EXPECT_THAT(outcome.output, HasSubstr("inputs: number 1 is the first that differs\n  A: at " +
                                          std::to_string(at) + ", 0 ns: serial0 78\n  B: at "));
    const std::string move =
        "vCPU 0 from RIP 0x" + hex_number(after - 1) + " to 0x" + hex_number(after) + "\n";
    EXPECT_THAT(outcome.output,
                HasSubstr("the next one differs\n  A: " + move + "  B: " + move +
                          "  vCPU 0 rax: 0x78 in A, 0x79 in B\n  before it already: COM1\n"));
  }
}

TEST_F(Against, NamesWhatOnlyOneHas) {
  record({"end_power_off"}, "x", "");
  write_b("[^\n]* serial0 [^\n]*\n([0-9]+) ([0-9]+) end-by-guest [^\n]*\n",
          "$1 $2 end-by-outside 1\n");
  const Outcome outcome = compare({"end_power_off"});
  EXPECT_EQ(outcome.status, kDifferent) << outcome.error;
  EXPECT_THAT(outcome.output, HasSubstr("  B: there is none any more\n"));
  // It has come to who reads the line status.
  EXPECT_THAT(outcome.output, HasSubstr("vCPU 0 rax: 0x61 in A, 0x60 in B\n"));
}

TEST_F(Against, FindsADifferenceAtAnyInstruction) {
  std::minstd_rand random(7);
  for (const unsigned cpus : {1u, 2u}) {
    record_counters(cpus);
    for (int i = 0; i < 4; ++i) {
      const std::string at = std::to_string(1'000'000 + random() % 50'000'000);
      SCOPED_TRACE(at + ", vCPUs: " + std::to_string(cpus));
      plant(at + " 0 memory 1234567 4142");
      const Outcome memory = compare({"counters", cpus});
      EXPECT_EQ(memory.status, kDifferent) << memory.error;
      EXPECT_THAT(memory.output, HasSubstr("  A: there is none any more\n  B: at " + at));
      EXPECT_THAT(memory.output, HasSubstr("runs: the same up to instruction " + at + ";"));
      EXPECT_THAT(memory.output,
                  HasSubstr("\n  memory at physical 0x1234567: 0000000000000000 in A, "
                            "4142000000000000 in B\n"));
      const std::string vcpu = std::to_string(cpus - 1);
      plant(at + " 0 register " + vcpu + " r15 " +
            hex(little_endian(0x1234, 8) + std::string(8, 0)));
      const Outcome registers = compare({"counters", cpus});
      EXPECT_EQ(registers.status, kDifferent) << registers.error;
      EXPECT_THAT(registers.output, HasSubstr("runs: the same up to instruction " + at + ";"));
      EXPECT_THAT(registers.output,
                  HasSubstr("\n  vCPU " + vcpu + " r15: 0x0 in A, 0x1234 in B\n"));
      EXPECT_THAT(registers.output, Not(HasSubstr("memory at")));
    }
  }
}

TEST_F(Against, AReset) {
  record_counters(2);
  plant("20000000 0 reset");
  const Outcome one = compare({"counters", 2});
  EXPECT_EQ(one.status, kDifferent) << one.error;
  EXPECT_THAT(one.output, HasSubstr("runs: the same up to instruction 20000000;"));
  std::ofstream(a_) << content_of(b_);
  const Outcome both = compare({"counters", 2});
  EXPECT_EQ(both.status, kSame) << both.output << both.error;
  const std::string reset = "20000000 0 reset\n";
  std::string other = content_of(a_);
  other.insert(other.find(reset) + reset.size(), "30000000 0 memory 1234567 41\n");
  std::ofstream(b_) << other;
  const Outcome after = compare({"counters", 2});
  EXPECT_EQ(after.status, kDifferent) << after.error;
  EXPECT_THAT(after.output, HasSubstr("inputs: number 2 is the first that differs"));
  EXPECT_THAT(after.output, HasSubstr("runs: the same up to instruction 30000000;"));
}

TEST_F(Against, DisksStayAsTheyAre) {
  const std::string image(4 * 65536, '.');
  std::ofstream(disk_, std::ios::binary) << image;
  const Guest guest{"flush", 1, {"-d", disk_, "--virtio", "mmio"}};
  ChildProcess process(command(guest, {"--record", a_}));
  for (const char* letters : {"a", "ab"}) {
    process.write_input("x");
    process.await(Stream::Output, letters);
  }
  process.kill(SIGTERM);
  process.await_exit();
  std::ofstream(disk_, std::ios::binary) << image;  // as it was at the start
  std::ofstream(b_) << content_of(a_);
  const Outcome same = compare(guest);
  EXPECT_EQ(same.status, kSame) << same.output << same.error;
  EXPECT_THAT(same.output, HasSubstr("inputs: the same, 2 of them"));
  EXPECT_TRUE(content_of(disk_) == image);
}

TEST_F(Against, ARunThatIsNotTheRecordedOneIsNoMeasure) {
  record_counters(2);
  write_b("devices [0-9a-f]+", "devices 1");
  const Outcome outcome = compare({"counters", 2});
  EXPECT_EQ(outcome.status, kError);
  EXPECT_THAT(outcome.error, HasSubstr("the replay of " + b_ +
                                       " differs from its recording between instruction 0"));
  EXPECT_THAT(outcome.error, HasSubstr("\n  devices: "));
}

// The key may come at another moment each time.
TEST_F(Against, TwoRecordingsWithOneSeedHaveOneStart) {
  record({"end_power_off", 1, {"--seed", "7"}}, "x", "");
  ASSERT_EQ(std::rename(a_.c_str(), b_.c_str()), 0);
  record({"end_power_off", 1, {"--seed", "0x7"}}, "x", "");
  const Outcome outcome = compare({"end_power_off"});
  EXPECT_NE(outcome.status, kError) << outcome.error;
  EXPECT_THAT(outcome.output, HasSubstr("runs: "));
}

TEST_F(Against, WithoutACommonStartThereIsNothingToCompare) {
  record({"end_power_off"}, "x", "");
  write_b("seed [0-9a-f]+", "seed 1");
  const Outcome other_seed = compare({"end_power_off"});
  EXPECT_EQ(other_seed.status, kError);
  EXPECT_THAT(other_seed.error, HasSubstr("the two journals have no common start: seed "));
  std::ofstream(b_) << content_of(a_);
  EXPECT_THAT(compare({"end_halt"}).error,
              HasSubstr("belongs to another run: it was given something else: the firmware"));
  ::unlink(b_.c_str());
  EXPECT_THAT(compare({"end_power_off"}).error, HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace ringside::testing
