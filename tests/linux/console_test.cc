// The virtio console and the entropy device under Debian's own drivers: a shell on hvc0, numbers of
// the host, and all of it repeated without the host's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/testing/temporary_folder.h"
#include "linux/linux_guest.h"
#include "linux/recorded_run.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

class LinuxConsole : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
  }

  const LinuxFiles files_{"cloud-amd64"};
  const TemporaryFolder scratch_;
};

// By each transport.
TEST_P(LinuxConsole, HasAShellAndTheHostsNumbersAndIsRepeated) {
  const LinuxOptions options{
      .cpus = 2,
      .console = "hvc0",
      .arguments = {"--console", "stdio", "--rng", "host", "--virtio", GetParam()}};
  std::set<std::string> digests;
  for (const char* name : {"first", "second"}) {
    const RecordedRun run(scratch_ / name);
    LinuxGuest guest(files_, run.recorded(options));
    LinuxShell& shell = guest.shell();
    shell.await_prompt();
    EXPECT_EQ(shell.output_of("cat /sys/class/tty/console/active"), "hvc0\n");
    EXPECT_EQ(shell.output_of("tty"), "/dev/hvc0\n");
    shell.load_random_driver();
    EXPECT_EQ(shell.output_of("cat /sys/class/misc/hw_random/rng_current"), "virtio_rng.0\n");
    digests.insert(shell.output_of("head -c 10000 /dev/hwrng | sha256sum"));
    EXPECT_EQ(shell.output_of("seq 1 20000 | tail -n 1"), "20000\n");
    EXPECT_EQ(shell.output_of("seq 1 5000").size(), 23'893u);
    EXPECT_THAT(shell.output_of("cat /proc/interrupts"), HasSubstr("virtio"));
    EXPECT_EQ(shell.end("poweroff -f"), 1);
    run.expect_repetition(files_, options, guest.process());
  }
  EXPECT_EQ(digests.size(), 2u) << "two runs have other numbers";
}

INSTANTIATE_TEST_SUITE_P(Transports, LinuxConsole, ::testing::Values("pci", "mmio"),
                         [](const auto& chosen) { return std::string(chosen.param); });

}  // namespace
}  // namespace ringside::testing
