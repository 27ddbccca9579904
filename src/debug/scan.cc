// qSearch:memory and qCRC: what a client would otherwise do by reading everything over the wire.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "debug/debugger.h"

namespace ringside::debug {
namespace {

constexpr std::uint64_t kBlock = 1u << 20;
// The most that one request covers: a few seconds of work. Page tables can make a range endless.
constexpr std::uint64_t kLongestScan = std::uint64_t{4} << 30;

// CRC-32 with the high bit first, no reflection and no final inversion (GDB manual, "qCRC").
constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i << 24;
    for (int bit = 0; bit < 8; ++bit)
      crc = crc << 1 ^ ((crc & 0x80000000) != 0 ? 0x04c11db7 : 0);
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

Error too_long() {
  return Error(ErrorCode::BadRequest, "the range is longer than one request covers (4 GiB)");
}

}  // namespace

Debugger::Answer Debugger::serve(const rsp::SearchMemory& request) {
  const rsp::Bytes& pattern = request.pattern;
  if (request.length > kLongestScan) return refuse(too_long());
  std::vector<std::byte> window;  // the tail of the last block, then this block
  std::uint64_t done = 0;
  while (done < request.length) {
    const std::uint64_t address = request.address.value + done;
    const std::uint64_t wanted = std::min(kBlock, request.length - done);
    const Result<std::vector<std::byte>> block = memory().read(address, wanted);
    if (!block) return refuse(block);
    const std::uint64_t window_address = address - window.size();
    window.insert(window.end(), block->begin(), block->end());
    const void* found = ::memmem(window.data(), window.size(), pattern.data(), pattern.size());
    if (found != nullptr) {
      const auto offset =
          static_cast<std::uint64_t>(static_cast<const std::byte*>(found) - window.data());
      return fmt::format("1,{:x}", window_address + offset);
    }
    done += block->size();
    if (block->size() < wanted && done < request.length)
      return refuse(ErrorCode::BadAddress, "the range is not mapped to its end");
    const std::size_t keep = std::min(window.size(), pattern.size() - 1);
    window.erase(window.begin(), window.end() - static_cast<std::ptrdiff_t>(keep));
  }
  return "0";
}

Debugger::Answer Debugger::serve(const rsp::ChecksumMemory& request) {
  if (request.length > kLongestScan) return refuse(too_long());
  std::uint32_t crc = 0xffffffff;
  for (std::uint64_t done = 0; done < request.length;) {
    const std::uint64_t wanted = std::min(kBlock, request.length - done);
    const Result<std::vector<std::byte>> block =
        memory().read(request.address.value + done, wanted);
    if (!block) return refuse(block);
    for (const std::byte byte : *block)
      crc = crc << 8 ^ kCrcTable[(crc >> 24 ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
    done += block->size();
    if (block->size() < wanted)
      return refuse(ErrorCode::BadAddress, "the range is not mapped to its end");
  }
  return fmt::format("C{:08x}", crc);
}

}  // namespace ringside::debug
