// Whether UEFI's firmware has the variables that belong to it: with others, or none, it stops
// before it can say so. Pure functions over what the files have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ringside::cli {

// The flash memory below the firmware; without a name there is none.
struct FirmwareVariables {
  std::string name;
  std::uint64_t size = 0;
  std::span<const std::byte> beginning = {};
};

inline constexpr std::size_t kVolumeHeader = 0x38;  // of which that is the beginning, or more

bool is_uefi(std::span<const std::byte> firmware);

// A sentence about a pair that is none; empty where it looks like one, or is not UEFI's.
std::string odd_pair(const std::string& firmware, std::span<const std::byte> image,
                     const FirmwareVariables& variables);

}  // namespace ringside::cli
