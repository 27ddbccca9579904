#include "time/record/check.h"

#include <fmt/format.h>

#include <charconv>
#include <istream>

#include "base/hex.h"

namespace ringside::time {
namespace {

constexpr const char *kVcpu = "vcpu", *kSchedule = "schedule", *kDevices = "devices",
                     *kMemory = "memory";

bool take(std::istream& words, const char* expected) {
  std::string word;
  return words >> word && word == expected;
}

bool take_hex(std::istream& words, std::uint64_t& value) {
  std::string word;
  if (!(words >> word)) return false;
  const auto parsed = parse_hex(word);
  value = parsed.value_or(0);
  return parsed.has_value();
}

bool take_decimal(std::istream& words, std::uint64_t& value) {
  std::string word;
  if (!(words >> word)) return false;
  const char* const end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  return error == std::errc() && stop == end;
}

bool take_part(std::istream& words, PageSum& part) {
  return take_hex(words, part.plain) && take_hex(words, part.weighted) &&
         part.plain < PageSum::kPrime && part.weighted < PageSum::kPrime;
}

std::string difference(std::size_t vcpu, const VcpuCheck& recorded, const VcpuCheck& now) {
  if (recorded.instructions == now.instructions && recorded.rip == now.rip) {
    return fmt::format("vCPU {}: at RIP {:#x} after {} instructions of its own, with another state",
                       vcpu, now.rip, now.instructions.value);
  }
  return fmt::format(
      "vCPU {}: at RIP {:#x} after {} instructions of its own, in the recording at {:#x} after {}",
      vcpu, now.rip, now.instructions.value, recorded.rip, recorded.instructions.value);
}

std::string difference(std::size_t part, const PageSum& recorded, const PageSum& now,
                       std::uint64_t pages) {
  const bool last = part + 1 == kMemoryParts;
  const std::uint64_t first = part * pages, end = first + pages;
  const std::uint64_t page = differing_page(recorded, now);
  if (recorded.plain != now.plain && page >= first && (page < end || last))
    return fmt::format("memory: the page at {:#x}", page * kPageSize);
  return fmt::format("memory: several pages from {:#x}{}", first * kPageSize,
                     last ? " on" : fmt::format(" to {:#x}", end * kPageSize - 1));
}

}  // namespace

std::string to_words(const Check& check) {
  std::string text;
  for (const VcpuCheck& vcpu : check.vcpus) {
    text += fmt::format("{} {} {:x} {:016x} ", kVcpu, vcpu.instructions.value, vcpu.rip, vcpu.hash);
  }
  text += fmt::format("{} {:016x} {} {:016x} {}", kSchedule, check.schedule, kDevices,
                      check.devices, kMemory);
  for (const PageSum& part : check.memory)
    text += fmt::format(" {:x} {:x}", part.plain, part.weighted);
  return text;
}

std::optional<Check> check_of_words(std::istream& words, unsigned vcpus) {
  Check check;
  for (unsigned i = 0; i < vcpus; ++i) {
    VcpuCheck& vcpu = check.vcpus.emplace_back();
    if (!take(words, kVcpu) || !take_decimal(words, vcpu.instructions.value) ||
        !take_hex(words, vcpu.rip) || !take_hex(words, vcpu.hash))
      return std::nullopt;
  }
  if (!take(words, kSchedule) || !take_hex(words, check.schedule) || !take(words, kDevices) ||
      !take_hex(words, check.devices) || !take(words, kMemory))
    return std::nullopt;
  for (PageSum& part : check.memory) {
    if (!take_part(words, part)) return std::nullopt;
  }
  std::string rest;
  if (words >> rest) return std::nullopt;
  return check;
}

std::vector<std::string> differences(const Check& recorded, const Check& now,
                                     std::uint64_t pages_in_part) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < now.vcpus.size() && i < recorded.vcpus.size(); ++i) {
    if (recorded.vcpus[i] != now.vcpus[i])
      lines.push_back(difference(i, recorded.vcpus[i], now.vcpus[i]));
  }
  if (recorded.schedule != now.schedule)
    lines.emplace_back("time: virtual time, or which vCPU's turn it is");
  if (recorded.devices != now.devices) lines.emplace_back("devices: their state");
  for (std::size_t i = 0; i < kMemoryParts; ++i) {
    if (recorded.memory[i] != now.memory[i])
      lines.push_back(difference(i, recorded.memory[i], now.memory[i], pages_in_part));
  }
  return lines;
}

}  // namespace ringside::time
