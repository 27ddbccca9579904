// A kernel that runs, read from outside through the machine protocol.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "base/testing/temporary_folder.h"
#include "guests/core/testing/core_file.h"
#include "linux/linux_guest.h"
#include "support/host.h"
#include "support/qmp_client.h"

namespace ringside::testing {
namespace {

using guests::testing::CoreFile;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class LinuxQmp : public ::testing::Test {
 protected:
  void SetUp() override { SKIP_IF(files_.missing()); }
  LinuxOptions options() const {
    return {.cpus = 2, .memory = "512M", .arguments = {"--qmp", "unix:" + socket_}};
  }

  const LinuxFiles files_{"cloud-amd64"};
  const TemporaryFolder folder_;
  const std::string socket_ = folder_ / "qmp";
};

// Where drgn 0.2 takes VMCOREINFO from.
TEST_F(LinuxQmp, ADumpOfOneByteTellsWhereTheKernelIs) {
  LinuxGuest guest(files_, options());
  guest.shell().await_prompt();
  QmpClient qmp(socket_);
  qmp.begin();
  const Fd dump(::memfd_create("dump", MFD_CLOEXEC));
  EXPECT_EQ(qmp.run("getfd", "\"fdname\": \"dump\"", dump.get()), QmpClient::kDone);
  EXPECT_EQ(qmp.run("dump-guest-memory",
                    "\"paging\": false, \"protocol\": \"fd:dump\", \"begin\": 0, \"length\": 1"),
            QmpClient::kDone);
  const CoreFile core("/proc/self/fd/" + std::to_string(dump.get()));
  EXPECT_LT(core.size(), 16u << 10);
  EXPECT_EQ(core.registers.size(), 2u);
  EXPECT_THAT(core.vmcoreinfo.value_or(""), HasSubstr("OSRELEASE=6.1."));
  EXPECT_THAT(core.vmcoreinfo.value_or(""), HasSubstr("SYMBOL(swapper_pg_dir)="));
  guest.shell().output_of("true");
}

TEST_F(LinuxQmp, DrgnReadsAKernelThatRuns) {
  SKIP_IF(host::no_program("drgn"));
  LinuxGuest guest(files_, options());
  guest.shell().await_prompt();
  guest.shell().output_of("sleep 1000 & until grep -q sleep /proc/$!/comm; do true; done");
  for (const bool stopped : {false, true}) {
    if (stopped) {
      QmpClient qmp(socket_);
      EXPECT_EQ(qmp.begin().run("stop"), QmpClient::kDone);
    }
    ChildProcess drgn({"/usr/bin/python3", RINGSIDE_EXAMPLES "/drgn_live.py", socket_,
                       files_.symbols(), RINGSIDE_LINUX_TESTS "/core_drgn.py"});
    drgn.close_input();
    const int status = drgn.await_exit(Deadline(std::chrono::seconds(300)));
    const std::string text = drgn.text(ChildProcess::Stream::Output);
    EXPECT_EQ(status, 0) << drgn.text(ChildProcess::Stream::Error);
    EXPECT_THAT(text, HasSubstr("banner Linux version 6.1."));
    EXPECT_THAT(text, ContainsRegex("tasks .*kthreadd.* sh sleep"));
    EXPECT_THAT(text, ContainsRegex("init\n(#.*\n)*.*__schedule(.*\n)*.*entry_SYSCALL_64"));
  }
  QmpClient qmp(socket_);
  EXPECT_EQ(qmp.begin().run("cont"), QmpClient::kDone);
  guest.shell().output_of("true");
  EXPECT_EQ(qmp.run("quit"), QmpClient::kDone);
  EXPECT_EQ(guest.process().await_exit(), 1);
}

}  // namespace
}  // namespace ringside::testing
