#include "engine/soft/tlb.h"

namespace ringside::soft {

void Tlb::flush() {
  // 0xfff would let a tag look like kInvalid for the topmost page.
  if (++generation_ < 0xffe) return;
  generation_ = 0;
  for (auto& bank : entries_)
    bank.fill(TlbEntry{});
  for (auto& bank : translations_)
    bank.fill(Translation{});
}

void Tlb::keep(Privilege privilege, std::uint64_t linear, AccessKind kind, Gpa gpa) {
  const std::uint64_t page = gpa.value & kPageMask, tag = (linear & kPageMask) | generation_;
  const auto bank = static_cast<unsigned>(privilege);
  translations_[bank][(linear >> 12) % kEntries] = {
      tag, kind == AccessKind::Write ? page | kWritten : page};
  TlbEntry& fast = entries_[bank][(linear >> 12) % kEntries];
  if (fast.read_tag != tag || fast.gpa_page != page)
    fast.read_tag = fast.write_tag = TlbEntry::kInvalid;
}

void Tlb::forget_fast_paths() {
  for (auto& bank : entries_) {
    for (TlbEntry& entry : bank)
      entry.read_tag = entry.write_tag = TlbEntry::kInvalid;
  }
}

void Tlb::flush_page(std::uint64_t linear) {
  for (auto& bank : entries_)
    bank[(linear >> 12) % kEntries] = TlbEntry{};
  for (auto& bank : translations_)
    bank[(linear >> 12) % kEntries] = Translation{};
}

void Tlb::protect_page(Gpa page) {
  for (auto& bank : entries_) {
    for (TlbEntry& entry : bank) {
      if (entry.gpa_page == page.value) entry.write_tag = TlbEntry::kInvalid;
    }
  }
}

}  // namespace ringside::soft
