#include "engine/soft/state/tlb.h"

#include <algorithm>
#include <vector>

namespace ringside::soft {

Tlb::Context* Tlb::find_context(std::uint16_t number) {
  for (Context& context : contexts_) {
    if (context.known && context.number == number) return &context;
  }
  return nullptr;
}

// The present context, which `context` is from now on, has no translations any more.
bool Tlb::begin_generation(std::uint16_t context) {
  const bool anew = ++newest_ == kGenerations;
  if (anew) {
    newest_ = 0;
    contexts_.fill(Context{});
    for (auto& bank : entries_)
      bank.fill(TlbEntry{});
    for (auto& bank : translations_)
      bank.fill(Set{});
  }
  generation_ = newest_;
  context_ = context;
  Context* slot = find_context(context);
  if (slot == nullptr) slot = &contexts_[eldest_context_++ % contexts_.size()];
  *slot = {context, true, generation_};
  return anew;
}

bool Tlb::flush(std::uint16_t context) {
  contexts_.fill(Context{});
  return begin_generation(context);
}

bool Tlb::enter(std::uint16_t context, Known known) {
  const Context* slot = find_context(context);
  if (known == Known::Dropped || slot == nullptr) return begin_generation(context);
  generation_ = slot->generation;
  context_ = context;
  return false;
}

bool Tlb::flush_context(std::uint16_t context) {
  if (context == context_) return begin_generation(context);
  if (Context* slot = find_context(context)) slot->known = false;
  return false;
}

void Tlb::keep(Privilege privilege, std::uint64_t linear, AccessKind kind, Gpa gpa) {
  const std::uint64_t page = gpa.value & kPageMask, tag = (linear & kPageMask) | generation_;
  const auto bank = static_cast<unsigned>(privilege);
  Set& places = translations_[bank][(linear >> 12) % kEntries];
  const Translation found{tag, kind == AccessKind::Write ? page | kWritten : page};
  if (places[1].tag == tag) {
    places[1] = found;
  } else {
    if (places[0].tag != tag) places[1] = places[0];
    places[0] = found;
  }
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

void Tlb::forget_write_paths() {
  for (auto& bank : entries_) {
    for (TlbEntry& entry : bank)
      entry.write_tag = TlbEntry::kInvalid;
  }
}

void Tlb::flush_page(std::uint64_t linear) {
  for (auto& bank : entries_)
    bank[(linear >> 12) % kEntries] = TlbEntry{};
  for (auto& bank : translations_)
    bank[(linear >> 12) % kEntries] = Set{};
}

void Tlb::protect_page(Gpa page) {
  for (auto& bank : entries_) {
    for (TlbEntry& entry : bank) {
      if (entry.gpa_page == page.value) entry.write_tag = TlbEntry::kInvalid;
    }
  }
}

bool Tlb::is_live(std::uint64_t tag) const {
  if (tag == TlbEntry::kInvalid) return false;
  const std::uint64_t generation = tag & ~kPageMask;
  return generation == generation_ ||
         std::any_of(contexts_.begin(), contexts_.end(), [&](const Context& context) {
           return context.known && context.generation == generation;
         });
}

bool Tlb::has_its_generations() const {
  const auto there = [&](const Context& context) {
    return !context.known || context.generation <= newest_;
  };
  return newest_ < kGenerations && generation_ <= newest_ &&
         std::all_of(contexts_.begin(), contexts_.end(), there);
}

Translation& Tlb::place(unsigned number) {
  return translations_[number / 2 / kEntries][number / 2 % kEntries][number % 2];
}

// Of most places there is nothing to say. What was of generations that are over is left out.
void Tlb::visit_state(StateVisitor& visitor) {
  visitor.fields(generation_, newest_, context_, eldest_context_);
  for (Context& context : contexts_)
    visitor.fields(context.number, context.known, context.generation);
  constexpr unsigned kPlaces = kPrivilegeCount * kEntries * 2;
  struct Kept {
    std::uint64_t place, tag, gpa_page;
  };
  std::vector<Kept> kept;
  for (unsigned i = 0; i < kPlaces && !visitor.loading(); ++i) {
    const Translation& found = place(i);
    if (is_live(found.tag)) kept.push_back({i, found.tag, found.gpa_page});
  }
  std::uint64_t count = kept.size();
  visitor.field(count);
  visitor.expect(count <= kPlaces && has_its_generations());
  kept.resize(std::min<std::uint64_t>(count, kPlaces));
  visitor.bytes(std::as_writable_bytes(std::span(kept)));
  if (!visitor.loading()) return;
  for (auto& bank : entries_)
    bank.fill(TlbEntry{});
  for (auto& bank : translations_)
    bank.fill(Set{});
  for (const Kept& one : kept) {
    visitor.expect(one.place < kPlaces && is_live(one.tag) &&
                   (one.gpa_page & ~kPageMask & ~kWritten) == 0);
    if (one.place < kPlaces) place(static_cast<unsigned>(one.place)) = {one.tag, one.gpa_page};
  }
}

}  // namespace ringside::soft
