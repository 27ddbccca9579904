#include "cli/start/firmware_pair.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string_view>

namespace ringside::cli {
namespace {

// A firmware volume's header has this signature at offset 40 (UEFI PI specification, volume 3,
// EFI_FIRMWARE_VOLUME_HEADER).
bool is_volume(std::span<const std::byte> bytes) {
  constexpr std::string_view kSignature = "_FVH";
  constexpr std::size_t kAt = 40;
  if (bytes.size() < kAt + kSignature.size()) return false;
  return std::equal(kSignature.begin(), kSignature.end(), bytes.begin() + kAt,
                    [](char a, std::byte b) { return static_cast<std::byte>(a) == b; });
}

}  // namespace

bool is_uefi(std::span<const std::byte> firmware) { return is_volume(firmware); }

// Firmware and variables are cut out of one flash memory, which has a power of two of bytes.
std::string odd_pair(const std::string& firmware, std::span<const std::byte> image,
                     const FirmwareVariables& variables) {
  constexpr std::string_view kWayOut =
      "it may stop without a word; it needs a copy of the template that came with it";
  if (!is_volume(image)) return {};
  if (variables.name.empty()) {
    if (std::has_single_bit(image.size())) return {};
    return fmt::format("firmware '{}' keeps its variables in another file (--firmware-vars): {}",
                       firmware, kWayOut);
  }
  if (!is_volume(variables.beginning))
    return fmt::format(
        "--firmware-vars: {} has no variables of UEFI in it, and firmware '{}' "
        "looks for them: {}",
        variables.name, firmware, kWayOut);
  if (std::has_single_bit(image.size() + variables.size)) return {};
  return fmt::format(
      "--firmware-vars: {} ({}K) is not of the kind that belongs to firmware '{}' "
      "({}K): {}",
      variables.name, variables.size >> 10, firmware, image.size() >> 10, kWayOut);
}

}  // namespace ringside::cli
