#include "engine/kvm/host/memory_slots.h"

#include <algorithm>

#include "engine/kvm/host/api.h"

namespace ringside::kvm {

Result<void> MemorySlots::add_all(const hypervisor::GuestRam& ram) {
  for (const hypervisor::RamSlot& slot : ram.slots())
    TRY(add(slot.base.value, slot.size, slot.host, slot.read_only));
  return {};
}

// A size of 0 takes a slot away.
Result<void> MemorySlots::tell(const Slot& slot) {
  kvm_userspace_memory_region region{};
  region.slot = slot.number;
  region.flags = slot.read_only ? KVM_MEM_READONLY : 0;
  region.guest_phys_addr = slot.base;
  region.memory_size = slot.size;
  region.userspace_addr = reinterpret_cast<std::uint64_t>(slot.host);
  TRY(control(vm_, KVM_SET_USER_MEMORY_REGION, &region, "a slot of memory"));
  return {};
}

Result<void> MemorySlots::add(std::uint64_t base, std::uint64_t size, std::uint8_t* host,
                              bool read_only) {
  if (size == 0) return {};
  Slot slot{next_, base, size, host, read_only};
  if (free_.empty()) {
    ++next_;
  } else {
    slot.number = free_.back();
    free_.pop_back();
  }
  TRY(tell(slot));
  slots_.push_back(slot);
  return {};
}

Result<void> MemorySlots::move(Gpa base, std::uint64_t size, std::uint8_t* host) {
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return base.value >= slot.base && base.value + size <= slot.base + slot.size;
  });
  if (found == slots_.end()) return fail(ErrorCode::BadAddress, "not within a slot of memory");
  const Slot old = *found;
  Slot gone = old;
  gone.size = 0;
  TRY(tell(gone));
  slots_.erase(found);
  free_.push_back(old.number);
  const std::uint64_t before = base.value - old.base, after = before + size;
  TRY(add(old.base, before, old.host, old.read_only));
  TRY(add(base.value, size, host, old.read_only));
  return add(old.base + after, old.size - after, old.host + after, old.read_only);
}

}  // namespace ringside::kvm
