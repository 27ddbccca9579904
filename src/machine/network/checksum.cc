#include "machine/network/checksum.h"

#include <cstdint>

namespace ringside::machine {
namespace {

std::uint64_t word(std::byte high, std::byte low) {
  return std::to_integer<std::uint64_t>(high) << 8 | std::to_integer<std::uint64_t>(low);
}

}  // namespace

bool fill_in_checksum(std::span<std::byte> frame, std::size_t start, std::size_t offset) {
  if (start + offset + 2 > frame.size()) return false;
  const std::span<std::byte> data = frame.subspan(start);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + 1 < data.size(); i += 2)
    sum += word(data[i], data[i + 1]);
  if (data.size() % 2 != 0) sum += word(data.back(), std::byte{0});
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  // Zero would mean that there is no checksum, in UDP (RFC 768); to others both are the same.
  const std::uint64_t field = sum == 0xffff ? sum : ~sum & 0xffff;
  data[offset] = static_cast<std::byte>(field >> 8);
  data[offset + 1] = static_cast<std::byte>(field);
  return true;
}

}  // namespace ringside::machine
