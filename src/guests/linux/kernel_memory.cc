#include "guests/linux/kernel_memory.h"

#include <algorithm>
#include <cstring>

namespace ringside::guests {

Result<KernelMemory> KernelMemory::of(hypervisor::Vm& vm, VcpuId vcpu, std::uint64_t cr3,
                                      Word word) {
  Result<hypervisor::LinearMap> map = hypervisor::LinearMap::of(vm, vcpu, cr3);
  if (!map) return fail(std::move(map).error());
  return KernelMemory(vm.memory(), *map, word);
}

bool KernelMemory::read(Gva address, std::span<std::byte> out) const {
  constexpr std::uint64_t kLow = 0xffffffff;
  if (word_ == Word::Bits32) address.value &= kLow;
  while (!out.empty()) {
    const hypervisor::LinearPiece piece = map_.at(address);
    if (!piece.gpa) return false;
    const Gpa where = *piece.gpa + (address.value - piece.first.value);
    // To the end of a page at most, because memory may change its kind there.
    std::uint64_t size = kPageSize - (where.value & ~kPageMask);
    size = std::min({size, piece.last.value - address.value + 1, std::uint64_t{out.size()}});
    if (!memory_->read_ram(where, out.first(size))) return false;
    out = out.subspan(size);
    address = address + size;
    if (address.value == 0 && !out.empty()) return false;
  }
  return true;
}

std::optional<std::vector<std::byte>> KernelMemory::read(Gva address, std::uint64_t size) const {
  std::vector<std::byte> bytes;
  // What is not there is found out before all of the room is taken.
  constexpr std::uint64_t kPiece = 1u << 20;
  for (std::uint64_t at = 0; at < size; at += kPiece) {
    const std::uint64_t count = std::min(kPiece, size - at);
    bytes.resize(at + count);
    if (!read(address + at, std::span(bytes).subspan(at))) return std::nullopt;
  }
  return bytes;
}

std::optional<std::uint64_t> KernelMemory::number(Gva address) const {
  std::uint64_t value = 0;
  if (!numbers(address, std::span(&value, 1))) return std::nullopt;
  return value;
}

bool KernelMemory::numbers(Gva address, std::span<std::uint64_t> out) const {
  if (word_ == Word::Bits64) return read(address, std::as_writable_bytes(out));
  // Into the second half, from where none is overwritten before it is read.
  const auto bytes = std::as_writable_bytes(out);
  const auto half = bytes.subspan(bytes.size() / 2);
  if (!read(address, half)) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint32_t value = 0;
    std::memcpy(&value, half.data() + i * sizeof value, sizeof value);
    out[i] = value;
  }
  return true;
}

std::optional<std::string> KernelMemory::text(Gva address, std::size_t most) const {
  std::string result;
  std::byte piece[64];
  while (result.size() < most) {
    const std::uint64_t in_page = kPageSize - (address.value & ~kPageMask);
    const std::size_t count = std::min({sizeof piece, most - result.size(), std::size_t{in_page}});
    if (!read(address, std::span(piece).first(count))) break;
    const std::string_view shown(reinterpret_cast<const char*>(piece), count);
    const std::size_t end = shown.find('\0');
    result += printable(shown.substr(0, end));
    if (end != shown.npos) return result;
    address = address + count;
  }
  if (result.empty() && most != 0) return std::nullopt;
  return result;
}

std::vector<std::uint64_t> words_in(std::span<const std::byte> bytes, Word word) {
  std::vector<std::uint64_t> words(bytes.size() / size_of(word));
  for (std::size_t i = 0; i < words.size(); ++i)
    std::memcpy(&words[i], bytes.data() + i * size_of(word), size_of(word));
  return words;
}

std::string printable(std::string_view text) {
  std::string result(text);
  std::replace_if(
      result.begin(), result.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

}  // namespace ringside::guests
