#include "machine/firmware/firmware_kernel.h"

#include <algorithm>
#include <utility>

#include "base/little_endian.h"

namespace ringside::machine {
namespace {

// QEMU's numbers (docs/specs/fw_cfg has how they are read, hw/nvram/fw_cfg_keys.h these).
enum : std::uint16_t {
  kKernelSize = 0x08,
  kInitrdSize = 0x0b,
  kKernelData = 0x11,
  kInitrdData = 0x12,
  kCommandLineSize = 0x14,
  kCommandLineData = 0x15,
  kSetupSize = 0x17,
  kSetupData = 0x18,
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string size_of(std::string_view content) { return little_endian(content.size(), 4); }

bool has_at(std::string_view file, std::size_t at, std::string_view text) {
  return file.size() >= at && file.substr(at).starts_with(text);
}

// The real-mode part and its boot sector, in sectors, of which 0 are 4 (The Linux/x86 Boot
// Protocol, 1.3). Nothing of what is no Linux.
std::size_t setup_size(std::string_view file) {
  constexpr std::size_t kSector = 512, kSetupSectors = 0x1f1;
  if (!has_at(file, 0x1fe, "\x55\xaa") || !has_at(file, 0x202, "HdrS")) return 0;
  const std::size_t sectors = static_cast<unsigned char>(file[kSetupSectors]);
  return std::min(((sectors == 0 ? 4 : sectors) + 1) * kSector, file.size());
}

}  // namespace

bool is_for_firmware(std::span<const std::byte> beginning) {
  const std::string_view file = text_of(beginning);
  return file.starts_with("MZ") || setup_size(file) != 0;
}

KernelItems::KernelItems(FirmwareKernel kernel) : kernel_(std::move(kernel)) {
  if (kernel_.image.empty()) return;
  const std::string_view image = text_of(kernel_.image);
  setup_ = image.substr(0, setup_size(image));
  rest_ = image.substr(setup_.size());
  initrd_ = text_of(kernel_.initrd);
  kernel_.command_line += '\0';
  setup_size_ = size_of(setup_);
  rest_size_ = size_of(rest_);
  initrd_size_ = size_of(initrd_);
  command_line_size_ = size_of(kernel_.command_line);
}

std::string_view KernelItems::content(std::uint16_t key) const {
  switch (key) {
    case kKernelSize:
      return rest_size_;
    case kKernelData:
      return rest_;
    case kSetupSize:
      return setup_size_;
    case kSetupData:
      return setup_;
    case kInitrdSize:
      return initrd_size_;
    case kInitrdData:
      return initrd_;
    case kCommandLineSize:
      return command_line_size_;
    case kCommandLineData:
      return kernel_.command_line;
    default:
      return {};
  }
}

}  // namespace ringside::machine
