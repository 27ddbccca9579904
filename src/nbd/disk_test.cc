// A disk of an NBD server's, with libnbd and a server that can be told to fail.
#include "nbd/disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/testing/temporary_folder.h"
#include "nbd/testing/server.h"

namespace ringside::nbd {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::Fault;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Server;
using Backend = machine::BlockBackend;
using Outcome = Backend::Outcome;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kSector = 512;

class NbdDisk : public ::testing::Test {
 protected:
  NbdDisk() {
    log::set_sink([this](log::Level, std::string_view line) { lines_.emplace_back(line); },
                  log::Level::Warning);
  }
  ~NbdDisk() override { log::set_sink({}, log::Level::Off); }

  std::string socket() const { return scratch_ / "a socket"; }
  std::string address() const { return "nbd+unix:" + socket(); }
  Server& serve(const testing::Export& what) {
    server_.emplace(socket(), what);
    for (std::size_t i = 0; i < what.size; ++i)
      server_->content()[i] = static_cast<std::byte>(i * 7 + i / kSector);
    return *server_;
  }
  std::shared_ptr<Backend> connect(Access access = Access::ReadWrite) const {
    auto disk = nbd::connect(address(), access, {});
    EXPECT_TRUE(disk) << disk.error().text();
    return disk ? *disk : nullptr;
  }
  // Without the disk's name.
  std::string refusal(Access access = Access::ReadWrite) const {
    const auto disk = nbd::connect(address(), access, {});
    if (disk) return "";
    const std::string begins = "disk " + address() + ": ";
    EXPECT_EQ(disk.error().text().substr(0, begins.size()), begins);
    return disk.error().text().substr(begins.size());
  }
  static Bytes bytes(std::size_t size, int value) { return {size, static_cast<std::byte>(value)}; }
  Bytes on_server(std::size_t offset, std::size_t size) {
    return {server_->content() + offset, server_->content() + offset + size};
  }

