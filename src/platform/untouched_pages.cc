#include "platform/untouched_pages.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "ringside/types.h"

namespace ringside::hypervisor {

UntouchedPages::UntouchedPages() : pagemap_(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}

std::size_t UntouchedPages::prefix(std::span<const std::byte> memory) const {
  constexpr std::uint64_t kPresentOrSwapped = std::uint64_t{3} << 62;
  std::array<std::uint64_t, kMost / kPageSize> entries;
  const std::size_t pages =
      std::min<std::size_t>((memory.size() + kPageSize - 1) / kPageSize, entries.size());
  const auto first = reinterpret_cast<std::uintptr_t>(memory.data()) / kPageSize;
  const ssize_t read = ::pread(pagemap_.get(), entries.data(), pages * sizeof entries[0],
                               static_cast<off_t>(first * sizeof entries[0]));
  if (read <= 0) return 0;
  const auto known = entries.begin() + read / static_cast<ssize_t>(sizeof entries[0]);
  const auto touched = std::find_if(
      entries.begin(), known, [](std::uint64_t entry) { return (entry & kPresentOrSwapped) != 0; });
  return std::min(static_cast<std::size_t>(touched - entries.begin()) * kPageSize, memory.size());
}

}  // namespace ringside::hypervisor
