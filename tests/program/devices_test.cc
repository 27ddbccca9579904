// Devices at work under small guests of our own, with either engine: what they ask is answered, and
// the interrupts that tell of it come while the guest sleeps.
#include <gtest/gtest.h>

#include <fstream>

#include "base/testing/temporary_folder.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using Stream = ChildProcess::Stream;

class DevicesInProgram : public ::testing::Test {
 protected:
  void SetUp() override { SKIP_IF(host::no_engine(engine())); }
  // All that it says, until it switches itself off.
  static std::string said_by(std::string_view name, GuestOptions options) {
    options.start = GuestOptions::Start::WithoutDebug;
    GuestProcess guest(name, options);
    EXPECT_EQ(guest.process().await_exit(), 1) << guest.process().text(Stream::Error);
    return guest.process().text(Stream::Output);
  }

  const TemporaryFolder folder_;
};

// The addresses of the gateway and the name server. Each answer wakes the guest by MSI-X.
TEST_F(DevicesInProgram, TheNetworkAnswersWithAMessage) {
  SKIP_IF(host::no_library("libslirp.so.0"));
  EXPECT_EQ(said_by("net", {.arguments = {"--net", "user"}, .virtio = "pci"}),
            "52:55:0a:00:02:02\n52:55:0a:00:02:03\n");
}

TEST_F(DevicesInProgram, ASharedFolderAnswersByItsLine) {
  std::ofstream(folder_ / "question") << "what is so?\n";
  EXPECT_EQ(said_by("share", {.arguments = {"--share", folder_.path().string()}}), "what is so?\n");
  std::ifstream answer(folder_ / "answer");
  std::string line;
  std::getline(answer, line);
  EXPECT_EQ(line, "what is so?");
}

TEST_F(DevicesInProgram, TheEventTimerInterruptsInEachOfItsWays) {
  EXPECT_EQ(said_by("ticks", {}), "edges\na level\nsilence\nin the 8254's place\nthe 8254\n");
}

TEST_F(DevicesInProgram, WhatABiosLeavesTellsOfTheProcessors) {
  EXPECT_EQ(said_by("remains", {.cpus = 2, .arguments = {"--rng", "host"}, .virtio = "pci"}),
            "COM1\nbase memory\nprocessors\nroutes\n");
}

}  // namespace
}  // namespace ringside::testing
