#include "time/record/machine_hash.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace ringside::time {
namespace {

// RAM counts by the figures of its blocks. That of a block depends on its content alone, not on
// what of it has been touched.
constexpr std::uint64_t kBlock = 64 * kPageSize;
// A slice. Of what nobody has touched only the kernel's tables are read.
constexpr std::uint64_t kSlice = 16 * kBlock, kUntouchedCosts = kBlock / 16;

std::uint64_t figure_of(std::span<const std::byte> bytes) {
  StateHasher hasher;
  hasher.add(bytes);
  return hasher.value();
}

}  // namespace

MachineHash::MachineHash(hypervisor::Recordable& engine, machine::Machine& machine,
                         const hypervisor::GuestRam& ram)
    : ram_(ram) {
  engine.visit_processors(hasher_);
  machine.visit_state(hasher_);
  for (const hypervisor::RamSlot& slot : ram.slots())
    total_ += slot.size;
}

bool MachineHash::advance() {
  const std::span<const hypervisor::RamSlot> slots = ram_.slots();
  for (budget_ = kSlice; budget_ != 0 && slot_ < slots.size();) {
    const hypervisor::RamSlot& slot = slots[slot_];
    const std::uint64_t size = std::min(kBlock, slot.size - offset_);
    add_block(slot, offset_, size);
    done_ += size;
    offset_ += size;
    if (offset_ < slot.size) continue;
    ++slot_;
    offset_ = 0;
  }
  return slot_ == slots.size();
}

void MachineHash::add_block(const hypervisor::RamSlot& slot, std::uint64_t offset,
                            std::uint64_t size) {
  static const std::uint64_t kUntouched = figure_of(std::vector<std::byte>(kBlock));
  const auto* in_place = reinterpret_cast<const std::byte*>(slot.host) + offset;
  const std::span<const std::byte> seen = ram_.view(slot.base + offset, size);
  std::uint64_t figure = 0;
  if (size == kBlock && seen.size() == size && seen.data() != in_place) {
    figure = kUntouched;
    budget_ -= std::min(budget_, kUntouchedCosts);
  } else {
    figure = figure_of({in_place, size});
    budget_ -= std::min(budget_, size);
  }
  hasher_.field(figure);
}

std::uint64_t hash_machine(hypervisor::Recordable& engine, machine::Machine& machine,
                           const hypervisor::GuestRam& ram) {
  MachineHash hash(engine, machine, ram);
  while (!hash.advance()) {
  }
  return hash.value();
}

}  // namespace ringside::time
