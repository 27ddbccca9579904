#include "engine/kvm/code/gates.h"

#include "ringside/x86/bits.h"
#include "ringside/x86/exception.h"
#include "ringside/x86/segment.h"
#include "x86/linear_address.h"

namespace ringside::kvm {
namespace {

namespace type = x86::system_type;

std::optional<EntryPoint> real_mode_handler(const kvm_sregs& system, const GuestView& memory,
                                            std::uint8_t vector) {
  const auto pointer = memory.value<std::uint32_t>({system.idt.base + 4u * vector});
  if (!pointer) return std::nullopt;
  EntryPoint result;
  result.address = {(*pointer >> 16 << 4) + (*pointer & 0xffff)};
  result.vector = vector;
  result.slot_size = 2;
  return result;
}

// The base of the code segment that a gate names.
std::optional<std::uint64_t> segment_base(const kvm_sregs& system, const GuestView& memory,
                                          std::uint16_t selector) {
  const std::uint64_t table = (selector & 4) != 0 ? system.ldt.base : system.gdt.base;
  const auto descriptor = memory.value<std::uint64_t>({table + (selector & ~7u)});
  if (!descriptor) return std::nullopt;
  return x86::segment_from_descriptor(selector, *descriptor).base;
}

}  // namespace

std::optional<EntryPoint> handler_of(RegisterFile& registers, const GuestView& memory,
                                     std::uint8_t vector) {
  const kvm_sregs& system = registers.system();
  if ((system.cr0 & x86::cr0::PE) == 0) return real_mode_handler(system, memory, vector);
  const bool long_mode = registers.long_mode();
  const unsigned size = long_mode ? 16 : 8;
  if (size * (vector + 1u) - 1 > system.idt.limit) return std::nullopt;
  const Gva at{system.idt.base + size * vector};
  const auto low = memory.value<std::uint64_t>(at);
  if (!low || (*low >> 47 & 1) == 0) return std::nullopt;
  EntryPoint result;
  result.vector = vector;
  result.error_code = vector < 32 && x86::pushes_error_code(static_cast<x86::Vector>(vector));
  std::uint64_t offset = (*low & 0xffff) | (*low >> 48 << 16);
  const unsigned gate = *low >> 40 & 0xf;
  if (long_mode) {
    if (gate != type::kInterruptGate && gate != type::kTrapGate) return std::nullopt;
    const auto high = memory.value<std::uint32_t>(at + 8);
    if (!high) return std::nullopt;
    result.address = {offset | std::uint64_t{*high} << 32};
    return result;
  }
  switch (gate) {
    case type::kInterruptGate:
    case type::kTrapGate:
      result.slot_size = 4;
      break;
    case type::kInterruptGate16:
    case type::kTrapGate16:
      result.slot_size = 2;
      offset &= 0xffff;
      break;
    default:
      return std::nullopt;  // a task gate: the new task's flags come from its TSS
  }
  const auto base = segment_base(system, memory, static_cast<std::uint16_t>(*low >> 16));
  if (!base) return std::nullopt;
  result.address = {x86::segmented_address(*base, offset)};
  return result;
}

}  // namespace ringside::kvm
