// Sockets between guest and host under Debian's own driver, in both directions and both ways; all
// of it repeated without any, and what becomes of connections when the machine goes on elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <string>

#include "base/testing/temporary_folder.h"
#include "linux/linux_guest.h"
#include "linux/recorded_run.h"
#include "support/local_socket.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// seq 1 400000
std::string numbers() {
  std::string text;
  for (unsigned i = 1; i <= 400'000; ++i)
    text += std::to_string(i) + "\n";
  return text;
}

class VsockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
  }
  // A connection to a port of the guest, as soon as it listens there: until then it refuses.
  LocalSocket connect_to_guest(unsigned port) {
    for (const Deadline deadline = boot_deadline(); !deadline.passed();) {
      LocalSocket socket = LocalSocket::connect(path_);
      socket.write("CONNECT " + std::to_string(port) + "\n");
      if (socket.read_line().starts_with("OK ")) return socket;
    }
    throw std::runtime_error("the guest does not listen");
  }

  const LinuxFiles files_{"cloud-amd64"};
  const TemporaryFolder scratch_;
  const std::string path_ = scratch_ / "socket";
};

class LinuxVsockBy : public VsockTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(LinuxVsockBy, CarriesBothWaysAndIsRepeatedWithout) {
  const RecordedRun run(scratch_ / "journal");
  const LinuxOptions options{.cpus = 2,
                             .arguments = {"--vsock", path_ + ",cid=7", "--virtio", GetParam()}};
  const std::string all = numbers();
  const LocalListener listener(path_ + "_1234");
  LinuxGuest guest(files_, run.recorded(options));
  LinuxShell& shell = guest.shell();
  shell.await_prompt();
  shell.load_vsock_driver();
  shell.output_of("seq 1 400000 >/tmp/numbers");
  EXPECT_THAT(shell.run("vsock connect 2 55 </dev/null").output, HasSubstr("reset by peer"));
  // The guest begins. Its bytes come back when they are all there.
  shell.start("vsock connect 2 1234 </tmp/numbers >/tmp/back && cmp /tmp/numbers /tmp/back");
  {
    LocalSocket socket = listener.accept();
    EXPECT_TRUE(socket.read_to_end() == all);
    socket.write(all);
  }
  EXPECT_EQ(shell.finish().status, 0);
  // The host begins, and both speak at once.
  shell.start("vsock listen 99 </tmp/numbers >/tmp/come && cmp /tmp/numbers /tmp/come");
  LocalSocket socket = connect_to_guest(99);
  EXPECT_TRUE(socket.exchange(all) == all);
  EXPECT_EQ(shell.finish().status, 0);
  EXPECT_EQ(shell.output_of("dmesg | grep -ci vsock"), "1\n") << "no complaints";
  EXPECT_EQ(shell.end("poweroff -f"), 1);
  EXPECT_FALSE(std::filesystem::exists(path_)) << "it is removed at the end";
  run.expect_repetition(files_, options, guest.process());
}

INSTANTIATE_TEST_SUITE_P(Transports, LinuxVsockBy, ::testing::Values("pci", "mmio"),
                         [](const auto& chosen) { return std::string(chosen.param); });

using LinuxVsock = VsockTest;

// Who was connected when the machine was saved is not there where it goes on.
TEST_F(LinuxVsock, ConnectionsEndWhereASavedMachineGoesOn) {
  if (engine() != "soft") GTEST_SKIP() << "saved machines are the software CPU's";
  const std::string saved = scratch_ / "saved";
  const LocalListener listener(path_ + "_1234");
  LinuxGuest guest(files_, {.arguments = {"--vsock", path_, "--save", saved}});
  guest.shell().await_prompt();
  guest.shell().load_vsock_driver();
  guest.shell().output_of("mkfifo /tmp/silent; sleep 100000 >/tmp/silent & echo");
  guest.shell().output_of("vsock connect 2 1234 </tmp/silent >/tmp/said 2>&1 & echo");
  LocalSocket socket = listener.accept();
  socket.write("words");
  guest.shell().output_of("until grep -q words /tmp/said; do :; done");
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_exit(), 4);
  EXPECT_EQ(socket.read_to_end(), "");

  const std::string other = scratch_ / "other";
  const LocalListener other_listener(other + "_1234");
  ChildProcess restored({RINGSIDE_PROGRAM, "--restore", saved, "--vsock", other});
  LinuxShell shell(restored);
  EXPECT_THAT(shell.output_of("wait %2; cat /tmp/said"), StartsWith("wordsvsock: read: "));
  shell.start("echo anew | vsock connect 2 1234");
  LocalSocket now = other_listener.accept();
  now.write("welcome");
  EXPECT_EQ(now.read_to_end(), "anew\n");
  now.close();
  EXPECT_EQ(shell.finish().output, "welcome");
  EXPECT_EQ(shell.end("poweroff -f"), 1);
}

}  // namespace
}  // namespace ringside::testing
