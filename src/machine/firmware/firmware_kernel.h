// A kernel that firmware starts by itself: it finds it, an initrd and a command line in its
// configuration, under the numbers that QEMU's -kernel, -initrd and -append have there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ringside::machine {

// The bytes are somebody else's, who keeps them as long as there is the machine.
struct FirmwareKernel {
  std::span<const std::byte> image;  // empty: there is none
  std::span<const std::byte> initrd;
  std::string command_line;
};

// A size has 32 bits.
inline constexpr std::uint64_t kMostOfFirmwareKernel = 0xffffffff;

// Whether the first bytes of a file, kRecognisedBy of them or all, are those of a Linux bzImage or
// of an EFI program.
bool is_for_firmware(std::span<const std::byte> beginning);

// What of a kernel is where.
class KernelItems {
 public:
  KernelItems() = default;
  explicit KernelItems(FirmwareKernel kernel);
  // Empty for an item that is not there. Good until the next change of this object.
  std::string_view content(std::uint16_t key) const;

 private:
  FirmwareKernel kernel_;
  // Linux's real-mode part, and all behind it; of an EFI program all is behind it.
  std::string_view setup_, rest_, initrd_;
  std::string setup_size_, rest_size_, initrd_size_, command_line_size_;
};

}  // namespace ringside::machine
