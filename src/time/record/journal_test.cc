#include "time/record/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "machine/share/virtio_share.h"

namespace ringside::time {
namespace {

using machine::GuestGdbConnection, machine::GuestGdbInput, machine::SerialInput;
using ::testing::HasSubstr;

class JournalTest : public testing::Test {
 protected:
  void SetUp() override { path_ = testing::TempDir() + "journal_test." + std::to_string(getpid()); }
  void TearDown() override { std::remove(path_.c_str()); }
  void write(const std::string& text) { std::ofstream(path_) << text; }
  std::string path_;
  const RunIdentity identity_{2, 1 << 20, 0xabc};
};

TEST_F(JournalTest, ReadsBackWhatWasWritten) {
  auto writer = JournalWriter::create(path_, identity_,
                                      {0xabcdef0123456789, 1764144000, hypervisor::Processor::V3});
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->append({{{{5}}, {7}}, SerialInput{0, {std::byte{'a'}, std::byte{0}}}}));
  ASSERT_TRUE(writer->append({{{{5}}, {8}}, GuestGdbConnection{true}}));
  ASSERT_TRUE(writer->append({{{{9}}, {9}}, GuestGdbInput{{std::byte{0xff}}}}));
  ASSERT_TRUE(writer->finish({{{{11}, 3}, {12}}, JournalEnd::By::Outside, 0xfedcba9876543210}));
  auto reader = JournalReader::open(path_, identity_);
  ASSERT_TRUE(reader) << reader.error().text();
  EXPECT_EQ(reader->start().seed, 0xabcdef0123456789u);
  EXPECT_EQ(reader->start().date, 1764144000);
  EXPECT_EQ(reader->start().processor, hypervisor::Processor::V3);
  const JournalEntry* entry = reader->next();
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->at.progress.instructions.value, 5u);
  EXPECT_EQ(entry->at.time.ns, 7u);
  EXPECT_EQ(std::get<SerialInput>(entry->input).bytes.size(), 2u);
  reader->advance();
  EXPECT_TRUE(std::get<GuestGdbConnection>(reader->next()->input).connected);
  reader->advance();
  EXPECT_EQ(std::get<GuestGdbInput>(reader->next()->input).bytes[0], std::byte{0xff});
  reader->advance();
  EXPECT_EQ(reader->next(), nullptr);
  ASSERT_TRUE(reader->end());
  EXPECT_EQ(reader->end()->at.progress.instructions.value, 11u);
  EXPECT_EQ(reader->end()->at.progress.parts, 3u);
  EXPECT_EQ(reader->end()->at.time.ns, 12u);
  EXPECT_EQ(reader->end()->by, JournalEnd::By::Outside);
  EXPECT_EQ(reader->end()->hash, 0xfedcba9876543210u);
}

// Of a machine with two vCPUs.
Check some_check(std::uint64_t seed) {
  Check check{{{{seed}, 0xffffffff81000000, seed * 3}, {{7}, 0x1000, 0}}, seed * 5, ~seed, {}};
  check.memory[0] = {1, 2};
  check.memory[kMemoryParts - 1] = {PageSum::kPrime - 1, seed};
  return check;
}

TEST_F(JournalTest, ReadsBackChecksInTheirPlaces) {
  auto writer = JournalWriter::create(path_, identity_, {});
  ASSERT_TRUE(writer->append({{{5}}, {7}}, some_check(1)));
  ASSERT_TRUE(writer->append({{{{5}}, {7}}, GuestGdbConnection{true}}));
  ASSERT_TRUE(writer->append({{{{6}, 2}, {8}}, GuestGdbConnection{false}}));
  ASSERT_TRUE(writer->append({{{6}, 2}, {8}}, some_check(2)));
  ASSERT_TRUE(writer->finish({{{{9}}, {9}}, JournalEnd::By::Guest, 4, some_check(3)}));
  auto reader = JournalReader::open(path_, identity_);
  ASSERT_TRUE(reader) << reader.error().text();
  ASSERT_EQ(reader->checks().size(), 2u);
  EXPECT_EQ(reader->checks()[0].at, (Place{{{{5}}, {7}}, 0}));
  EXPECT_EQ(reader->checks()[1].at, (Place{{{{6}, 2}, {8}}, 2}));
  ASSERT_NE(reader->next_check(), nullptr);
  EXPECT_EQ(reader->next_check()->check, some_check(1));
  reader->advance_check();
  EXPECT_EQ(reader->next_check(), nullptr) << "two inputs come before the other";
  reader->advance();
  EXPECT_EQ(reader->next_check(), nullptr);
  reader->advance();
  ASSERT_NE(reader->next_check(), nullptr);
  EXPECT_EQ(reader->next_check()->check, some_check(2));
  ASSERT_TRUE(reader->end());
  EXPECT_EQ(reader->end()->hash, 4u);
  EXPECT_EQ(reader->end()->check, some_check(3));
}

