// The hash of everything that a snapshot of the machine would save (docs/decisions/0015), a slice
// at a time, because memory can be large.
//
// Made and used on the main thread while every vCPU is out of the guest; the first slice takes CPUs
// and devices, so that input which comes between slices does not count.
#pragma once

#include <cstdint>

#include "base/state_hash.h"
#include "machine/machine.h"
#include "platform/guest_ram.h"
#include "platform/recordable.h"

namespace ringside::time {

class MachineHash {
 public:
  MachineHash(hypervisor::Recordable& engine, machine::Machine& machine,
              const hypervisor::GuestRam& ram);

  // About a millisecond's work. True once everything is in.
  bool advance();
  std::uint64_t value() const { return hasher_.value(); }
  std::uint64_t done() const { return done_; }  // bytes of RAM and ROM
  std::uint64_t total() const { return total_; }

 private:
  void add_block(const hypervisor::RamSlot& slot, std::uint64_t offset, std::uint64_t size);

  const hypervisor::GuestRam& ram_;
  StateHasher hasher_;
  std::size_t slot_ = 0;
  std::uint64_t offset_ = 0;  // in that slot
  std::uint64_t done_ = 0, total_ = 0;
  std::uint64_t budget_ = 0;
};

// All of it at once.
std::uint64_t hash_machine(hypervisor::Recordable& engine, machine::Machine& machine,
                           const hypervisor::GuestRam& ram);

}  // namespace ringside::time
