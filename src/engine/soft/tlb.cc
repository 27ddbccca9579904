#include "engine/soft/tlb.h"

namespace ringside::soft {

void Tlb::flush() {
  // 0xfff would let a tag look like kInvalid for the topmost page.
  if (++generation_ < 0xffe) return;
  generation_ = 0;
  for (auto& bank : entries_)
    bank.fill(TlbEntry{});
}

void Tlb::flush_page(std::uint64_t linear) {
  for (auto& bank : entries_)
    bank[(linear >> 12) % kEntries] = TlbEntry{};
}

void Tlb::protect_page(Gpa page) {
  for (auto& bank : entries_) {
    for (TlbEntry& entry : bank) {
      if (entry.gpa_page == page.value) entry.write_tag = TlbEntry::kInvalid;
    }
  }
}

}  // namespace ringside::soft
