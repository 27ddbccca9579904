// Where the callers of host code are on the host's stack: what a debugger of this process must know
// to show them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringside::soft {

// The host's registers that are pushed at the entry of host code, in this order, by their numbers
// in instructions: RBX, RBP, R12 to R15.
inline constexpr std::array<std::uint8_t, 6> kPushedRegisters = {3, 5, 12, 13, 14, 15};

// From this position of the code memory on, up to the next row's.
struct FrameRow {
  std::size_t position = 0;
  // How many bytes RSP is below the place that it had before the call that led here.
  unsigned depth = 0;
  unsigned pushed = 0;  // so many of the registers above are on the stack, right below that call's
                        // return address; the others are as the caller has them
};

// While a block runs: those, the return address, and one word for the sake of alignment.
inline constexpr unsigned kBlockDepth = 8 * (kPushedRegisters.size() + 2);

}  // namespace ringside::soft
