#include "machine/boot/multiboot_addresses.h"

#include <fmt/format.h>

#include <algorithm>

namespace ringside::machine {
namespace {

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::BadRequest, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace

Result<LoadedPart> part_by_addresses(Bytes file, std::uint64_t header_offset,
                                     const LoadAddresses& addresses) {
  const auto& [header, load, load_end, bss_end] = addresses;
  if (load > header || header - load > header_offset) {
    return bad("has a header at {:#x} that lies outside its load address {:#x}", header, load);
  }
  const std::uint64_t start = header_offset - (header - load);
  std::uint64_t size = file.size() - start;
  if (load_end != 0) {
    if (load_end < load) return bad("has load addresses that run backwards");
    if (load_end - load > size) {
      return bad("is cut short: it should fill {:#x} to {:#x} and has {} bytes", load, load_end,
                 size);
    }
    size = load_end - load;
  }
  std::uint64_t memory_size = size;
  if (bss_end > load) memory_size = std::max<std::uint64_t>(size, bss_end - load);
  return LoadedPart{{load}, *slice(file, start, size), memory_size};
}

}  // namespace ringside::machine
