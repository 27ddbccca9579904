// Endpoints in loops that are not theirs: poll(2) over what several of them wait for, and a loop of
// the embedder's own. The guests are halted, so that a turn is taken because of a descriptor or
// not at all.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <map>

#include "library/serving.h"

namespace ringside::testing {
namespace {

using std::chrono::nanoseconds;

std::string socket_path(const char* name) {
  return ::testing::TempDir() + "ringside-" + name + "-" + std::to_string(::getpid());
}

// A machine, its endpoint, and where that listens.
struct Site {
  Site(const char* name, std::uint8_t mark, EventLoop* loop = nullptr)
      : vm(1, mark), path(socket_path(name)) {
    vm.set_halted({0}, true);
    auto opened = DebugEndpoint::open(vm, "unix:" + path, {}, loop);
    if (!opened) throw std::runtime_error(opened.error().text());
    endpoint = std::move(*opened);
  }
  PlayedVm vm;
  std::string path;
  std::unique_ptr<DebugEndpoint> endpoint;
};

// A step of 1 to each, a long answer of one while the other is asked, and their own memory.
void debug_both(const std::string& first_path, const std::string& second_path) {
  DebugClient first(first_path), second(second_path);
  greet(first);
  greet(second);
  for (int round = 0; round < 50; ++round) {
    first.send("m0,7000");
    EXPECT_EQ(second.read(0, 1), "\x02");
    EXPECT_EQ(first.receive().substr(0, 2), "01");
    first.write(0x2000, std::string(1, static_cast<char>(round)));
    second.write(0x2000, std::string(1, static_cast<char>(round + 100)));
    EXPECT_EQ(first.read(0x2000, 1), std::string(1, static_cast<char>(round)));
  }
  first.resume();
  EXPECT_EQ(second.read(0, 1), "\x02");
  EXPECT_EQ(first.stop().signal, 2u);
  second.resume();
  EXPECT_EQ(second.stop().signal, 2u);
  detach(first);
  detach(second);
}

TEST(Loops, SeveralMachinesWaitInOnePoll) {
  Site sites[] = {{"poll-1", 1}, {"poll-2", 2}};
  for (Site& site : sites)
    site.endpoint->start();
  std::atomic<bool> over{false};
  unsigned turns = 0;
  std::thread loop([&] {
    while (!over) {
      std::vector<pollfd> waiting;
      std::optional<nanoseconds> timeout;
      for (Site& site : sites) {
        for (const auto& [fd, interest] : site.endpoint->descriptors()) {
          const auto wants = static_cast<unsigned>(interest);
          waiting.push_back({fd,
                             static_cast<short>(((wants & 1) != 0 ? POLLIN : 0) |
                                                ((wants & 2) != 0 ? POLLOUT : 0)),
                             0});
        }
        const auto time = site.endpoint->time_to_wait();
        if (time && (!timeout || *time < *timeout)) timeout = time;
      }
      ::poll(waiting.data(), waiting.size(), timeout ? static_cast<int>(timeout->count()) : -1);
      for (Site& site : sites)
        EXPECT_TRUE(site.endpoint->serve(nanoseconds(0)));
      ++turns;
    }
  });
  try {
    debug_both(sites[0].path, sites[1].path);
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
  over = true;
  sites[1].endpoint->wake();  // of the descriptors, too
  loop.join();
  RecordProperty("turns", static_cast<int>(turns));
}

// What an embedder has already. Level-triggered epoll; the callbacks may remove anything.
class EpollLoop final : public EventLoop {
 public:
  void add(int fd, Interest interest, Callback callback) override {
    ASSERT_TRUE(callbacks_.emplace(fd, std::move(callback)).second) << "added twice";
    change(EPOLL_CTL_ADD, fd, interest);
  }
  void set_interest(int fd, Interest interest) override { change(EPOLL_CTL_MOD, fd, interest); }
  void remove(int fd) override {
    ASSERT_EQ(callbacks_.erase(fd), 1u) << "not there";
    change(EPOLL_CTL_DEL, fd, Interest::None);
  }
  void wait(int milliseconds) {
    epoll_event events[16];
    const int count = ::epoll_wait(epoll_.get(), events, 16, milliseconds);
    for (int i = 0; i < count; ++i) {
      const auto found = callbacks_.find(events[i].data.fd);
      if (found == callbacks_.end()) continue;  // removed in this round
      const Callback callback = found->second;
      const std::uint32_t what = events[i].events;
      callback({(what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0, (what & EPOLLOUT) != 0});
    }
  }
  std::size_t size() const { return callbacks_.size(); }

 private:
  void change(int operation, int fd, Interest interest) {
    const auto wants = static_cast<unsigned>(interest);
    epoll_event event{};
    event.events = ((wants & 1) != 0 ? EPOLLIN : 0u) | ((wants & 2) != 0 ? EPOLLOUT : 0u);
    event.data.fd = fd;
    EXPECT_EQ(::epoll_ctl(epoll_.get(), operation, fd, &event), 0);
  }
  Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::map<int, Callback> callbacks_;
};

TEST(Loops, TheEmbeddersOwnLoopServes) {
  EpollLoop loop;
  {
    Site sites[] = {{"epoll-1", 1, &loop}, {"epoll-2", 2, &loop}};
    for (Site& site : sites)
      site.endpoint->start();
    auto [wakeup, waker] = connected_sockets();
    std::atomic<bool> over{false};
    loop.add(wakeup.get(), Interest::Read, [&](EventLoop::Ready) { over = true; });
    std::thread debugger([&, fd = waker.get()] {
      try {
        debug_both(sites[0].path, sites[1].path);
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
      }
      EXPECT_EQ(::write(fd, "", 1), 1);
    });
    while (!over) {
      bool sleeps = true;
      for (Site& site : sites)
        sleeps = sleeps && !site.endpoint->time_to_wait();
      loop.wait(sleeps ? -1 : 0);
      for (Site& site : sites)
        site.endpoint->settle();
    }
    debugger.join();
    loop.remove(wakeup.get());
    EXPECT_TRUE(sites[0].endpoint->descriptors().empty());
    const Result<> wrong = sites[0].endpoint->serve(nanoseconds(0));
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code(), ErrorCode::BadRequest);
  }
  EXPECT_EQ(loop.size(), 0u) << "an endpoint has left a descriptor behind";
}

// A guest on the caller's thread is not kept waiting; one that is halted keeps nobody awake.
TEST(Loops, TheTimeToWaitIsTheGuests) {
  Site site("time", 0);
  EXPECT_EQ(site.endpoint->time_to_wait(), std::nullopt) << "not started";
  site.endpoint->start();
  EXPECT_EQ(site.endpoint->time_to_wait(), std::nullopt) << "halted";
  site.vm.set_halted({0}, false);
  EXPECT_EQ(site.endpoint->time_to_wait(), nanoseconds(0));
  EXPECT_TRUE(site.endpoint->serve(std::nullopt));
  site.vm.end({});
  EXPECT_EQ(site.endpoint->time_to_wait(), std::nullopt) << "over";
}

}  // namespace
}  // namespace ringside::testing
