#include "time/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/hex.h"
#include "base/state_bytes.h"
#include "x86/register_table.h"

namespace ringside::time {
namespace {

std::vector<std::byte> bytes_of_vcpu(Rerun& run, VcpuId vcpu) {
  StateSaver saver;
  run.engine().recordable()->visit_vcpu(vcpu, saver);
  return std::move(saver.saved);
}

std::vector<std::byte> bytes_of_schedule(Rerun& run) {
  StateSaver saver;
  run.engine().recordable()->visit_schedule(saver);
  return std::move(saver.saved);
}

std::string in_words(const x86::RegisterInfo& info, const x86::RegisterValue& value) {
  if (info.size() <= sizeof(std::uint64_t)) return fmt::format("{:#x}", value.as_u64());
  std::string text = "0x";
  for (std::size_t i = info.size(); i-- > 0;)
    text += fmt::format("{:02x}", value.bytes[i]);
  return text;
}

// Of one vCPU, a line for each register that differs, and for the rest.
std::vector<std::string> different_registers(Rerun& a, Rerun& b, VcpuId id) {
  constexpr std::size_t kMost = 8;
  std::vector<std::string> lines;
  std::size_t count = 0;
  for (const x86::RegisterInfo& info : x86::kRegisters) {
    const auto in_a = a.engine().vcpu(id).read_register(info.id);
    const auto in_b = b.engine().vcpu(id).read_register(info.id);
    if (!in_a || !in_b || in_a->bytes == in_b->bytes || ++count > kMost) continue;
    lines.push_back(fmt::format("vCPU {} {}: {} in A, {} in B", id.value, info.name,
                                in_words(info, *in_a), in_words(info, *in_b)));
  }
  if (count > kMost)
    lines.push_back(fmt::format("vCPU {}: {} more registers", id.value, count - kMost));
  if (count == 0) {
    lines.push_back(fmt::format(
        "vCPU {}: no register, but what else belongs to it (pending interrupts, translations)",
        id.value));
  }
  return lines;
}

std::span<const std::uint8_t> bytes_at(Rerun& run, Gpa address, std::size_t size) {
  return {run.ram().host(address, size), size};
}

// Where each vCPU is, and which one moves.
struct Whereabouts {
  std::vector<std::uint64_t> rip, instructions;
};

Whereabouts whereabouts(Rerun& run) {
  Whereabouts result;
  for (std::uint32_t i = 0; i < run.engine().vcpu_count(); ++i) {
    hypervisor::Vcpu& vcpu = run.engine().vcpu({i});
    const auto rip = vcpu.read_register(x86::Register::Rip);
    result.rip.push_back(rip ? rip->as_u64() : 0);
    result.instructions.push_back(vcpu.instructions().value_or(InsnCount{}).value);
  }
  return result;
}

std::string describe_move(const char* name, const Whereabouts& before, const Whereabouts& after) {
  for (std::size_t i = 0; i < before.rip.size(); ++i) {
    if (before.instructions[i] == after.instructions[i]) continue;
    return fmt::format("\n  {}: vCPU {} from RIP {:#x} to {:#x}", name, i, before.rip[i],
                       after.rip[i]);
  }
  return fmt::format("\n  {}: no vCPU gets on", name);
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

// ---- Inputs

std::optional<DifferentInput> first_different_input(const JournalReader& a,
                                                    const JournalReader& b) {
  const std::vector<JournalEntry>&first = a.entries(), &second = b.entries();
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i >= first.size()) return DifferentInput{i, nullptr, &second[i]};
    if (i >= second.size()) return DifferentInput{i, &first[i], nullptr};
    if (first[i].at != second[i].at || to_words(first[i].input) != to_words(second[i].input))
      return DifferentInput{i, &first[i], &second[i]};
  }
  return std::nullopt;
}

std::string describe(const JournalEntry& entry) {
  constexpr std::size_t kMost = 64;
  std::string words = to_words(entry.input);
  if (words.size() > kMost) words = words.substr(0, kMost) + "...";
  const hypervisor::Progress& at = entry.at.progress;
  const std::string parts = at.parts == 0 ? "" : fmt::format("+{}", at.parts);
  return fmt::format("at {}{}, {} ns: {}", at.instructions.value, parts, entry.at.time.ns, words);
}

// The moments from which on the runs may differ: nothing else makes two machines that are the same
// different.
std::deque<std::uint64_t> Comparison::causes() const {
  std::deque<std::uint64_t> result;
  const auto first = first_different_input(a_.journal(), b_.journal());
  if (!first) return result;
  for (const Rerun* run : {&a_, &b_}) {
    const std::vector<JournalEntry>& entries = run->journal().entries();
    for (std::size_t i = first->number; i < entries.size(); ++i)
      result.push_back(entries[i].at.progress.instructions.value);
  }
  std::sort(result.begin(), result.end());
  return result;
}

// ---- Two machines

Result<void> Comparison::go_to(std::uint64_t count) {
  for (Rerun* run : {&a_, &b_})
    TRY(run->go_to(run->place_of({count})));
  return {};
}

void Comparison::remember() {
  a_.remember();
  b_.remember();
  devices_a_ = a_.machine().hash_devices();
  devices_b_ = b_.machine().hash_devices();
}

// One that differed where they were remembered is no longer as it was there.
bool Comparison::device_has_moved() {
  const DeviceHashes now_a = a_.machine().hash_devices(), now_b = b_.machine().hash_devices();
  for (std::size_t i = 0; i < now_a.size(); ++i) {
    const bool differed = devices_a_[i] != devices_b_[i];
    if (differed && (now_a[i] != devices_a_[i] || now_b[i] != devices_b_[i])) return true;
  }
  return false;
}

bool Comparison::same_vcpus() {
  for (std::uint32_t i = 0; i < a_.engine().vcpu_count(); ++i) {
    if (bytes_of_vcpu(a_, {i}) != bytes_of_vcpu(b_, {i})) return false;
  }
  return true;
}

// No other can differ.
std::vector<std::uint64_t> Comparison::union_of_changed_pages() {
  std::vector<std::uint64_t> pages;
  const std::vector<std::uint64_t>&first = a_.changed_pages(), &second = b_.changed_pages();
  std::set_union(first.begin(), first.end(), second.begin(), second.end(),
                 std::back_inserter(pages));
  return pages;
}

std::optional<Gpa> Comparison::first_different_byte() {
  for (const std::uint64_t number : union_of_changed_pages()) {
    const Gpa page{number * kPageSize};
    const auto in_a = bytes_at(a_, page, kPageSize), in_b = bytes_at(b_, page, kPageSize);
    const auto place = std::mismatch(in_a.begin(), in_a.end(), in_b.begin()).first;
    if (place != in_a.end()) return page + static_cast<std::uint64_t>(place - in_a.begin());
  }
  return std::nullopt;
}

std::size_t Comparison::different_pages() {
  const std::vector<std::uint64_t> pages = union_of_changed_pages();
  return static_cast<std::size_t>(
      std::count_if(pages.begin(), pages.end(), [&](std::uint64_t number) {
        const Gpa page{number * kPageSize};
        const auto in_a = bytes_at(a_, page, kPageSize), in_b = bytes_at(b_, page, kPageSize);
        return std::memcmp(in_a.data(), in_b.data(), kPageSize) != 0;
      }));
}

std::vector<std::string> Comparison::different_devices() {
  std::vector<std::string> names;
  if (bytes_of_schedule(a_) != bytes_of_schedule(b_)) names.emplace_back("virtual time");
  const auto in_a = a_.machine().hash_devices(), in_b = b_.machine().hash_devices();
  for (std::size_t i = 0; i < in_a.size(); ++i) {
    if (in_a[i] != in_b[i]) names.push_back(in_a[i].first);
  }
  return names;
}

std::vector<std::string> Comparison::different_state() {
  std::vector<std::string> lines;
  for (std::uint32_t i = 0; i < a_.engine().vcpu_count(); ++i) {
    if (bytes_of_vcpu(a_, {i}) == bytes_of_vcpu(b_, {i})) continue;
    const std::vector<std::string> more = different_registers(a_, b_, {i});
    lines.insert(lines.end(), more.begin(), more.end());
  }
  const std::optional<Gpa> byte = first_different_byte();
  if (!byte) return lines;
  const std::size_t size = std::min<std::uint64_t>(8, kPageSize - byte->value % kPageSize);
  const std::size_t pages = different_pages();
  lines.push_back(fmt::format("memory at physical {:#x}: {} in A, {} in B{}", byte->value,
                              to_hex(std::as_bytes(bytes_at(a_, *byte, size))),
                              to_hex(std::as_bytes(bytes_at(b_, *byte, size))),
                              pages == 1 ? "" : fmt::format("; {} pages differ", pages)));
  return lines;
}

// ---- The search

Result<Comparison::Finding> Comparison::run() {
  std::deque<std::uint64_t> next = causes();
  const std::uint64_t end = std::min(a_.end(), b_.end()).at.progress.instructions.value;
  std::uint64_t same = 0, stride = kFarthest;
  unsigned looks = 0;
  TRY(go_to(0));
  remember();
  while (same < end) {
    while (!next.empty() && next.front() <= same) {
      next.pop_front();
      stride = 1;
    }
    std::uint64_t there = same + std::min(stride, end - same);
    if (!next.empty()) there = std::min(there, next.front());
    TRY(go_to(there));
    if (parted()) return report(TRY(narrow(same, there, Until::Parted)));
    if (there - same > 1 && looks < kMostLooks && device_has_moved()) {
      ++looks;
      same = TRY(narrow(same, there, Until::DeviceMoved));
      TRY(go_to(same + 1));
      if (parted()) return report(same);
      there = same + 1;
      stride = 1;
    }
    stride = different_devices().empty() ? kFarthest : std::min(2 * stride, kFarthest);
    same = there;
    remember();
  }
  return compare_ends(end);
}

// Goes back to where they were the same, and on in shorter strides, to the last instruction before
// what it looks for. Both have been remembered there.
Result<std::uint64_t> Comparison::narrow(std::uint64_t same, std::uint64_t different, Until until) {
  while (different - same > 1) {
    a_.go_back();
    b_.go_back();
    const std::uint64_t stride = std::max<std::uint64_t>(1, (different - same) / kPieces);
    for (std::uint64_t there = same + stride; there < different; there += stride) {
      TRY(go_to(there));
      if (parted() || (until == Until::DeviceMoved && device_has_moved())) {
        different = there;
        break;
      }
      same = there;
      remember();
    }
  }
  return same;
}

Result<Comparison::Finding> Comparison::report(std::uint64_t same) {
  a_.go_back();
  b_.go_back();
  const std::vector<std::string> devices = different_devices();
  const Whereabouts a = whereabouts(a_), b = whereabouts(b_);
  TRY(go_to(same + 1));
  Finding finding{true, fmt::format("runs: the same up to instruction {}; the next one differs{}{}",
                                    same, describe_move("A", a, whereabouts(a_)),
                                    describe_move("B", b, whereabouts(b_)))};
  for (const std::string& line : different_state())
    finding.text += "\n  " + line;
  if (!devices.empty()) finding.text += "\n  before it already: " + list(devices);
  return finding;
}

// No instruction has made a difference.
Result<Comparison::Finding> Comparison::compare_ends(std::uint64_t end) {
  const Place &a = a_.end(), &b = b_.end();
  // What has come to a guest that no longer executes anything.
  if (a.at == b.at) {
    TRY(a_.go_to(a));
    TRY(b_.go_to(b));
  }
  Finding finding;
  finding.text = fmt::format("runs: no instruction differs up to {}", end);
  if (a.at != b.at) {
    const bool a_first = a.at < b.at;
    finding.text += fmt::format(", where {} ends; {} goes on to {}", a_first ? "A" : "B",
                                a_first ? "B" : "A", std::max(a, b).at.progress.instructions.value);
  }
  std::vector<std::string> lines = different_state();
  if (const std::vector<std::string> devices = different_devices(); !devices.empty())
    lines.push_back("devices and time: " + list(devices));
  finding.differ = !lines.empty();
  if (finding.differ) finding.text += "\n  but there differ:";
  for (const std::string& line : lines)
    finding.text += "\n  " + line;
  return finding;
}

}  // namespace ringside::time
