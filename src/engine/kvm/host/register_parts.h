// The registers of one vCPU in the parts in which KVM reads and writes them, a copy of each. Which
// of them are true, and which have changed, RegisterFile knows, who owns it.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/kvm/host/api.h"
#include "engine/kvm/host/convert.h"
#include "ringside/types.h"
#include "ringside/x86/registers.h"
#include "x86/msr_numbers.h"

namespace ringside::kvm {

class RegisterParts {
 public:
  // What KVM reads and writes in one call.
  enum Part : unsigned {
    kGeneral = 1,
    kSystem = 2,
    kFpu = 4,
    kDebug = 8,
    kMsrs = 16,
    kXcr0 = 32,
    kEvents = 64,
    kAll = 127,
  };

  explicit RegisterParts(VcpuFile& file);

  // From KVM and to it.
  Result<void> read(Part part);
  Result<void> write(Part part);

  // The part that has a register.
  static Part part_of(x86::Register r);
  // One register, if it can be told without putting a whole state together.
  std::optional<std::uint64_t> plain(x86::Register r) const;
  // All parts but the events. NotSupported for what this host has not.
  x86::CpuState state() const;
  Result<void> set_state(const x86::CpuState& state);

  Registers registers;
  kvm_vcpu_events events{};
  // The next write of the events says whether an NMI waits; otherwise that stays as KVM has it.
  void set_nmi() { sets_nmi_ = true; }

 private:
  Result<void> read_fpu();
  Result<void> write_fpu();
  Result<void> read_msrs();
  Result<void> write_msrs();

  VcpuFile& file_;
  bool sets_nmi_ = false;
  std::uint64_t xcr0_ = 1;
  static constexpr std::uint32_t kMsrNumbers[] = {x86::msr::kStar,         x86::msr::kLstar,
                                                  x86::msr::kCstar,        x86::msr::kSfmask,
                                                  x86::msr::kKernelGsBase, x86::msr::kSysenterCs,
                                                  x86::msr::kSysenterEsp,  x86::msr::kSysenterEip,
                                                  x86::msr::kPat,          x86::msr::kTscAux};
  static constexpr std::size_t kMsrCount = sizeof kMsrNumbers / sizeof kMsrNumbers[0];
  std::uint64_t msrs_[kMsrCount] = {};
  std::size_t msr_count_ = kMsrCount;  // the last ones may not exist on this host
  bool has_xcr0_ = true;
};

}  // namespace ringside::kvm
