// The items of a kernel that firmware starts, as bytes.
#include "machine/firmware/firmware_kernel.h"

#include <gtest/gtest.h>

#include <vector>

#include "machine/firmware/firmware_config.h"
#include "machine/testing/fake_cpu_port.h"

namespace ringside::machine {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// 'S' up to the end of the real-mode part, and 16 times 'K'.
std::string linux_image(unsigned setup_sectors, std::size_t setup_bytes) {
  std::string image(setup_bytes, 'S');
  image[0x1f1] = static_cast<char>(setup_sectors);
  image.replace(0x1fe, 2, "\x55\xaa");
  image.replace(0x202, 4, "HdrS");
  return image + std::string(16, 'K');
}

std::string little_endian(unsigned value) {
  return {static_cast<char>(value), static_cast<char>(value >> 8), '\0', '\0'};
}

TEST(FirmwareKernel, IsLinuxInTwoPartsWithWhatGoesWithIt) {
  const Bytes image = bytes_of(linux_image(1, 1024)), initrd = bytes_of("070701");
  const KernelItems items({image, initrd, "console=ttyS0"});
  EXPECT_EQ(items.content(0x17), little_endian(1024));
  EXPECT_EQ(items.content(0x18), linux_image(1, 1024).substr(0, 1024));
  EXPECT_EQ(items.content(0x08), little_endian(16));
  EXPECT_EQ(items.content(0x11), std::string(16, 'K'));
  EXPECT_EQ(items.content(0x0b), little_endian(6));
  EXPECT_EQ(items.content(0x12), "070701");
  EXPECT_EQ(items.content(0x14), little_endian(14)) << "with the zero at its end";
  EXPECT_EQ(items.content(0x15), std::string("console=ttyS0\0", 14));
}

TEST(FirmwareKernel, HasFourSectorsWhereTheHeaderSaysNone) {
  const Bytes image = bytes_of(linux_image(0, 5 * 512));
  EXPECT_EQ(KernelItems({image, {}, ""}).content(0x17), little_endian(5 * 512));
}

// A file that was cut.
TEST(FirmwareKernel, HasNoMoreThanTheFile) {
  const Bytes image = bytes_of(linux_image(200, 1024));
  const KernelItems items({image, {}, ""});
  EXPECT_EQ(items.content(0x18).size(), image.size());
  EXPECT_EQ(items.content(0x08), little_endian(0));
  EXPECT_EQ(items.content(0x11), "");
}

TEST(FirmwareKernel, IsAnEfiProgramInOnePart) {
  const Bytes image = bytes_of("MZ, and a program");
  const KernelItems items({image, {}, ""});
  EXPECT_EQ(items.content(0x17), little_endian(0));
  EXPECT_EQ(items.content(0x11), "MZ, and a program");
  EXPECT_EQ(items.content(0x14), little_endian(1));
}

TEST(FirmwareKernel, IsOneOfThese) {
  EXPECT_TRUE(is_for_firmware(bytes_of(linux_image(1, 1024))));
  EXPECT_TRUE(is_for_firmware(bytes_of("MZ")));
  EXPECT_FALSE(
      is_for_firmware(bytes_of("\x7f"
                               "ELF")));
  EXPECT_FALSE(is_for_firmware(bytes_of(std::string(0x204, 'S'))));
  EXPECT_FALSE(is_for_firmware({}));
}

struct FoundByFirmware : ::testing::Test {
  hypervisor::GuestRam ram = *hypervisor::GuestRam::create(4 << 20);
  testing::FakeCpuPort cpus;
  FirmwareConfig config{
      ram,
      cpus,
      1,
      "",
      {[] { return std::optional<AddressRange>(); }, [](auto) { return AcpiOptions{}; }}};
  std::string read(unsigned key, unsigned count) {
    config.write_port({{}, 0x510, 2}, key);
    std::string bytes;
    for (unsigned i = 0; i < count; ++i) {
      std::uint32_t value = 0;
      config.read_port({{}, 0x511, 1}, value);
      bytes += static_cast<char>(value);
    }
    return bytes;
  }
};

TEST_F(FoundByFirmware, AndAnotherOneWhenItHasChanged) {
  EXPECT_EQ(read(0x11, 2), std::string(2, '\0')) << "there is none";
  const Bytes one = bytes_of("MZ one"), two = bytes_of("MZ twice");
  config.set_kernel({one, {}, "a"});
  EXPECT_EQ(read(0x08, 4), little_endian(6));
  EXPECT_EQ(read(0x11, 8), std::string("MZ one\0\0", 8));
  config.set_kernel({two, {}, "b"});
  EXPECT_EQ(read(0x11, 8), "MZ twice");
  EXPECT_EQ(read(0x15, 2), std::string("b\0", 2));
}

}  // namespace
}  // namespace ringside::machine
