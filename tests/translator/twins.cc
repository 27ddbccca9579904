#include "translator/twins.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/state_bytes.h"
#include "lockstep/fields.h"

namespace ringside::testing {
namespace {

constexpr unsigned kMostShown = 12;

std::vector<std::byte> processors_of(soft::SoftEngine& engine) {
  StateSaver saver;
  engine.visit_processors(saver);
  return std::move(saver.saved);
}

std::string row_text(const std::array<std::uint64_t, 4>& row) {
  return row[1] == 0 && row[2] == 0 && row[3] == 0
             ? fmt::format("{:x}", row[0])
             : fmt::format("{:x} {:x} {:x} {:x}", row[0], row[1], row[2], row[3]);
}

// Of a slot that both have: where it begins to differ, a piece at a time, so that what neither has
// touched is not touched by this.
void slot_difference(const hypervisor::GuestRam& left, const hypervisor::GuestRam& right, Gpa base,
                     std::uint64_t size, unsigned& shown, std::string& text) {
  for (std::uint64_t offset = 0; offset < size && shown < kMostShown;) {
    const Gpa at = base + offset;
    const std::span<const std::byte> a = left.view(at, size - offset);
    const std::span<const std::byte> b = right.view(at, size - offset);
    const std::size_t length = std::min(a.size(), b.size());
    offset += length;
    if (a.data() == b.data() || std::memcmp(a.data(), b.data(), length) == 0) continue;
    for (std::size_t i = 0; i < length && shown < kMostShown; ++i) {
      if (a[i] == b[i]) continue;
      ++shown;
      text += fmt::format("  memory at {:x}: interpreted {:02x}, translated {:02x}\n", at.value + i,
                          std::to_integer<unsigned>(a[i]), std::to_integer<unsigned>(b[i]));
    }
  }
}

}  // namespace

std::string processor_difference(soft::SoftEngine& interpreted, soft::SoftEngine& translated) {
  std::string text;
  const auto say = [&](std::string_view what, const auto& left, const auto& right) {
    if (left != right)
      text += fmt::format("  {}: interpreted {}, translated {}\n", what, left, right);
  };
  const hypervisor::Progress left = interpreted.progress(), right = translated.progress();
  say("instructions of all vCPUs", left.instructions.value, right.instructions.value);
  say("parts since", left.parts, right.parts);
  say("virtual time", interpreted.now().ns, translated.now().ns);
  const std::vector<std::byte> a = processors_of(interpreted), b = processors_of(translated);
  if (text.empty() && a == b) return text;
  for (std::uint32_t i = 0; i < interpreted.vcpu_count(); ++i) {
    hypervisor::Vcpu &one = interpreted.vcpu({i}), &other = translated.vcpu({i});
    const std::string name = fmt::format("vCPU {} ", i);
    say(name + "instructions", one.instructions()->value, other.instructions()->value);
    say(name + "activity", static_cast<int>(one.activity()), static_cast<int>(other.activity()));
    const Fields ours = fields_of(*one.state()), theirs = fields_of(*other.state());
    for (std::size_t row = 0; row < ours.rows.size(); ++row) {
      if (ours.rows[row] == theirs.rows[row]) continue;
      say(name + std::string(name_of(row)), row_text(ours.rows[row]), row_text(theirs.rows[row]));
    }
  }
  // What no debugger sees: shadows of interrupts, the turn, the time of a string instruction.
  const auto differs = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  text += fmt::format("  saved state: {} and {} bytes, which differ from byte {} on\n", a.size(),
                      b.size(), differs.first - a.begin());
  return text;
}

std::string memory_difference(const hypervisor::GuestRam& interpreted,
                              const hypervisor::GuestRam& translated) {
  std::string text;
  unsigned shown = 0;
  for (const hypervisor::RamSlot& slot : interpreted.slots())
    slot_difference(interpreted, translated, slot.base, slot.size, shown, text);
  return text;
}

}  // namespace ringside::testing
