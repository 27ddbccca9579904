#include "guests/core/core_xstate.h"

#include <cstdint>
#include <cstring>

namespace ringside::guests {
namespace {

// SDM 1 table 10-2, figure 13-1 and 13.5.
constexpr std::size_t kMxcsr = 24, kMxcsrMask = 28, kX87 = 32, kXmm = 160, kXcr0 = 464,
                      kXstateBv = 512, kYmmHigh = 576, kPkru = 2688;
constexpr std::uint64_t kComponents = 0x207;  // x87, SSE, AVX, PKRU

template <typename T>
void put(XstateArea& area, std::size_t offset, T value) {
  std::memcpy(area.data() + offset, &value, sizeof value);
}

// One bit for each register that is not empty, of two for each (SDM 1 8.1.7, 10.5.1.1).
std::uint8_t abridged(std::uint16_t tag) {
  unsigned result = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if ((tag >> (2 * i) & 3) != 3) result |= 1u << i;
  }
  return static_cast<std::uint8_t>(result);
}

}  // namespace

// The pointers are in the form with selectors, as GDB shows them.
XstateArea xstate_area(const x86::CpuState& state) {
  XstateArea area{};
  const x86::FpuState& fpu = state.fpu;
  put(area, 0, fpu.control);
  put(area, 2, fpu.status);
  put(area, 4, abridged(fpu.tag));
  put(area, 6, fpu.opcode);
  put(area, 8, static_cast<std::uint32_t>(fpu.instruction_pointer));
  put(area, 12, fpu.instruction_selector);
  put(area, 16, static_cast<std::uint32_t>(fpu.data_pointer));
  put(area, 20, fpu.data_selector);
  put(area, kMxcsr, fpu.mxcsr);
  put(area, kMxcsrMask, std::uint32_t{0xffff});
  for (std::size_t i = 0; i < fpu.st.size(); ++i)
    std::memcpy(area.data() + kX87 + 16 * i, fpu.st[i].data(), 10);
  for (std::size_t i = 0; i < fpu.vector.size(); ++i) {
    std::memcpy(area.data() + kXmm + 16 * i, fpu.vector[i].data(), 16);
    std::memcpy(area.data() + kYmmHigh + 16 * i, fpu.vector[i].data() + 16, 16);
  }
  put(area, kXcr0, kComponents);
  put(area, kXstateBv, kComponents);
  put(area, kPkru, state.pkru);
  return area;
}

}  // namespace ringside::guests