  const ringside::testing::TemporaryFolder scratch_;
  std::vector<std::string> lines_;
  std::optional<Server> server_;
};

TEST_F(NbdDisk, ReadsWritesAndFlushes) {
  Server& server = serve({64 * kSector});
  const auto disk = connect();
  EXPECT_EQ(disk->size(), 64 * kSector);
  EXPECT_FALSE(disk->read_only());
  EXPECT_TRUE(disk->is_remote());
  Bytes read(3 * kSector);
  ASSERT_TRUE(read_all(*disk, 5 * kSector, read));
  EXPECT_EQ(read, on_server(5 * kSector, 3 * kSector));
  ASSERT_TRUE(write_all(*disk, 6 * kSector, bytes(kSector, 0xa5)));
  EXPECT_EQ(on_server(6 * kSector, kSector), bytes(kSector, 0xa5));
  ASSERT_TRUE(flush_all(*disk));
  EXPECT_EQ(server.flushes(), 1u);
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(NbdDisk, AServerWithoutFlushesHasNothingToFlush) {
  testing::Export what{kSector};
  what.has_flush = false;
  Server& server = serve(what);
  ASSERT_TRUE(flush_all(*connect()));
  EXPECT_EQ(server.flushes(), 0u);
}

TEST_F(NbdDisk, AsksForNoMoreThanTheServerTakes) {
  testing::Export what{1 << 20};
  what.most = 64 << 10;
  Server& server = serve(what);
  const auto disk = connect();
  Bytes read(1 << 20);
  ASSERT_TRUE(read_all(*disk, 0, read));
  EXPECT_EQ(read, on_server(0, read.size()));
  EXPECT_EQ(server.largest(), 64u << 10);
}

TEST_F(NbdDisk, IsReadOnlyWhereThatIsWantedOrOffered) {
  testing::Export what{kSector};
  serve(what);
  EXPECT_TRUE(connect(Access::ReadOnly)->read_only());
  what.is_read_only = true;
  serve(what);
  EXPECT_TRUE(connect(Access::ReadOnly)->read_only());
  EXPECT_EQ(refusal(), "the server gives it for reading alone; name it with ,ro or ,snapshot");
}

TEST_F(NbdDisk, WhatIsNoDiskIsRefused) {
  EXPECT_THAT(refusal(), HasSubstr("No such file or directory"));
  serve({1000});
  EXPECT_EQ(refusal(), "1000 bytes are not whole 512-byte sectors");
  testing::Export endless{kSector};
  endless.claimed = std::uint64_t{1} << 63;
  serve(endless);
  EXPECT_EQ(refusal(), "the server claims a size that no disk has");
  testing::Export large_blocks{4096};
  large_blocks.least = 4096;
  serve(large_blocks);
  EXPECT_THAT(refusal(), HasSubstr("no less than 4096 bytes at a time"));
  testing::Export other{kSector};
  other.is_no_server = true;
  serve(other);
  EXPECT_THAT(refusal(), HasSubstr("magic"));
}

TEST_F(NbdDisk, AnErrorIsOneOfTheRequest) {
  Server& server = serve({8 * kSector});
  const auto disk = connect();
  Bytes read(kSector);
  server.set(Fault::ReadFails);
  EXPECT_FALSE(read_all(*disk, kSector, read));
  server.set(Fault::WriteFails);
  EXPECT_TRUE(read_all(*disk, kSector, read));
  EXPECT_FALSE(write_all(*disk, 0, bytes(kSector, 1)));
  server.set(Fault::None);
  EXPECT_TRUE(write_all(*disk, 0, bytes(kSector, 1)));
  EXPECT_FALSE(disk->is_gone());
  const std::string name = "disk " + address() + ": ";
  EXPECT_THAT(lines_, ElementsAre(HasSubstr(name + "a read of 512 bytes at 512 failed: "),
                                  HasSubstr(name + "a write of 512 bytes at 0 failed: ")));
  for (unsigned i = 0; i < 100; ++i) {
    server.set(Fault::ReadFails);
    read_all(*disk, 0, read);
  }
  EXPECT_EQ(lines_.size(), 10u + 3) << "and the 16th, the 32nd and the 64th";
}

// Whatever it does that is no answer: one line, and errors from then on.
TEST_F(NbdDisk, AServerThatVanishesOrLiesIsGone) {
  // By libnbd's words for what has ended the connection, not for the request that fails by it.
  const std::pair<Fault, const char*> faults[] = {{Fault::Vanishes, "not connected"},
                                                  {Fault::WrongCookie, "cookie"},
                                                  {Fault::WrongMagic, "magic"},
                                                  {Fault::CutData, "disconnected unexpectedly"}};
  for (const auto& [fault, why] : faults) {
    SCOPED_TRACE(static_cast<int>(fault));
    Server& server = serve({8 * kSector});
    const auto disk = connect();
    lines_.clear();
    Bytes read(kSector);
    ASSERT_TRUE(read_all(*disk, 0, read));
    server.set(fault);
    EXPECT_FALSE(read_all(*disk, 0, read));
    EXPECT_TRUE(disk->is_gone());
    EXPECT_FALSE(write_all(*disk, 0, read));
    EXPECT_FALSE(flush_all(*disk));
    EXPECT_THAT(lines_,
                ElementsAre(AllOf(HasSubstr("the server is gone, and the guest gets errors: "),
                                  HasSubstr(why))));
  }
}

TEST_F(NbdDisk, AServerThatIsKilledIsGone) {
  Server& server = serve({8 * kSector});
  const auto disk = connect();
  server.end();
  EXPECT_FALSE(flush_all(*disk));
  EXPECT_TRUE(disk->is_gone());
}

// The caller has its turn meanwhile. What nobody asks for any more is over before the next begins.
TEST_F(NbdDisk, AServerThatIsSlowIsNotWaitedFor) {
  Server& server = serve({8 * kSector});
  const auto disk = connect();
  Bytes read(kSector);
  server.set(Fault::AnswersLater);
  EXPECT_EQ(disk->read(0, read), Outcome::UnderWay);
  EXPECT_EQ(disk->read(0, read), Outcome::UnderWay);
  EXPECT_EQ(disk->write(kSector, bytes(kSector, 3)), Outcome::UnderWay);
  EXPECT_EQ(read, bytes(kSector, 0));
  server.set(Fault::None);
  EXPECT_TRUE(write_all(*disk, kSector, bytes(kSector, 3)));
  EXPECT_EQ(on_server(kSector, kSector), bytes(kSector, 3));
  EXPECT_EQ(server.requests(), 2u);
  // Another content is another write.
  server.set(Fault::AnswersLater);
  EXPECT_EQ(disk->write(kSector, bytes(kSector, 4)), Outcome::UnderWay);
  EXPECT_EQ(disk->write(kSector, bytes(kSector, 5)), Outcome::UnderWay);
  server.set(Fault::None);
  EXPECT_TRUE(write_all(*disk, kSector, bytes(kSector, 5)));
  EXPECT_EQ(on_server(kSector, kSector), bytes(kSector, 5));
}

// Also from a server that does not answer: the process that talks with it is not left behind.
TEST_F(NbdDisk, ItsEndEndsTheConnection) {
  Server& server = serve({8 * kSector});
  auto disk = connect();
  server.set(Fault::AnswersLater);
  Bytes read(kSector);
  EXPECT_EQ(disk->read(0, read), Outcome::UnderWay);
  disk.reset();
  while (server.clients_gone() == 0)
    ::sched_yield();
}

}  // namespace
}  // namespace ringside::nbd
