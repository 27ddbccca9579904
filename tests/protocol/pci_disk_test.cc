// A disk on the PCI bus, by a small driver of our own, so that each engine delivers its messages.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "nbd/testing/server.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

TEST(PciDisk, AnswersWithAMessage) {
  SKIP_IF(host::no_engine(engine()));
  const std::string image =
      ::testing::TempDir() + "ringside-pci-disk-" + std::to_string(::getpid());
  std::ofstream(image, std::ios::binary) << "a sector" << std::string(504, '.');
  {
    GuestProcess guest("pci_disk", {.start = GuestOptions::Start::WithoutDebug,
                                    .arguments = {"-d", image + ",ro"},
                                    .virtio = "pci"});
    guest.process().await(ChildProcess::Stream::Output, "\n");
    EXPECT_EQ(guest.process().text(ChildProcess::Stream::Output), "a sector message\n");
  }
  std::remove(image.c_str());
}

// The same from a server (docs/decisions/0065), with each engine.
TEST(PciDisk, MayBeAServers) {
  SKIP_IF(host::no_engine(engine()));
  SKIP_IF(host::no_library("libnbd.so.0"));
  const std::string socket =
      ::testing::TempDir() + "ringside-nbd-disk-" + std::to_string(::getpid());
  nbd::testing::Server server(socket, nbd::testing::Export{512});
  std::memcpy(server.content(), "a sector", 8);
  GuestProcess guest("pci_disk", {.start = GuestOptions::Start::WithoutDebug,
                                  .arguments = {"-d", "nbd+unix:" + socket + ",ro"},
                                  .virtio = "pci"});
  guest.process().await(ChildProcess::Stream::Output, "\n");
  EXPECT_EQ(guest.process().text(ChildProcess::Stream::Output), "a sector message\n");
}

}  // namespace
}  // namespace ringside::testing
