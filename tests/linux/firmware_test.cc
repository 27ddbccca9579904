// Firmware from the reset vector: Debian's SeaBIOS finds its machine and says so on the debug port.
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/guest_process.h"

namespace ringside::testing {
namespace {

class Firmware : public ::testing::TestWithParam<const char*> {};

TEST_P(Firmware, SeaBiosRunsToItsBannerAndOn) {
  const std::string path = std::string("/usr/share/seabios/") + GetParam();
  if (::access(path.c_str(), R_OK) != 0) GTEST_SKIP() << path << " is not there";
  ChildProcess ringside({RINGSIDE_PROGRAM, "-e", engine(), "-c", "2", "-m", "64M", "--bios", path,
                         "--debugcon", "stdio", "-s", "none"});
  for (const char* line : {
           "SeaBIOS (version 1.", "QEMU fw_cfg DMA interface supported",
           "[RAM]",                // the memory map came through fw_cfg
           "Found 2 cpu(s)",       // the second processor answered its start-up
           "Boot failed",          // INT 13h
           "No bootable device.",  // INT 18h and 19h
       })
    ringside.await(ChildProcess::Stream::Output, line, Deadline(std::chrono::seconds(60)));
  EXPECT_TRUE(ringside.running());
}

INSTANTIATE_TEST_SUITE_P(Debian, Firmware, ::testing::Values("bios.bin", "bios-256k.bin"),
                         [](const auto& image) {
                           return image.param[4] == '.' ? std::string("In128K") : "In256K";
                         });

}  // namespace
}  // namespace ringside::testing
