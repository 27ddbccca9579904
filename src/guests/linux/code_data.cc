#include "guests/linux/code_data.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace ringside::guests {
namespace {

constexpr std::size_t kCode = 256;

// The function's first bytes, as many as are in memory.
std::vector<std::byte> code_at(const KernelMemory& memory, Gva function) {
  for (std::size_t size = kCode; size >= 16; size /= 2)
    if (auto code = memory.read(function, size)) return *std::move(code);
  return {};
}

std::int32_t displacement_at(std::span<const std::byte> code, std::size_t at) {
  std::int32_t value = 0;
  std::memcpy(&value, code.data() + at, sizeof value);
  return value;
}

}  // namespace

std::vector<Gva> addresses_in_code(const KernelMemory& memory, Gva function) {
  const std::vector<std::byte> code = code_at(memory, function);
  std::vector<Gva> found;
  for (std::size_t at = 0; at + 4 <= code.size(); ++at) {
    const auto value = static_cast<std::uint64_t>(std::int64_t{displacement_at(code, at)});
    if (memory.word() == Word::Bits32) {
      found.push_back(Gva{value & 0xffffffff});
      continue;
    }
    found.push_back(Gva{value});
    found.push_back(function + at + 4 + value);
  }
  return found;
}

std::optional<std::uint32_t> displacement_of_store(const KernelMemory& memory, Gva function,
                                                   std::uint32_t value) {
  const std::vector<std::byte> code = code_at(memory, function);
  const auto byte = [&](std::size_t at) { return std::to_integer<unsigned>(code[at]); };
  for (std::size_t at = 0; at + 10 <= code.size(); ++at) {
    if (byte(at) != 0xc7) continue;
    const unsigned mode = byte(at + 1) >> 6, base = byte(at + 1) & 7;
    // Of a register alone: 4 would be followed by a SIB byte.
    if ((byte(at + 1) >> 3 & 7) != 0 || base == 4 || (mode != 1 && mode != 2)) continue;
    const std::size_t constant = at + (mode == 1 ? 3 : 6);
    if (static_cast<std::uint32_t>(displacement_at(code, constant)) != value) continue;
    return mode == 1 ? byte(at + 2) : static_cast<std::uint32_t>(displacement_at(code, at + 2));
  }
  return std::nullopt;
}

std::optional<std::uint32_t> displacement_of_stack_switch(const KernelMemory& memory,
                                                          Gva function) {
  const std::vector<std::byte> code = code_at(memory, function);
  const std::string_view text(reinterpret_cast<const char*>(code.data()), code.size());
  // mov [eax + N], esp; mov esp, [edx + N]; or [rdi + N] and [rsi + N] with RSP.
  const bool is_wide = memory.word() == Word::Bits64;
  const std::string_view store = is_wide ? "\x48\x89\xa7" : "\x89\xa0";
  const std::string_view load = is_wide ? "\x48\x8b\xa6" : "\x8b\xa2";
  const std::size_t at = text.find(store);
  if (at == text.npos) return std::nullopt;
  const std::size_t end = at + store.size() + 4;
  if (end + load.size() + 4 > text.size() || !text.substr(end).starts_with(load))
    return std::nullopt;
  const std::int32_t displacement = displacement_at(code, at + store.size());
  if (displacement != displacement_at(code, end + load.size())) return std::nullopt;
  return static_cast<std::uint32_t>(displacement);
}

}  // namespace ringside::guests
