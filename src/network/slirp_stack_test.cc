#include "network/slirp_stack.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <vector>

#include "network/testing/host.h"

namespace ringside::network {
namespace {

// As long as it lives, this process can open nothing.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const Fd next(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(next.get());
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

constexpr int kLong = 10'000;  // milliseconds

class Accepting : public ::testing::Test {
 protected:
  void SetUp() override {
    const Result<SlirpLibrary> library = load_slirp();
    ASSERT_TRUE(library);
    auto stack = SlirpStack::create(*library, [this](std::span<const std::byte>) { ++frames_; });
    ASSERT_TRUE(stack);
    stack_ = *std::move(stack);
    ASSERT_TRUE(stack_->add({Protocol::Tcp, "127.0.0.1", port_, 80}));
  }
  // One turn of the network's loop, with another time to wait.
  struct Turn {
    int timeout = 0;
    bool listens = false, somebody_came = false;
  };
  Turn turn(int patience = 0) {
    std::vector<pollfd> polled;
    Turn result;
    result.timeout = stack_->prepare(polled, Reading::Now);
    result.listens =
        std::any_of(polled.begin(), polled.end(), [](const pollfd& each) { return each.fd >= 0; });
    result.somebody_came = ::poll(polled.data(), polled.size(), patience) > 0;
    stack_->proceed(polled);
    return result;
  }

  const std::uint16_t port_ = testing::free_port(SOCK_STREAM);
  unsigned frames_ = 0;
  std::unique_ptr<SlirpStack> stack_;
};

TEST_F(Accepting, WaitsWhereThereIsNoDescriptor) {
  const Fd client = testing::connect_to(SOCK_STREAM, port_);
  ASSERT_TRUE(client);
  {
    const NoDescriptors none;
    EXPECT_TRUE(turn(kLong).somebody_came) << "it is tried once";
    for (unsigned i = 0; i < 3; ++i) {
      const Turn later = turn();
      EXPECT_FALSE(later.listens) << "poll would return at once, again and again";
      EXPECT_GT(later.timeout, 0);
      EXPECT_LE(later.timeout, 1000);
    }
    EXPECT_EQ(frames_, 0u);
  }
  EXPECT_TRUE(turn(kLong).somebody_came);
  EXPECT_FALSE(turn().somebody_came) << "it is accepted";
}

TEST_F(Accepting, TakesAllWhoCame) {
  const Fd clients[] = {testing::connect_to(SOCK_STREAM, port_),
                        testing::connect_to(SOCK_STREAM, port_)};
  ASSERT_TRUE(clients[0] && clients[1]);
  EXPECT_TRUE(turn(kLong).somebody_came);
  EXPECT_TRUE(turn(kLong).somebody_came);
  EXPECT_FALSE(turn().somebody_came);
}

}  // namespace
}  // namespace ringside::network
