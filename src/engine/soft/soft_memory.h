// Guest-physical memory of the software engine for the debug server: what was written may be
// decoded code.
#pragma once

#include "engine/soft/cpu/system.h"
#include "platform/ram_memory.h"

namespace ringside::soft {

class SoftMemory final : public hypervisor::RamMemory {
 public:
  explicit SoftMemory(System& system) : RamMemory(system.ram, system.platform), system_(system) {}

 private:
  void ram_written(Gpa address, std::uint64_t size) override { system_.ram_written(address, size); }

  System& system_;
};

}  // namespace ringside::soft
