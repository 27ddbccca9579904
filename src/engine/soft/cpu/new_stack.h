// Pushes to a stack that becomes the CPU's only when everything has succeeded: for interrupts,
// gates and task switches. Registers stay as they are; memory below the new stack pointer may have
// changed when a push faults, as on hardware. A short-lived value inside one handler.
#pragma once

#include <cstdint>

#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/segments.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {

class NewStack {
 public:
  // `width` is that of the stack pointer. A limit violation is #SS(error).
  NewStack(Cpu& cpu, const x86::Segment& ss, std::uint64_t pointer, Width width, unsigned cpl,
           std::uint32_t error)
      : cpu_(cpu),
        ss_(ss),
        pointer_(pointer),
        width_(width),
        privilege_(cpu.privilege_at(cpl)),
        error_(error) {}
  // The present stack.
  NewStack(Cpu& cpu, std::uint32_t error)
      : NewStack(cpu, cpu.seg(x86::SegmentName::Ss), cpu.rsp(), cpu.stack_width(), cpu.cpl(),
                 error) {}

  void push(std::uint64_t value, Width width) {
    switch (width) {
      case Width::Bits16:
        push_as(static_cast<std::uint16_t>(value));
        break;
      case Width::Bits32:
        push_as(static_cast<std::uint32_t>(value));
        break;
      default:
        push_as(value);
        break;
    }
  }
  // The stack pointer for the register: at its width, bits above it as in `before`.
  std::uint64_t pointer(std::uint64_t before) const {
    return (before & ~mask()) | (pointer_ & mask());
  }

 private:
  std::uint64_t mask() const { return Cpu::kWidthMask[static_cast<unsigned>(width_)]; }

  template <typename T>
  void push_as(T value) {
    const std::uint64_t top = (pointer_ - sizeof(T)) & mask();
    std::uint64_t linear = top;
    if (width_ == Width::Bits64) {
      if (!cpu_.canonical(top) || !cpu_.canonical(top + sizeof(T) - 1)) {
        raise(x86::Vector::StackFault, error_);
      }
    } else {
      if (!within_limit(ss_, top, sizeof(T))) raise(x86::Vector::StackFault, error_);
      linear = x86::segmented_address(ss_.base, top);
    }
    cpu_.store_as<T>(linear, value, privilege_);
    pointer_ = top;
  }

  Cpu& cpu_;
  x86::Segment ss_;
  std::uint64_t pointer_;
  Width width_;
  Privilege privilege_;
  std::uint32_t error_;
};

}  // namespace ringside::soft
