// Which part of the guest's physical memory KVM finds at which place of this process: its memory
// slots. Owned by the engine; the main thread, while every vCPU is out of the guest.
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "platform/guest_ram.h"

namespace ringside::kvm {

class MemorySlots {
 public:
  explicit MemorySlots(const Fd& vm) : vm_(vm) {}
  Result<void> add_all(const hypervisor::GuestRam& ram);
  // [base, base + size), whole pages within one of the slots of the beginning, is found at `host`
  // from now on.
  Result<void> move(Gpa base, std::uint64_t size, std::uint8_t* host);

 private:
  struct Slot {
    std::uint32_t number = 0;
    std::uint64_t base = 0, size = 0;
    std::uint8_t* host = nullptr;
    bool read_only = false;
  };
  Result<void> tell(const Slot& slot);
  Result<void> add(std::uint64_t base, std::uint64_t size, std::uint8_t* host, bool read_only);

  const Fd& vm_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::uint32_t next_ = 0;
};

}  // namespace ringside::kvm
