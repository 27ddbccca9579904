// m M x X.
#include <algorithm>

#include "debug/debugger.h"
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
  const Result<void> written = memory().write(request.address.value, request.data);
  if (!written) return refuse(written);
  return rsp::reply::ok();
}

}  // namespace ringside::debug