TEST_F(JournalTest, NamesTheLineOfADamagedCheck) {
  const std::string good = "5 7 check " + to_words(some_check(1));
  const auto refusal = [&](const std::string& line) {
    EXPECT_TRUE(JournalWriter::create(path_, identity_, {}));
    std::ofstream(path_, std::ios::app) << "5 7 nmi 0\n" << line << '\n';
    const auto reader = JournalReader::open(path_, identity_);
    return reader ? "none" : reader.error().text();
  };
  const auto with = [&](const std::string& old, const std::string& text) {
    std::string line = good;
    return line.replace(line.find(old), old.size(), text);
  };
  ASSERT_EQ(refusal(good), "none");
  EXPECT_EQ(refusal("9 9 end-by-guest 1 " + good.substr(4)), "none");
  const std::string damaged[] = {with("vcpu 1 ", "vcpu x "),
                                 with("vcpu 7 ", "cpu 7 "),
                                 with("vcpu 7 1000 ", "vcpu 7 "),
                                 with("schedule", "sched"),
                                 with("devices ", "devices g"),
                                 with("memory 1 2", "memory 1"),
                                 with("memory 1 2", "memory 1 2000000000000000"),
                                 good + " 0",
                                 good.substr(0, good.size() - 2),
                                 "5 7 check",
                                 "4 7 check" + good.substr(9),
                                 "9 9 end-by-guest 1 check",
                                 "9 9 end-by-guest 1 " + good.substr(4) + " 0",
                                 "9 9 end-by-guest 1 0"};
  for (const std::string& line : damaged)
    EXPECT_THAT(refusal(line), HasSubstr("damaged at line 6")) << line;
}

