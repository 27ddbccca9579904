#include "transport/poller.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

namespace ringside::transport {
namespace {

using namespace std::chrono_literals;

class Pollers : public testing::Test {
 protected:
  struct Pipe {
    Fd read_end;
    Fd write_end;
    void fill() const { EXPECT_EQ(::write(write_end.get(), "x", 1), 1); }
    int fd() const { return read_end.get(); }
  };

  static Pipe make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("no pipe");
    return {Fd(ends[0]), Fd(ends[1])};
  }

  void wait(std::optional<std::chrono::nanoseconds> timeout = 0ns) {
    EXPECT_TRUE(poller_.wait(timeout));
  }

  Poller poller_ = std::move(*Poller::create());
};

TEST_F(Pollers, CallBackForWhatIsReady) {
  const Pipe first = make_pipe();
  const Pipe second = make_pipe();
  int calls = 0;
  poller_.add(first.fd(), Interest::Read, [&](Poller::Ready ready) {
    EXPECT_TRUE(ready.readable);
    EXPECT_FALSE(ready.writable);
    ++calls;
  });
  poller_.add(second.fd(), Interest::Read, [](Poller::Ready) { FAIL(); });
  wait();
  EXPECT_EQ(calls, 0);
  first.fill();
  wait(std::nullopt);
  EXPECT_EQ(calls, 1);
  poller_.set_interest(first.fd(), Interest::None);
  wait();
  EXPECT_EQ(calls, 1);
}

TEST_F(Pollers, TellWritingFromReading) {
  Pipe pipe = make_pipe();
  int calls = 0;
  poller_.add(pipe.write_end.get(), Interest::Write, [&](Poller::Ready ready) {
    EXPECT_TRUE(ready.writable);
    EXPECT_FALSE(ready.readable);
    ++calls;
  });
  wait();
  EXPECT_EQ(calls, 1);
}

TEST_F(Pollers, TellAReaderThatTheOtherEndIsGone) {
  Pipe pipe = make_pipe();
  int calls = 0;
  poller_.add(pipe.fd(), Interest::Read, [&](Poller::Ready ready) {
    EXPECT_TRUE(ready.readable);
    ++calls;
  });
  pipe.write_end.reset();
  wait();
  EXPECT_EQ(calls, 1);
  // A hang-up does not wake who asks for nothing.
  poller_.set_interest(pipe.fd(), Interest::None);
  const auto before = std::chrono::steady_clock::now();
  wait(20ms);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 20ms);
  EXPECT_EQ(calls, 1);
}

TEST_F(Pollers, LetACallbackRemoveEverything) {
  const Pipe pipes[] = {make_pipe(), make_pipe(), make_pipe()};
  int calls = 0;
  for (const Pipe& pipe : pipes) {
    pipe.fill();
    const std::string keep_alive(100, 'x');
    poller_.add(pipe.fd(), Interest::Read, [&, keep_alive](Poller::Ready) {
      for (const Pipe& other : pipes)
        poller_.remove(other.fd());
      EXPECT_EQ(keep_alive, std::string(100, 'x'));  // our own captures live until we return
      ++calls;
    });
  }
  wait();
  EXPECT_EQ(calls, 1);
  wait();
  EXPECT_EQ(calls, 1);
}

TEST_F(Pollers, DoNotMistakeANewDescriptorForTheOldOne) {
  const Pipe first = make_pipe();
  Pipe second = make_pipe();
  first.fill();
  second.fill();
  int new_calls = 0;
  const int reused = second.fd();
  Pipe fresh;
  poller_.add(first.fd(), Interest::Read, [&](Poller::Ready) {
    poller_.remove(first.fd());
    poller_.remove(reused);
    second.read_end.reset();
    fresh = make_pipe();
    ASSERT_EQ(fresh.fd(), reused);
    poller_.add(reused, Interest::Read, [&](Poller::Ready) { ++new_calls; });
  });
  poller_.add(reused, Interest::Read, [](Poller::Ready) { FAIL(); });
  wait();
  EXPECT_EQ(new_calls, 0);
  wait();
  EXPECT_EQ(new_calls, 0);
  fresh.fill();
  wait();
  EXPECT_EQ(new_calls, 1);
}

TEST_F(Pollers, AreWokenFromAnotherThread) {
  std::thread other([this] { poller_.wake(); });
  wait(std::nullopt);
  other.join();
}

TEST_F(Pollers, RememberAWakeThatCameBefore) {
  poller_.wake();
  poller_.wake();
  wait(std::nullopt);
  const auto before = std::chrono::steady_clock::now();
  wait(5ms);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 5ms);
}

TEST_F(Pollers, IgnoreWhatTheyDoNotKnow) {
  poller_.remove(7);
  poller_.set_interest(7, Interest::Read);
  wait();
}

}  // namespace
}  // namespace ringside::transport
