#include "debug/scan.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "debug/debugger.h"

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

// Bytes that memory is full of are no good to look for.
unsigned commonness(std::byte byte) {
  const auto value = std::to_integer<unsigned>(byte);
  if (value == 0) return 4;
  if (value == 0xff) return 3;
  const bool in_code = value == 0x48 || value == 0x0f || value == 0x89 || value == 0x8b;
  const bool in_text = value == ' ' || value == 'e' || value == 't' || value == 'a';
  return in_code || in_text || value < 8 || value == 0xcc || value == 0x90 ? 2 : 1;
}

}  // namespace

std::optional<Result<std::string>> Scan::advance() {
  std::uint64_t budget = kSlice;
  for (unsigned pieces = 0; pieces < kPieces && budget > 0; ++pieces) {
    if (range_.at_end()) return at_end();
    const std::uint64_t address = range_.address();
    const Result<std::span<const std::byte>> piece = range_.next(budget);
    if (!piece) return fail(piece.error());
    if (std::optional<std::string> answer = take(address, *piece)) return std::move(*answer);
    budget -= piece->size();
  }
  return std::nullopt;
}

Search::Search(MemoryRange range, std::vector<std::byte> pattern)
    : Scan(std::move(range)), pattern_(std::move(pattern)) {
  const auto rarest =
      std::min_element(pattern_.begin(), pattern_.end(),
                       [](std::byte a, std::byte b) { return commonness(a) < commonness(b); });
  rare_ = static_cast<std::size_t>(rarest - pattern_.begin());
}

// memchr is several times as fast as memmem where the byte is as rare as it looked.
const std::byte* Search::find(std::span<const std::byte> where) const {
  if (where.size() < pattern_.size()) return nullptr;
  const std::byte* at = where.data();
  const std::byte* const last = where.data() + (where.size() - pattern_.size());
  for (std::ptrdiff_t misses = 0; at <= last; ++misses, ++at) {
    const auto distance = static_cast<std::size_t>(last - at) + 1;
    if (misses * 256 > at - where.data() + 4096) {
      return static_cast<const std::byte*>(
          ::memmem(at, distance + pattern_.size() - 1, pattern_.data(), pattern_.size()));
    }
    const void* found = std::memchr(at + rare_, std::to_integer<int>(pattern_[rare_]), distance);
    if (found == nullptr) return nullptr;
    at = static_cast<const std::byte*>(found) - rare_;
    if (std::memcmp(at, pattern_.data(), pattern_.size()) == 0) return at;
  }
  return nullptr;
}

std::optional<std::string> Search::take(std::uint64_t address, std::span<const std::byte> piece) {
  const std::size_t overlap = pattern_.size() - 1;
  if (!tail_.empty()) {
    const std::uint64_t tail_address = address - tail_.size();
    const std::span<const std::byte> head = piece.first(std::min(overlap, piece.size()));
    tail_.insert(tail_.end(), head.begin(), head.end());
    if (const std::byte* found = find(tail_)) {
      return fmt::format("1,{:x}", tail_address + static_cast<std::uint64_t>(found - tail_.data()));
    }
  }
  if (const std::byte* found = find(piece))
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

std::string Checksum::at_end() { return fmt::format("C{:08x}", crc_); }

Debugger::Answer Debugger::serve(const rsp::SearchMemory& request) {
  scan_ = std::make_unique<Search>(range(request.address, request.length), request.pattern);
  return continue_scan();
}

Debugger::Answer Debugger::serve(const rsp::ChecksumMemory& request) {
  scan_ = std::make_unique<Checksum>(range(request.address, request.length));
  return continue_scan();
}

MemoryRange Debugger::range(Gva address, std::uint64_t length) {
  return {target_.vm(),       target_.breakpoints(), session_.current,
          session_.addresses, address.value,         length};
}

Debugger::Answer Debugger::continue_scan() {
  const std::optional<Result<std::string>> result = scan_->advance();
  if (!result) return std::nullopt;
  scan_.reset();
  return *result ? **result : refuse(*result);
}

Debugger::Answer Debugger::give_up_scan() {
  scan_.reset();
  return refuse(ErrorCode::Busy, "interrupted");
}

}  // namespace ringside::debug
