// Guest memory as devices reach it (DMA): checked against the slots, and the CPUs are told of every
// change. Held by value by each device that masters the bus.
#pragma once

#include <cstring>
#include <span>

#include "platform/guest_ram.h"
#include "platform/platform.h"

namespace ringside::machine {

class DmaMemory {
 public:
  DmaMemory(hypervisor::GuestRam& ram, hypervisor::CpuPort& cpus) : ram_(&ram), cpus_(&cpus) {}

  // Null where there is no RAM for all of it.
  const std::byte* readable(Gpa address, std::uint64_t size) const {
    return reinterpret_cast<const std::byte*>(ram_->host(address, size));
  }
  bool can_write(Gpa address, std::uint64_t size) const {
    const hypervisor::RamSlot* slot = ram_->find(address, size);
    return slot != nullptr && !slot->read_only;
  }
  // Null for ROM too. To be written at once, and then written() is called.
  std::byte* writable(Gpa address, std::uint64_t size) const {
    const hypervisor::RamSlot* slot = ram_->find(address, size);
    if (slot == nullptr || slot->read_only) return nullptr;
    cpus_->ram_about_to_change(address, size);
    return reinterpret_cast<std::byte*>(slot->host + (address.value - slot->base.value));
  }
  void written(Gpa address, std::uint64_t size) const {
    if (size != 0) cpus_->ram_written(address, size);
  }

  // False when there is no such memory.
  template <typename T>
  bool read(Gpa address, T& value) const {
    const std::byte* from = readable(address, sizeof value);
    if (from == nullptr) return false;
    std::memcpy(&value, from, sizeof value);
    return true;
  }
  template <typename T>
  bool write(Gpa address, const T& value) const {
    std::byte* to = writable(address, sizeof value);
    if (to == nullptr) return false;
    std::memcpy(to, &value, sizeof value);
    written(address, sizeof value);
    return true;
  }

 private:
  hypervisor::GuestRam* ram_;
  hypervisor::CpuPort* cpus_;
};

}  // namespace ringside::machine
