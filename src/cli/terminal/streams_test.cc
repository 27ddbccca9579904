// What stands between the guest's bytes and the host's descriptors.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "cli/start/files.h"
#include "cli/terminal/host_output.h"
#include "cli/terminal/terminal.h"

namespace ringside::cli {
namespace {

using ::testing::ElementsAre;
using transport::Poller;

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(KeyFilter, TakesOutTheCommands) {
  KeyFilter keys;
  EXPECT_EQ(text(keys.filter(bytes("plain"))), "plain");
  EXPECT_EQ(text(keys.filter(bytes("a\x01\x01z"))), "a\x01z");
  EXPECT_EQ(text(keys.filter(bytes("\x01qb"))), "b");
  EXPECT_THAT(keys.take_commands(), ElementsAre());
  EXPECT_EQ(text(keys.filter(bytes("x\x01"))), "x");
  EXPECT_THAT(keys.take_commands(), ElementsAre());
  EXPECT_EQ(text(keys.filter(bytes("x"))), "");
  EXPECT_THAT(keys.take_commands(), ElementsAre(KeyCommand::End));
  EXPECT_EQ(text(keys.filter(bytes("dh\x01hd\x01\x64x"))), "dhdx");
  EXPECT_THAT(keys.take_commands(), ElementsAre(KeyCommand::ShowKeys, KeyCommand::StopGuest));
  EXPECT_THAT(keys.take_commands(), ElementsAre()) << "each is told once";
}

// What is pasted into a terminal takes no memory without end, and the end is heard of.
TEST(KeyFilter, KeepsABoundedNumberOfCommandsAndTheEnd) {
  KeyFilter keys;
  std::string pasted;
  for (unsigned i = 0; i < 10'000; ++i)
    pasted += "\x01h";
  (void)keys.filter(bytes(pasted + "\x01x"));
  const std::vector<KeyCommand> commands = keys.take_commands();
  EXPECT_LT(commands.size(), 100u);
  EXPECT_EQ(commands.back(), KeyCommand::End);
}

TEST(HostOutput, WritesEverythingInOrder) {
  Poller poller = Poller::create().value();
  const std::string path = ::testing::TempDir() + "ringside-output-" + std::to_string(::getpid());
  std::string expected;
  {
    const auto output = HostOutput::file(poller, path).value();
    for (int i = 0; i < 30000; ++i) {
      const std::string line = std::to_string(i) + "\n";
      expected += line;
      output->append(bytes(line));
      if (i % 1000 == 0) output->flush();
    }
  }
  EXPECT_EQ(text(read_file(path, "output").value().bytes()), expected);
  ::unlink(path.c_str());
}

// A pipe that nobody reads.
class Unread {
 public:
  Unread() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read_.reset(ends[0]);
    before_.reset(::dup(STDOUT_FILENO));
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[1]);
  }
  ~Unread() { ::dup2(before_.get(), STDOUT_FILENO); }
  std::size_t read() {
    std::vector<char> buffer(1u << 20);
    return static_cast<std::size_t>(::read(read_.get(), buffer.data(), buffer.size()));
  }

 private:
  Fd read_, before_;
};

TEST(HostOutput, SaysWhenItIsFullAndWhenNoLonger) {
  Poller poller = Poller::create().value();
  Unread pipe;
  const auto output = HostOutput::standard_output(poller);
  const std::string piece(1000, 'x');
  std::size_t appended = 0;
  for (; !output->full(); appended += piece.size()) {
    ASSERT_LT(appended, 1u << 20);
    output->append(bytes(piece));
    output->flush();
  }
  EXPECT_FALSE(output->has_room_again());
  output->append(bytes(piece));  // kept all the same
  appended += piece.size();
  std::size_t read = pipe.read();
  EXPECT_FALSE(output->has_room_again());  // not before it goes out
  for (; read < appended; read += pipe.read())
    output->flush();
  EXPECT_EQ(read, appended);
  EXPECT_TRUE(output->has_room_again());
  EXPECT_FALSE(output->has_room_again());  // said once
  EXPECT_FALSE(output->full());
}

TEST(HostOutput, NamesTheFileThatItCannotWrite) {
  Poller poller = Poller::create().value();
  const auto output = HostOutput::file(poller, "/nowhere/at/all");
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().text(), "cannot write '/nowhere/at/all': No such file or directory");
}

TEST(ReadFile, NamesWhatAndWhy) {
  EXPECT_EQ(read_file("/nowhere", "kernel").error().text(),
            "cannot read kernel '/nowhere': No such file or directory");
  EXPECT_EQ(read_file("/", "kernel").error().text(), "cannot read kernel '/': Is a directory");
  EXPECT_EQ(read_file("/dev/null", "kernel").value().size(), 0u);
}

class ReadFileParts : public ::testing::Test {
 protected:
  ReadFileParts() : file_(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {}
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_.get()); }
  Fd file_;
};

// What it has not, takes no memory, and no time.
TEST_F(ReadFileParts, HolesAreNotRead) {
  constexpr off_t kSize = off_t{3} << 30;
  ASSERT_EQ(::ftruncate(file_.get(), kSize), 0);
  ASSERT_EQ(::pwrite(file_.get(), "begin", 5, 0), 5);
  ASSERT_EQ(::pwrite(file_.get(), "end", 3, kSize - 3), 3);
  unsigned parts = 0;
  Reading reading;
  reading.meanwhile = [&](const Stage& stage) -> Result<void> {
    EXPECT_EQ(stage.what, "reading kernel '" + path() + "'");
    EXPECT_EQ(stage.total, static_cast<std::uint64_t>(kSize));
    ++parts;
    return {};
  };
  const auto content = read_file(path(), "kernel", reading);
  ASSERT_TRUE(content);
  ASSERT_EQ(content->size(), static_cast<std::size_t>(kSize));
  EXPECT_EQ(text(content->bytes().first(5)), "begin");
  EXPECT_EQ(text(content->bytes().last(3)), "end");
  EXPECT_LT(parts, 10u);
}

TEST_F(ReadFileParts, IsGivenUpByWhatItBeginsWithBySizeAndFromOutside) {
  ASSERT_EQ(::pwrite(file_.get(), std::string(5u << 20, 'x').data(), 5u << 20, 0), 5 << 20);
  Reading reading;
  reading.begins_with = 100;
  std::size_t seen = 0;
  reading.check_beginning = [&](std::span<const std::byte> beginning) -> Result<void> {
    seen = beginning.size();
    return fail(ErrorCode::BadRequest, "no kernel");
  };
  EXPECT_EQ(read_file(path(), "kernel", reading).error().text(), "no kernel");
  EXPECT_EQ(seen, 100u);
  reading = {};
  reading.most = 1000;
  reading.beyond = "there is no room for it";
  EXPECT_EQ(read_file(path(), "initrd", reading).error().text(),
            "cannot read initrd '" + path() + "': there is no room for it");
  reading = {};
  reading.meanwhile = [](const Stage&) -> Result<void> { return fail(ErrorCode::System, "ended"); };
  EXPECT_EQ(read_file(path(), "initrd", reading).error().text(), "ended");
}

}  // namespace
}  // namespace ringside::cli