TEST(Check, SaysWhatDiffers) {
  constexpr std::uint64_t kPages = 0x100;
  const Check recorded = some_check(1);
  const auto lines = [&](const auto& change) {
    Check now = recorded;
    change(now);
    return differences(recorded, now, kPages);
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(lines([](Check&) {}), ElementsAre());
  EXPECT_THAT(lines([](Check& now) {
                now.vcpus[1] = {{8}, 0x1002, 5};
                now.devices = 1;
              }),
              ElementsAre(HasSubstr("vCPU 1: at RIP 0x1002 after 8 instructions of its own, in the "
                                    "recording at 0x1000 after 7"),
                          HasSubstr("devices")));
  EXPECT_THAT(lines([](Check& now) { now.vcpus[1].hash = 5; }),
              ElementsAre(HasSubstr("vCPU 1: at RIP 0x1000")));
  EXPECT_THAT(lines([](Check& now) { now.schedule = 2; }), ElementsAre(HasSubstr("time: ")));
  EXPECT_THAT(lines([](Check& now) { now.memory[2].change(0x234, 5, 77); }),
              ElementsAre("memory: the page at 0x234000"));
  EXPECT_THAT(lines([](Check& now) {
                now.memory[2].change(0x234, 5, 77);
                now.memory[2].change(0x288, 1, 3);
                now.memory[kMemoryParts - 1].change(0xfffff, 1, 2);
              }),
              ElementsAre("memory: several pages from 0x200000 to 0x2fffff",
                          "memory: the page at 0xfffff000"));
}

TEST_F(JournalTest, AKilledRunHasNoEnd) {
  ASSERT_TRUE(JournalWriter::create(path_, identity_, {}));
  auto reader = JournalReader::open(path_, identity_);
  ASSERT_TRUE(reader);
  EXPECT_FALSE(reader->end());
}

TEST_F(JournalTest, RefusesWhatIsNotItsRun) {
  EXPECT_FALSE(JournalReader::open(path_ + ".absent", identity_));
  write("hello\n");
  EXPECT_FALSE(JournalReader::open(path_, identity_));
  std::remove(path_.c_str());
  ASSERT_TRUE(JournalWriter::create(path_, {1, 1 << 20, 0xabc}, {}));
  EXPECT_FALSE(JournalReader::open(path_, identity_));
  ASSERT_TRUE(JournalWriter::create(path_, identity_, {}));
  EXPECT_TRUE(JournalReader::open(path_, identity_));
}

TEST_F(JournalTest, RefusesAnotherVersionAndOneWithoutSeedOrDate) {
  std::string first;
  {
    ASSERT_TRUE(JournalWriter::create(path_, identity_, {}));
    std::ifstream file(path_);
    std::getline(file, first);
  }
  const auto refusal = [&](const std::string& text) {
    write(text);
    const auto reader = JournalReader::open(path_, identity_);
    return reader ? "none" : reader.error().text();
  };
  EXPECT_EQ(refusal(first + "\nseed 00000000000000ff\ndate 1704067200\ncpu v2\n"), "none");
  EXPECT_EQ(refusal(first + "\nseed 00000000000000ff\ndate 253402300799\ncpu v3\n"), "none");
  EXPECT_THAT(refusal(first + "\nseed 1\ndate 0\n"), HasSubstr("has no processor"));
  for (const char* line : {"5 7 serial0 00", "cpu", "cpu v1", "cpu v2 v3", "date 0"}) {
    EXPECT_THAT(refusal(first + "\nseed 1\ndate 0\n" + line + "\n"), HasSubstr("damaged at line 4"))
        << line;
  }
  EXPECT_THAT(refusal(first + "\n"), HasSubstr("has no seed"));
  EXPECT_THAT(refusal(first + "\n5 7 serial0 00\n"), HasSubstr("damaged at line 2"));
  EXPECT_THAT(refusal(first + "\nseed x\n"), HasSubstr("damaged at line 2"));
  EXPECT_THAT(refusal(first + "\nseed 1 2\n"), HasSubstr("damaged at line 2"));
  EXPECT_THAT(refusal(first + "\nseed 1\n"), HasSubstr("has no date"));
  for (const char* line :
       {"5 7 serial0 00", "date", "date x", "date -1", "date 253402300800", "date 1 2", "seed 1"}) {
    EXPECT_THAT(refusal(first + "\nseed 1\n" + line + "\n"), HasSubstr("damaged at line 3"))
        << line;
  }
  EXPECT_THAT(refusal("ringside-journal 7 vcpus 2 memory 1048576 content 00000abc\n"),
              HasSubstr("another version"));
}

TEST_F(JournalTest, NamesTheDamagedLine) {
  for (const char* bad :
       {"5 7 serial0 0g", "5 7 nothing 00", "x", "5 7 serial0", "5 7 serial0 00 1",
        "9 9 serial0 00\n5 7 serial0 00", "5 7 end-by-guest x",
        "5 7 end-by-guest 1\n5 7 serial0 00", "9 9 serial0 00\n5 7 end-by-guest 1"}) {
    ASSERT_TRUE(JournalWriter::create(path_, identity_, {}));
    std::ofstream(path_, std::ios::app) << bad << '\n';
    EXPECT_FALSE(JournalReader::open(path_, identity_)) << bad;
  }
}

TEST_F(JournalTest, SaysInWhatTheOtherRunIsAnother) {
  ASSERT_TRUE(JournalWriter::create(path_, identity_, {}));
  const auto refusal = [&](const RunIdentity& here) {
    return JournalReader::open(path_, here).error().text();
  };
  const std::string head = "the journal " + path_ + " belongs to another run: ";
  EXPECT_EQ(refusal({1, 1 << 20, 0xabc}), head + "it has 2 vCPUs there, 1 here (-c)");
  EXPECT_EQ(refusal({1, 5 << 18, 0xabc}), head +
                                              "it has 2 vCPUs there, 1 here (-c); it has 1 MiB of "
                                              "memory there, 1280 KiB here (-m)");
  EXPECT_EQ(
      refusal({2, 1 << 20, 0xabd}),
      head +
          "it was given something else: the firmware, the kernel, initrd and command line, "
          "what is in the files of -d and --firmware-vars, --virtio, the tags of --share, and "
          "whether there are --net, --vsock, --rng, --console and --vga must be the same");
  for (const char* bad :
       {"vcpus 2", "vcpus 2 memory 1048576 content x", "vcpu 2 memory 1048576 content abc",
        "vcpus 2 memory 1048576 content abc d"}) {
    write(std::string("ringside-journal 17 ") + bad + "\nseed 1\ndate 1\n");
    EXPECT_EQ(refusal(identity_), "the journal " + path_ + " is damaged at line 1") << bad;
  }
}

// Its first lines, and then the disk fails: a replay of those alone would be another run.
TEST_F(JournalTest, WhatCannotBeReadIsNotItsEnd) {
  class Failing : public std::stringbuf {
   public:
    using std::stringbuf::stringbuf;
    int_type underflow() override {
      const int_type next = std::stringbuf::underflow();
      if (next == traits_type::eof()) throw std::ios_base::failure("Input/output error");
      return next;
    }
  };
  ASSERT_TRUE(JournalWriter::create(path_, identity_, {1, 0}));
  std::stringstream whole;
  whole << std::ifstream(path_).rdbuf();
  Failing buffer(whole.str());
  std::istream text(&buffer);
  const auto reader = JournalReader::read(text, "journal", identity_);
  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.error().text(), HasSubstr("the journal journal cannot be read"));
}

