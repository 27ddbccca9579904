// No guest holds the program up: one notification may ask for a disk 256 times, and the debugger is
// served, and a signal ends the program, while the device works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "base/testing/temporary_folder.h"
#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using Stream = ChildProcess::Stream;

class BoundedWork : public ::testing::Test {
 protected:
  // A disk of so many bytes that takes no room, and begins with an x.
  GuestOptions with_disk(std::uintmax_t size, std::vector<std::string> more = {}) const {
    const std::string image = folder_ / "image";
    std::ofstream(image, std::ios::binary | std::ios::trunc) << "x";
    std::filesystem::resize_file(image, size);
    GuestOptions options{.arguments = {"-d", image}};
    options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    return options;
  }
  // How many requests are answered.
  static unsigned answered(const GuestProcess& guest, DebugClient& client) {
    const std::string bytes = client.read(client.read_u64(guest["answered"]), 2);
    return static_cast<unsigned char>(bytes[0]) | static_cast<unsigned char>(bytes[1]) << 8;
  }
  // Steps over the notification: what the device could not do within that access it has yet to do.
  static void step_into_the_work(GuestProcess& guest, DebugClient& client) {
    client.run_to(guest["ask_device"]);
    for (unsigned steps = 0; client.read(kData, 1) != "x" && steps < 50; ++steps)
      client.step();
    EXPECT_EQ(client.read(kData, 1), "x");
    EXPECT_LT(answered(guest, client), 256u);
  }

  static constexpr std::uint64_t kData = 8u << 20;
  TemporaryFolder folder_;
};

// 256 GiB are to be read.
TEST_F(BoundedWork, ADebuggerStopsItAndASignalEndsIt) {
  GuestProcess guest("hog", with_disk(std::uintmax_t{1} << 30));
  DebugClient client = guest.attach();
  step_into_the_work(guest, client);
  client.resume();
  client.stop();
  const unsigned first = answered(guest, client);
  EXPECT_LT(first, 256u);
  EXPECT_EQ(answered(guest, client), first);  // nothing moves while it stands
  client.resume();
  client.stop();
  EXPECT_LT(answered(guest, client), 256u);
  client.resume();
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_exit(), 4);
  EXPECT_THAT(guest.process().text(Stream::Error), HasSubstr("ringside: ended by SIGTERM"));
}

TEST_F(BoundedWork, AStopInTheMiddleChangesNothing) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU's runs are the same";
  const auto state_at_end = [&](bool stops) {
    GuestProcess guest("hog", with_disk(4 << 20, {"--debug-exit", "--log", "debug"}));
    DebugClient client = guest.attach();
    if (stops) {
      step_into_the_work(guest, client);
      client.resume();
      client.stop();
    }
    client.detach();
    EXPECT_EQ(guest.process().await_exit(), 1);
    const std::string& said = guest.process().text(Stream::Error);
    const std::size_t at = said.find("state: ");
    return at == std::string::npos ? said : said.substr(at, said.find('\n', at) - at);
  };
  const std::string undisturbed = state_at_end(false);
  EXPECT_THAT(undisturbed, ::testing::StartsWith("state: "));
  EXPECT_EQ(state_at_end(true), undisturbed);
}

// What the debugger changes between two parts of the work, the replay has there as well.
TEST_F(BoundedWork, AStopInTheMiddleIsReplayed) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU's runs are recorded";
  const std::string journal = folder_ / "journal";
  {
    GuestProcess guest("hog", with_disk(4 << 20, {"--debug-exit", "--record", journal}));
    DebugClient client = guest.attach();
    step_into_the_work(guest, client);
    client.resume();
    client.stop();  // perhaps before the end of the work, perhaps after it
    client.write(kData, "of the debugger");
    client.detach();
    EXPECT_EQ(guest.process().await_exit(), 1);
  }
  GuestOptions replay = with_disk(4 << 20, {"--debug-exit", "--replay", journal});
  replay.start = GuestOptions::Start::WithoutDebug;
  GuestProcess guest("hog", replay);
  EXPECT_EQ(guest.process().await_exit(), 1) << guest.process().text(Stream::Error);
}

// A step back leads over all of the work, which the guest sees as one instruction.
TEST_F(BoundedWork, IsUndoneAsAWhole) {
  if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
  GuestProcess guest("hog", with_disk(1 << 20));
  DebugClient client = guest.attach();
  client.request("qSupported:swbreak+;vContSupported+");
  client.run_to(guest["ask_device"]);
  const std::uint64_t before = client.rip();
  unsigned steps = 0;
  for (; answered(guest, client) != 256 && steps < 50; ++steps)
    client.step();
  EXPECT_EQ(answered(guest, client), 256u);
  EXPECT_EQ(client.read(kData, 1), "x");
  for (; steps != 0; --steps) {
    client.send("bs");
    client.await_stop();
  }
  EXPECT_EQ(client.rip(), before);
  EXPECT_EQ(answered(guest, client), 0u);
  EXPECT_EQ(client.read(kData, 1), std::string(1, '\0'));
}

}  // namespace
}  // namespace ringside::testing
