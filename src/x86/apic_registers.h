// The registers of the local APIC by number: the offset in its page / 16, or the MSR less 0x800 in
// x2APIC mode (SDM 3A tables 11-1 and 11-6). Of those that fill several, the first.
#pragma once

namespace ringside::x86::apic {

enum Register : unsigned {
  kId = 0x02,
  kVersion = 0x03,
  kTaskPriority = 0x08,
  kArbitrationPriority = 0x09,
  kProcessorPriority = 0x0a,
  kEndOfInterrupt = 0x0b,
  kRemoteRead = 0x0c,
  kLogicalDestination = 0x0d,
  kDestinationFormat = 0x0e,
  kSpurious = 0x0f,
  kInService = 0x10,    // 8 of them
  kTriggerMode = 0x18,  // 8
  kRequest = 0x20,      // 8
  kErrorStatus = 0x28,
  kLvtCmci = 0x2f,
  kCommandLow = 0x30,
  kCommandHigh = 0x31,
  kLocalVectors = 0x32,  // 6
  kInitialCount = 0x38,
  kCurrentCount = 0x39,
  kDivide = 0x3e,
  kSelfIpi = 0x3f,
};

}  // namespace ringside::x86::apic
