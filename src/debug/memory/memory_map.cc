#include "debug/memory/memory_map.h"

#include <fmt/core.h>

namespace ringside::debug {
namespace {

// No length in 64 bits is that of all addresses, so there are two halves.
constexpr std::uint64_t kHalf = 1ull << 63;

void append(std::string& xml, const char* type, std::uint64_t start, std::uint64_t length) {
  xml +=
      fmt::format("<memory type=\"{}\" start=\"{:#x}\" length=\"{:#x}\"/>\n", type, start, length);
}

}  // namespace

std::string memory_map(AddressKind addresses,
                       const std::vector<hypervisor::MemoryRegion>& regions) {
  std::string xml = "<?xml version=\"1.0\"?>\n<memory-map>\n";
  if (addresses == AddressKind::Linear || regions.empty()) {
    append(xml, "ram", 0, kHalf);
    append(xml, "ram", kHalf, kHalf);
  } else {
    for (const hypervisor::MemoryRegion& region : regions) {
      const bool rom = region.kind == hypervisor::MemoryKind::Rom;
      append(xml, rom ? "rom" : "ram", region.base.value, region.size);
    }
  }
  return xml + "</memory-map>\n";
}

}  // namespace ringside::debug
