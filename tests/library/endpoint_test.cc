// libringside as an embedder has it: the example, and a Vm of the test's own, over real sockets.
// Who calls serve() without a timeout wants to be woken by whatever there is to do.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "hypervisor/testing/fake_vm.h"
#include "ringside/debug_endpoint.h"
#include "support/child_process.h"
#include "support/debug_client.h"

namespace ringside::testing {
namespace {

class Toy {
 public:
  Toy() : process_({RINGSIDE_TOY, "0"}) {
    const std::string line =
        process_.await_line(ChildProcess::Stream::Error, "gdb: listening on 127.0.0.1:");
    port_ = static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
  }
  DebugClient attach() {
    DebugClient client(port_);
    parse_stop(client.request("?"));
    return client;
  }

 private:
  ChildProcess process_;
  std::uint16_t port_ = 0;
};

TEST(Endpoint, AContinueFromAHitGoesRoundToTheNextOne) {
  Toy toy;
  DebugClient client = toy.attach();
  client.insert(0x1006);
  client.resume();
  client.await_stop();
  const std::uint64_t first = client.registers()[kRax];
  for (std::uint64_t round = 1; round < 20; ++round) {
    client.resume();
    client.await_stop();
    EXPECT_EQ(client.rip(), 0x1006u);
    EXPECT_EQ(client.registers()[kRax], first + round);
  }
}

TEST(Endpoint, AMachineHasOneToSixtyFourVcpus) {
  for (const unsigned count : {0u, kMaxVcpus + 1}) {
    hypervisor::testing::FakeVm vm(count);
    const auto endpoint = DebugEndpoint::open(vm, "");
    ASSERT_FALSE(endpoint);
    EXPECT_EQ(endpoint.error().text(), "a machine has 1 to 64 vCPUs, not " + std::to_string(count));
  }
}

// What needs a machine has no effect before there is one.
TEST(Endpoint, WithoutAMachineNothingBegins) {
  const auto endpoint = DebugEndpoint::open("");
  ASSERT_TRUE(endpoint);
  (*endpoint)->start();
  (*endpoint)->machine_was_reset();
  (*endpoint)->announce_end(0);
  (*endpoint)->settle();
  EXPECT_FALSE((*endpoint)->connected());
}

// A request that takes many slices, while nothing else happens that would end a wait.
TEST(Endpoint, ALongRequestIsAnswered) {
  hypervisor::testing::FakeVm vm;
  constexpr std::uint64_t kSize = 64u << 20;
  vm.memory().add_ram(Gpa{0}, kSize);
  const std::string path = ::testing::TempDir() + "ringside-endpoint-" + std::to_string(::getpid());
  const auto endpoint = DebugEndpoint::open(vm, "unix:" + path);
  ASSERT_TRUE(endpoint) << endpoint.error().text();
  (*endpoint)->start();
  std::atomic<bool> done{false};
  std::string checksum, found;
  std::thread debugger([&] {
    try {
      DebugClient client(path);
      client.request("?");
      checksum = client.request("qCRC:0," + hex_number(kSize));
      found = client.request("qSearch:memory:0;" + hex_number(kSize) + ";needle");
    } catch (const std::exception& error) {
      found = error.what();
    }
    done = true;
    (*endpoint)->wake();
  });
  while (!done)
    EXPECT_TRUE((*endpoint)->serve(std::nullopt));
  debugger.join();
  EXPECT_EQ(checksum.substr(0, 1), "C");
  EXPECT_EQ(found, "0");
}

}  // namespace
}  // namespace ringside::testing
