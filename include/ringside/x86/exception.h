// The architecture's exceptions (SDM volume 3A chapter 6).
#pragma once

#include <cstdint>
#include <optional>

namespace ringside::x86 {

enum class Vector : std::uint8_t {
  DivideError = 0,
  Debug = 1,
  Nmi = 2,
  Breakpoint = 3,
  Overflow = 4,
  BoundRange = 5,
  InvalidOpcode = 6,
  DeviceNotAvailable = 7,
  DoubleFault = 8,
  InvalidTss = 10,
  SegmentNotPresent = 11,
  StackFault = 12,
  GeneralProtection = 13,
  PageFault = 14,
  X87Error = 16,
  AlignmentCheck = 17,
  MachineCheck = 18,
  SimdError = 19,
};

// What an instruction raises or a debugger injects.
struct Exception {
  Vector vector = Vector::GeneralProtection;
  std::optional<std::uint32_t> error_code;
  // For page faults: the linear address that goes to CR2.
  std::uint64_t fault_address = 0;
};

namespace page_fault {
inline constexpr std::uint32_t kPresent = 1, kWrite = 2, kUser = 4, kReserved = 8, kFetch = 16,
                               kProtectionKey = 32;
}

// Whether delivery in protected mode pushes an error code (SDM 3A table 6-1).
constexpr bool pushes_error_code(Vector vector) {
  switch (vector) {
    case Vector::DoubleFault:
    case Vector::InvalidTss:
    case Vector::SegmentNotPresent:
    case Vector::StackFault:
    case Vector::GeneralProtection:
    case Vector::PageFault:
    case Vector::AlignmentCheck:
      return true;
    default:
      return false;
  }
}

// The classes of SDM 3A table 6-4 that decide on a double fault.
enum class FaultClass { Benign, Contributory, PageFault };
constexpr FaultClass fault_class(Vector vector) {
  switch (vector) {
    case Vector::DivideError:
    case Vector::InvalidTss:
    case Vector::SegmentNotPresent:
    case Vector::StackFault:
    case Vector::GeneralProtection:
      return FaultClass::Contributory;
    case Vector::PageFault:
      return FaultClass::PageFault;
    default:
      return FaultClass::Benign;
  }
}

}  // namespace ringside::x86
