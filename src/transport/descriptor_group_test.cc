#include "transport/descriptor_group.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <memory>
#include <string>

#include "transport/poller.h"

namespace ringside::transport {
namespace {

struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ours = Fd(ends[0]);
    theirs = Fd(ends[1]);
  }
  void say() { EXPECT_EQ(::write(theirs.get(), "x", 1), 1); }
  void hear() {
    char c;
    EXPECT_EQ(::read(ours.get(), &c, 1), 1);
  }
  Fd ours, theirs;
};

class DescriptorGroupTest : public ::testing::Test {
 protected:
  void look() { ASSERT_TRUE(poller_.wait(std::chrono::nanoseconds(0))); }
  int descriptor() const { return poller_.watched().back().first; }
  bool has_something() const {
    pollfd entry{descriptor(), POLLIN, 0};
    return ::poll(&entry, 1, 0) > 0;
  }
  // Lines of descriptors and their events (man 5 proc, "fdinfo").
  std::string watched_by_the_system() const {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(descriptor()));
    std::string result;
    for (std::string line; std::getline(info, line);) {
      if (line.starts_with("tfd:")) result += line + "\n";
    }
    return result;
  }
  Poller poller_ = *Poller::create();
  std::unique_ptr<DescriptorGroup> group_ = *DescriptorGroup::create(poller_);
};

// epoll_ctl(2) takes no file of a file system (EPERM), as it takes nothing where memory is short.
TEST_F(DescriptorGroupTest, WhatTheSystemDoesNotTakeIsWatchedByTheLoop) {
  const std::size_t before = poller_.watched().size();
  const Fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(file);
  int heard = 0;
  group_->add(file.get(), Interest::Read, [&](EventLoop::Ready ready) {
    EXPECT_TRUE(ready.readable);
    ++heard;
  });
  EXPECT_EQ(poller_.watched().size(), before + 1);
  look();
  EXPECT_EQ(heard, 1);
  group_->set_interest(file.get(), Interest::None);
  look();
  EXPECT_EQ(heard, 1);
  group_->set_interest(file.get(), Interest::Read);
  look();
  EXPECT_EQ(heard, 2);
  group_->remove(file.get());
  look();
  EXPECT_EQ(heard, 2);
  EXPECT_EQ(poller_.watched().size(), before);
  // Removed by its own callback, and left behind by the group.
  group_->add(file.get(), Interest::Read, [&](auto) {
    ++heard;
    group_->remove(file.get());
  });
  look();
  EXPECT_EQ(heard, 3);
  group_->add(file.get(), Interest::Read, [](auto) {});
  group_.reset();
  EXPECT_EQ(poller_.watched().size(), before - 1);
}

TEST_F(DescriptorGroupTest, ManyAreOneToTheLoop) {
  const std::size_t before = poller_.watched().size();
  std::array<Pair, 5> pairs;
  std::array<int, 5> heard{};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    group_->add(pairs[i].ours.get(), Interest::Read, [&, i](EventLoop::Ready ready) {
      EXPECT_TRUE(ready.readable);
      pairs[i].hear();
      ++heard[i];
    });
  }
  EXPECT_EQ(poller_.watched().size(), before);
  look();
  pairs[1].say();
  pairs[4].say();
  look();
  EXPECT_EQ(heard, (std::array<int, 5>{0, 1, 0, 0, 1}));
}

TEST_F(DescriptorGroupTest, WhatIsOfNoInterestIsSilentEvenAtItsEnd) {
  Pair pair;
  int called = 0;
  group_->add(pair.ours.get(), Interest::None, [&](auto) { ++called; });
  pair.theirs.reset();
  look();
  EXPECT_EQ(called, 0);
  group_->set_interest(pair.ours.get(), Interest::Read);
  look();
  EXPECT_EQ(called, 1);
  group_->set_interest(pair.ours.get(), Interest::None);
  look();
  EXPECT_EQ(called, 1);
}

// The system is told of less interest only once something comes that is of none, and then the loop
// does not spin for it.
TEST_F(DescriptorGroupTest, LessInterestCostsNothingUntilSomethingComes) {
  Pair pair;
  int called = 0;
  const auto hear = [&](auto) {
    pair.hear();
    ++called;
  };
  group_->add(pair.ours.get(), Interest::Read, hear);
  const std::string watched = watched_by_the_system();
  group_->set_interest(pair.ours.get(), Interest::None);
  EXPECT_EQ(watched_by_the_system(), watched);
  group_->set_interest(pair.ours.get(), Interest::Read);
  pair.say();
  look();
  EXPECT_EQ(called, 1);
  group_->set_interest(pair.ours.get(), Interest::None);
  pair.say();
  look();
  EXPECT_EQ(called, 1);
  EXPECT_EQ(watched_by_the_system(), "");
  EXPECT_FALSE(has_something());
  group_->set_interest(pair.ours.get(), Interest::Read);
  look();
  EXPECT_EQ(called, 2);
}

TEST_F(DescriptorGroupTest, MoreInterestIsToldAtOnce) {
  Pair pair;
  int writable = 0;
  group_->add(pair.ours.get(), Interest::Read,
              [&](EventLoop::Ready ready) { writable += ready.writable ? 1 : 0; });
  look();
  EXPECT_EQ(writable, 0);
  group_->set_interest(pair.ours.get(), Interest::ReadWrite);
  look();
  EXPECT_EQ(writable, 1);
  group_->set_interest(pair.ours.get(), Interest::Read);
  look();
  EXPECT_EQ(writable, 1);
  EXPECT_FALSE(has_something());
}

// Whatever a callback does to others of its round.
TEST_F(DescriptorGroupTest, WhoIsRemovedHearsNothingMore) {
  Pair first, second;
  int called = 0;
  const auto callback = [&](auto) {
    ++called;
    group_->remove(first.ours.get());
    group_->remove(second.ours.get());
  };
  group_->add(first.ours.get(), Interest::Read, callback);
  group_->add(second.ours.get(), Interest::Read, callback);
  first.say();
  second.say();
  look();
  look();
  EXPECT_EQ(called, 1);
}

}  // namespace
}  // namespace ringside::transport
