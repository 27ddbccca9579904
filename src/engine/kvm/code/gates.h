// Where the processor would go for an exception or interrupt: the guest's interrupt table, read as
// the processor does (SDM 3A 6.11, 6.14.1, 20.1.4). Pure but for reading guest memory.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/kvm/code/guest_view.h"
#include "engine/kvm/host/registers.h"

namespace ringside::kvm {

// An entry to guest code that a step may end at instead of the next instruction.
struct EntryPoint {
  enum class Kind : std::uint8_t {
    Handler,  // through the interrupt table; a frame is on the stack
    Direct,   // no frame: the target of SYSCALL and the like
  };
  Gva address;  // linear
  Kind kind = Kind::Handler;
  std::uint8_t vector = 0;
  std::uint8_t slot_size = 8;  // bytes of each value in the frame
  bool error_code = false;     // lies below the frame
};

// Nothing where there is no usable gate. `registers` must have General and System loaded.
std::optional<EntryPoint> handler_of(RegisterFile& registers, const GuestView& memory,
                                     std::uint8_t vector);

}  // namespace ringside::kvm
