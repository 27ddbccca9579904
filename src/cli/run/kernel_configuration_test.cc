#include "cli/run/kernel_configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringside::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kAll =
    "CONFIG_64BIT=y\nCONFIG_SERIAL_8250=y\nCONFIG_SERIAL_8250_CONSOLE=y\nCONFIG_BLK_DEV_INITRD=y\n"
    "CONFIG_BINFMT_ELF=y\nCONFIG_BINFMT_SCRIPT=m\nCONFIG_PCI=y\nCONFIG_VIRTIO_PCI=m\n"
    "CONFIG_NET_9P=m\nCONFIG_NET_9P_VIRTIO=m\nCONFIG_9P_FS=m\n";

TEST(KernelConfiguration, LacksNothingThatIsNotWanted) {
  EXPECT_THAT(missing_in("", {}), IsEmpty());
  EXPECT_THAT(
      missing_in(kAll, {.initramfs = true, .serial = true, .folders = true, .on_pci = true}),
      IsEmpty());
}

TEST(KernelConfiguration, SaysWhatIsNotThereAndWhatComesOfIt) {
  EXPECT_THAT(
      missing_in("# CONFIG_SERIAL_8250 is not set\nCONFIG_NOT_SERIAL_8250=y\n", {.serial = true}),
      ElementsAre("without CONFIG_SERIAL_8250, CONFIG_SERIAL_8250_CONSOLE it says nothing on COM1, "
                  "and there is no shell; a debugger sees it all the same"));
  EXPECT_THAT(missing_in("CONFIG_PCI=y\nCONFIG_VIRTIO_PCI=n\nCONFIG_NET_9P=y\nCONFIG_9P_FS=y\n",
                         {.folders = true, .on_pci = true}),
              ElementsAre("without CONFIG_VIRTIO_PCI it does not see folders, network and disks; "
                          "--virtio mmio has them elsewhere",
                          "without CONFIG_NET_9P_VIRTIO it cannot mount shared folders"));
}

TEST(KernelConfiguration, SaysWhetherThereAreModules) {
  EXPECT_TRUE(has_modules("CONFIG_MODULES=y\n"));
  EXPECT_FALSE(has_modules("# CONFIG_MODULES is not set\nCONFIG_MODULES_TREE_LOOKUP=y\n"));
}

// A value that was cut is none.
TEST(KernelConfiguration, TakesAnyText) {
  EXPECT_THAT(missing_in("CONFIG_VIRTIO_BLK=", {.disks = true}), ::testing::SizeIs(2));
}

}  // namespace
}  // namespace ringside::cli
