// Where host code finds the vector registers of a Cpu, and what says which are in use: distances in
// bytes from Cpu::host_base(), as CpuOffsets.
#pragma once

#include <cstdint>

#include "engine/soft/cpu/cpu.h"

namespace ringside::soft {

struct VectorOffsets {
  int low = 0, high = 0;  // of the first one's halves
  int xcr0 = 0;
};

inline VectorOffsets vector_offsets_of(Cpu& cpu) {
  const auto of = [&cpu](const auto& field) {
    return static_cast<int>(reinterpret_cast<const std::uint8_t*>(&field) - cpu.host_base());
  };
  return {of(cpu.fpu.xmm), of(cpu.fpu.ymm_high), of(cpu.xcr0)};
}

}  // namespace ringside::soft
