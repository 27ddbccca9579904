#include "debug/packets/scan.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "debug/packets/debugger.h"

namespace ringside::debug {
namespace {

// What is looked at in one go. Pieces can be far smaller, and then walking page tables is the work.
constexpr std::uint64_t kSlice = 4u << 20;
constexpr unsigned kPieces = 4096;

// CRC-32 with the high bit first, no reflection and no final inversion (GDB manual, "qCRC"). Table
// k is for a byte that k more follow.
using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;
constexpr CrcTables make_crc_tables() {
  CrcTables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i << 24;
    for (int bit = 0; bit < 8; ++bit)
      crc = crc << 1 ^ ((crc & 0x80000000) != 0 ? 0x04c11db7 : 0);
    tables[0][i] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::uint32_t i = 0; i < 256; ++i) {
      const std::uint32_t crc = tables[k - 1][i];
      tables[k][i] = crc << 8 ^ tables[0][crc >> 24];
    }
  }
  return tables;
}
constexpr CrcTables kCrc = make_crc_tables();

}  // namespace

std::optional<Result<std::string>> Scan::advance() {
  std::uint64_t budget = kSlice;
  for (unsigned pieces = 0; pieces < kPieces && budget > 0; ++pieces) {
    if (range_.at_end()) return at_end();
    const std::uint64_t address = range_.address();
    const Result<std::span<const std::byte>> piece = range_.next(budget);
    if (!piece) return fail(piece.error());
    if (piece->empty()) {
      skipped();
      continue;
    }
    if (std::optional<std::string> answer = take(address, *piece)) return std::move(*answer);
    budget -= piece->size();
  }
  return std::nullopt;
}

std::optional<std::string> Search::take(std::uint64_t address, std::span<const std::byte> piece) {
  seen_any_ = true;
  const std::size_t overlap = pattern_.size() - 1;
  if (!tail_.empty()) {
    const std::uint64_t tail_address = address - tail_.size();
    const std::span<const std::byte> head = piece.first(std::min(overlap, piece.size()));
    tail_.insert(tail_.end(), head.begin(), head.end());
    if (const std::byte* found = pattern_.find(tail_)) {
      return fmt::format("1,{:x}", tail_address + static_cast<std::uint64_t>(found - tail_.data()));
    }
  }
  if (const std::byte* found = pattern_.find(piece))
    return fmt::format("1,{:x}", address + static_cast<std::uint64_t>(found - piece.data()));
  if (piece.size() >= overlap) {
    tail_.assign(piece.end() - static_cast<std::ptrdiff_t>(overlap), piece.end());
  } else {
    if (tail_.empty()) tail_.assign(piece.begin(), piece.end());
    if (tail_.size() > overlap)
      tail_.erase(tail_.begin(), tail_.end() - static_cast<std::ptrdiff_t>(overlap));
  }
  return std::nullopt;
}

// A range in which there is no memory is a mistake of its own, as it is for m.
Result<std::string> Search::at_end() {
  if (skipped_any_ && !seen_any_)
    return fail(ErrorCode::BadAddress, "there is no memory in the range");
  return "0";
}

std::optional<std::string> Checksum::take(std::uint64_t, std::span<const std::byte> piece) {
  const std::byte* at = piece.data();
  const std::byte* const end = at + piece.size();
  const auto byte = [](const std::byte* from) { return std::to_integer<std::uint32_t>(*from); };
  for (; end - at >= 8; at += 8) {
    const std::uint32_t first =
        crc_ ^ (byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3));
    crc_ = kCrc[7][first >> 24] ^ kCrc[6][first >> 16 & 0xff] ^ kCrc[5][first >> 8 & 0xff] ^
           kCrc[4][first & 0xff] ^ kCrc[3][byte(at + 4)] ^ kCrc[2][byte(at + 5)] ^
           kCrc[1][byte(at + 6)] ^ kCrc[0][byte(at + 7)];
  }
  for (; at != end; ++at)
    crc_ = crc_ << 8 ^ kCrc[0][(crc_ >> 24 ^ byte(at)) & 0xff];
  return std::nullopt;
}

Result<std::string> Checksum::at_end() { return fmt::format("C{:08x}", crc_); }

Debugger::Answer Debugger::serve(const rsp::SearchMemory& request) {
  scan_ = std::make_unique<Search>(range(request.address, request.length, MemoryRange::Holes::Skip),
                                   request.pattern);
  return continue_scan();
}

Debugger::Answer Debugger::serve(const rsp::ChecksumMemory& request) {
  scan_ = std::make_unique<Checksum>(
      range(request.address, request.length, MemoryRange::Holes::Refuse));
  return continue_scan();
}

MemoryRange Debugger::range(Gva address, std::uint64_t length, MemoryRange::Holes holes) {
  return {target_.vm(),
          target_.breakpoints(),
          session_.current,
          session_.addresses,
          address.value,
          length,
          holes};
}

Debugger::Answer Debugger::continue_scan() {
  const std::optional<Result<std::string>> result = scan_->advance();
  if (!result) return std::nullopt;
  scan_.reset();
  return *result ? **result : refuse(*result);
}

Debugger::Answer Debugger::give_up_scan() {
  const Result<std::string> result = scan_->give_up();
  scan_.reset();
  return result ? *result : refuse(result);
}

}  // namespace ringside::debug