// It has no line and no end, so that reading all of the first line would never be over.
TEST_F(JournalTest, ADeviceWithoutEndIsNoJournal) {
  const auto reader = JournalReader::open("/dev/zero", identity_);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().text(), "'/dev/zero' is not a journal of ringside");
}

// Such as a sparse file: no more of it is read than of the longest line that there is.
TEST_F(JournalTest, ALineWithoutEndIsNotReadOn) {
  class Endless : public std::stringbuf {
   public:
    using std::stringbuf::stringbuf;
    std::size_t read = 0;
    int_type underflow() override {
      const int_type next = std::stringbuf::underflow();
      if (next != traits_type::eof() || read >= (64u << 20)) return next;
      setg(zeros_.data(), zeros_.data(), zeros_.data() + zeros_.size());
      read += zeros_.size();
      return 0;
    }

   private:
    std::array<char, 4096> zeros_{};
  };
  ASSERT_TRUE(JournalWriter::create(path_, identity_, {1, 0}));
  std::stringstream whole;
  whole << std::ifstream(path_).rdbuf();
  Endless buffer(whole.str());
  std::istream text(&buffer);
  const auto reader = JournalReader::read(text, "journal", identity_);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().text(),
            "the journal journal is damaged at line 5, which is longer than any may be");
  EXPECT_LT(buffer.read, 4u << 20);
}

TEST_F(JournalTest, TheLongestLineIsRead) {
  const machine::ShareInput answer{
      machine::kMaxVirtioDevices - 1,
      std::vector<std::byte>(machine::VirtioShare::kMaxMessage, std::byte{0x5a})};
  {
    auto writer = JournalWriter::create(path_, identity_, {});
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append({{{{~0ull}, ~0ull}, {~0ull}}, answer}));
  }
  const auto reader = JournalReader::open(path_, identity_);
  ASSERT_TRUE(reader) << reader.error().text();
  ASSERT_EQ(reader->entries().size(), 1u);
  EXPECT_EQ(to_words(reader->entries()[0].input), to_words(answer));
}

TEST_F(JournalTest, OnlyAJournalIsReplaced) {
  write(
      "\x7f"
      "ELF, a kernel");
  const auto refused = JournalWriter::create(path_, identity_, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text(),
            "'" + path_ + "' is there already, and is not a journal of ringside");
  std::string kept;
  std::getline(std::ifstream(path_), kept);
  EXPECT_EQ(kept,
            "\x7f"
            "ELF, a kernel");
  write("");
  EXPECT_TRUE(JournalWriter::create(path_, identity_, {}));
  EXPECT_TRUE(JournalWriter::create(path_, identity_, {}));
  EXPECT_TRUE(JournalWriter::create("/dev/null", identity_, {}));
}

}  // namespace
}  // namespace ringside::time
