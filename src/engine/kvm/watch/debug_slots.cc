#include "engine/kvm/watch/debug_slots.h"

#include <fmt/format.h>

#include <algorithm>

namespace ringside::kvm {
namespace {

using hypervisor::WatchKind;

// LEN of DR7: 00 one byte, 01 two, 11 four, 10 eight.
constexpr std::uint64_t length_code(unsigned length) {
  switch (length) {
    case 2:
      return 1;
    case 4:
      return 3;
    case 8:
      return 2;
    default:
      return 0;
  }
}
constexpr std::uint8_t kLengths[] = {1, 2, 8, 4};  // by code

}  // namespace

bool DebugSlots::add(const DebugSlot& slot) {
  for (DebugSlot& at : slots_) {
    if (at.owner != DebugSlot::Owner::Nobody) continue;
    at = slot;
    return true;
  }
  return false;
}

void DebugSlots::add_guests(const std::array<std::uint64_t, 4>& addresses, std::uint64_t dr7) {
  for (unsigned i = 0; i < kSlotCount; ++i) {
    if ((dr7 >> (2 * i) & 3) == 0) continue;
    const unsigned access = dr7 >> (16 + 4 * i) & 3;
    if (access == 2) continue;  // I/O accesses; KVM does not report those
    DebugSlot slot;
    slot.owner = DebugSlot::Owner::Guest;
    slot.access = static_cast<DebugSlot::Access>(access);
    slot.length = kLengths[dr7 >> (18 + 4 * i) & 3];
    slot.address = {addresses[i]};
    slot.guest_number = static_cast<std::uint8_t>(i);
    if (slots_[i].owner == DebugSlot::Owner::Nobody) {
      slots_[i] = slot;
    } else {
      add(slot);
    }
  }
}

unsigned DebugSlots::free() const {
  return static_cast<unsigned>(std::count_if(slots_.begin(), slots_.end(), [](const DebugSlot& s) {
    return s.owner == DebugSlot::Owner::Nobody;
  }));
}

std::uint64_t DebugSlots::dr7() const {
  std::uint64_t dr7 = 0x400;  // bit 10 is always set
  for (unsigned i = 0; i < kSlotCount; ++i) {
    const DebugSlot& slot = slots_[i];
    if (slot.owner == DebugSlot::Owner::Nobody) continue;
    dr7 |= std::uint64_t{2} << (2 * i);  // G: not cleared by task switches
    dr7 |= static_cast<std::uint64_t>(slot.access) << (16 + 4 * i);
    dr7 |= length_code(slot.length) << (18 + 4 * i);
  }
  return dr7;
}

std::vector<DebugSlot> Stoppoints::pieces(const Wish& wish) {
  std::vector<DebugSlot> result;
  std::uint64_t at = wish.address.value, left = wish.size;
  while (left > 0 && result.size() <= kSlotCount) {
    std::uint8_t length = 8;
    while (at % length != 0 || length > left)
      length = static_cast<std::uint8_t>(length / 2);
    DebugSlot slot;
    slot.owner = DebugSlot::Owner::Debugger;
    slot.length = length;
    slot.address = {at};
    slot.wished = wish.address;
    slot.kind = wish.kind;
    // The processor cannot tell reads alone (SDM 3B 17.2.4).
    if (wish.what == Kind::Watch) {
      slot.access =
          wish.kind == WatchKind::Write ? DebugSlot::Access::Write : DebugSlot::Access::ReadWrite;
    }
    result.push_back(slot);
    at += length;
    left -= length;
  }
  return result;
}

DebugSlots Stoppoints::slots(Which which) const {
  DebugSlots result;
  for (const Wish& wish : wishes_) {
    if (wish.what == Kind::SpareBreakpoint) continue;
    if (wish.what == Kind::Breakpoint && which == Which::WithoutBreakpoints) continue;
    for (const DebugSlot& slot : pieces(wish))
      result.add(slot);
  }
  return result;
}

void Stoppoints::add_spares(DebugSlots& slots) const {
  for (const Wish& wish : wishes_) {
    if (wish.what != Kind::SpareBreakpoint) continue;
    for (const DebugSlot& slot : pieces(wish))
      slots.add(slot);
  }
}

Result<void> Stoppoints::insert(const Wish& wish) {
  const std::size_t needed = pieces(wish).size();
  const unsigned left = slots(Which::All).free();
  if (needed > kSlotCount) {
    return fail(ErrorCode::NotSupported,
                fmt::format("{} bytes are more than the processor's 4 debug registers can watch",
                            wish.size));
  }
  if (needed > left) {
    return fail(ErrorCode::Busy,
                fmt::format("this takes {} of the processor's 4 debug registers and {} {} left",
                            needed, left, left == 1 ? "is" : "are"));
  }
  wishes_.push_back(wish);
  return {};
}

Result<void> Stoppoints::remove(const Wish& wish) {
  const auto found = std::find(wishes_.begin(), wishes_.end(), wish);
  if (found == wishes_.end()) return fail(ErrorCode::NotFound, "there is no such stoppoint");
  wishes_.erase(found);
  return {};
}

Result<void> Stoppoints::insert_breakpoint(Gva address) {
  const Wish wish{Kind::Breakpoint, address, 1, WatchKind::Write};
  if (std::find(wishes_.begin(), wishes_.end(), wish) != wishes_.end()) return {};
  TRY(insert(wish));
  (void)remove({Kind::SpareBreakpoint, address, 1, WatchKind::Write});
  return {};
}

Result<void> Stoppoints::insert_spare_breakpoint(Gva address) {
  if (!has_breakpoint(address))
    wishes_.push_back({Kind::SpareBreakpoint, address, 1, WatchKind::Write});
  return {};
}

Result<void> Stoppoints::remove_breakpoint(Gva address) {
  for (const Kind kind : {Kind::Breakpoint, Kind::SpareBreakpoint})
    (void)remove({kind, address, 1, WatchKind::Write});
  return {};
}

bool Stoppoints::has_breakpoint(Gva address) const {
  return std::any_of(wishes_.begin(), wishes_.end(), [&](const Wish& wish) {
    return wish.what != Kind::Watch && wish.address == address;
  });
}

Result<void> Stoppoints::insert_watchpoint(Gva address, std::uint64_t size, WatchKind kind) {
  if (size == 0 || address.value + size - 1 < address.value) {
    return fail(ErrorCode::BadRequest, "a watched range is at least one byte and does not wrap");
  }
  return insert({Kind::Watch, address, size, kind});
}

Result<void> Stoppoints::remove_watchpoint(Gva address, std::uint64_t size, WatchKind kind) {
  return remove({Kind::Watch, address, size, kind});
}

}  // namespace ringside::kvm
