// Guest-physical memory of the software engine for the debug server: what was written may be
// decoded code, and whoever records the run hears of it.
#pragma once

#include "engine/soft/cpu/board.h"
#include "platform/ram_memory.h"

namespace ringside::soft {

class SoftMemory final : public hypervisor::RamMemory {
 public:
  explicit SoftMemory(Board& board) : RamMemory(board.ram, board.platform), board_(board) {}
  Result<void> write_ram(Gpa address, std::span<const std::byte> data) override;
  Result<void> write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) override;

 private:
  void ram_about_to_change(Gpa address, std::uint64_t size) override {
    board_.ram_about_to_change(address, size);
  }
  void ram_written(Gpa address, std::uint64_t size) override { board_.ram_written(address, size); }

  Board& board_;
};

}  // namespace ringside::soft
