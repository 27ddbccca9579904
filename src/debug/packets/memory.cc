// m M x X qMemoryRegionInfo.
#include <fmt/core.h>

#include <algorithm>

#include "debug/client/changes.h"
#include "debug/memory/memory_regions.h"
#include "debug/packets/debugger.h"
#include "hypervisor/guest_memory.h"
#include "rsp/framing.h"

namespace ringside::debug {
namespace {

// A reply of this many bytes of memory fits in a packet, in hex and in escaped binary. Asking for
// more is no error: the client gets a prefix, as at an unmapped page.
constexpr std::uint64_t kLongestRead = rsp::kPacketSize / 2;

}  // namespace

ShadowedMemory Debugger::memory() {
  return {target_.vm(), target_.breakpoints(), session_.current, session_.addresses};
}

Debugger::Answer Debugger::serve(const rsp::ReadMemory& request) {
  const bool binary = request.encoding == rsp::MemoryEncoding::Binary;
  std::vector<std::byte> data;
  if (request.length != 0) {
    Result<std::vector<std::byte>> read =
        memory().read(request.address.value, std::min(request.length, kLongestRead));
    if (!read) return refuse(read);
    data = std::move(*read);
  }
  return binary ? rsp::reply::binary(data) : rsp::reply::hex(data);
}

Debugger::Answer Debugger::serve(const rsp::WriteMemory& request) {
  if (const Result<void> may = may_change(options_); !may) return refuse(may);
  const Result<void> written = memory().write(request.address.value, request.data);
  if (!written) return refuse(written);
  return rsp::reply::ok();
}

// A range without permissions is one that is not mapped. LLDB adds start and size, and its own end
// of all addresses is the last one, so no range of ours goes beyond.
Debugger::Answer Debugger::serve(const rsp::DescribeMemory& request) {
  constexpr std::uint64_t kLast = ~std::uint64_t{0};
  if (request.address.value == kLast)
    return refuse(ErrorCode::BadAddress, "no range can hold the last address");
  std::optional<MemoryStretch> stretch;
  if (session_.addresses.kind == AddressKind::Physical) {
    stretch = physical_stretch(target_.vm().memory().regions(), Gpa{request.address.value});
  } else {
    const auto map =
        hypervisor::LinearMap::of(target_.vm(), session_.current, session_.addresses.cr3);
    if (!map) return refuse(map);
    stretch = linear_stretch(*map, request.address);
  }
  const std::uint64_t size = std::min(stretch->last, kLast - 1) - stretch->first + 1;
  std::string reply = fmt::format("start:{:x};size:{:x};", stretch->first, size);
  if (stretch->readable) {
    reply += fmt::format("permissions:r{}{};", stretch->writable ? "w" : "",
                         stretch->executable ? "x" : "");
  }
  return reply;
}

}  // namespace ringside::debug
