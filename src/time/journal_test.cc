#include "time/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

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
  auto writer = JournalWriter::create(path_, identity_, {0xabcdef0123456789, 1764144000});
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->append({{{{5}}, {7}}, SerialInput{0, {std::byte{'a'}, std::byte{0}}}}));
  ASSERT_TRUE(writer->append({{{{5}}, {8}}, GuestGdbConnection{true}}));
  ASSERT_TRUE(writer->append({{{{9}}, {9}}, GuestGdbInput{{std::byte{0xff}}}}));
  ASSERT_TRUE(writer->finish({{{{11}, 3}, {12}}, JournalEnd::By::Outside, 0xfedcba9876543210}));
  auto reader = JournalReader::open(path_, identity_);
  ASSERT_TRUE(reader) << reader.error().text();
  EXPECT_EQ(reader->start().seed, 0xabcdef0123456789u);
  EXPECT_EQ(reader->start().date, 1764144000);
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
  EXPECT_EQ(refusal(first + "\nseed 00000000000000ff\ndate 1704067200\n"), "none");
  EXPECT_EQ(refusal(first + "\nseed 00000000000000ff\ndate 253402300799\n"), "none");
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
  EXPECT_THAT(refusal("ringside-journal 4 vcpus 2 memory 1048576 content 00000abc\n"),
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

}  // namespace
}  // namespace ringside::time
