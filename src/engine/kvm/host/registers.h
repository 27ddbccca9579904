// The registers of one vCPU while it is out of the guest: read from KVM when first asked for,
// written back before it runs. Owned by the vCPU; whoever may touch the vCPU's registers may touch
// this.
#pragma once

#include <optional>

#include "engine/kvm/host/api.h"
#include "engine/kvm/host/convert.h"
#include "ringside/types.h"
#include "ringside/x86/registers.h"
#include "x86/linear_address.h"
#include "x86/msr_numbers.h"

namespace ringside::kvm {

class RegisterFile {
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

  explicit RegisterFile(VcpuFile& file);

  // The guest has run: what is known is no longer true.
  void forget() { loaded_ = 0; }
  // The same, and what was changed meanwhile counts no more.
  void drop() { loaded_ = dirty_ = 0; }
  // As forget(), but KVM has left some in the run page, as `kvm_valid_regs` there says
  // (KVM_CAP_SYNC_REGS).
  void take_synchronised();
  // Reads what of `parts` is not known yet.
  Result<void> load(unsigned parts);
  // Writes back all that has changed.
  Result<void> flush();

  Result<x86::RegisterValue> read(x86::Register r);
  Result<void> write(x86::Register r, const x86::RegisterValue& value);
  Result<x86::CpuState> state();
  Result<void> set_state(const x86::CpuState& state);

  // After load(); what is changed must be named by changed().
  kvm_regs& general() { return registers_.general; }
  const kvm_regs& general() const { return registers_.general; }
  kvm_sregs& system() { return registers_.system; }
  const kvm_sregs& system() const { return registers_.system; }
  kvm_debugregs& debug() { return registers_.debug; }
  kvm_vcpu_events& events() { return events_; }
  void changed(unsigned parts) { dirty_ |= parts; }
  // events().nmi.pending; otherwise that stays as KVM has it.
  void changed_nmi() {
    sets_nmi_ = true;
    dirty_ |= kEvents;
  }

  // In long mode's 64-bit submode; the mode decides what RIP and addresses mean.
  bool long_mode() const { return x86::in_long_mode(registers_.system.efer); }
  bool code64() const { return long_mode() && registers_.system.cs.l != 0; }
  bool code32() const { return !code64() && registers_.system.cs.db != 0; }
  // The linear address of the next instruction. General and System must be loaded.
  Gva linear_rip() const;

 private:
  static unsigned part_of(x86::Register r);
  Result<void> read_part(Part part);
  Result<void> write_part(Part part);
  std::optional<std::uint64_t> plain(x86::Register r) const;
  Result<void> read_fpu();
  Result<void> write_fpu();
  Result<void> read_msrs();
  Result<void> write_msrs();
  x86::CpuState assemble() const;

  VcpuFile& file_;
  unsigned loaded_ = 0;
  unsigned dirty_ = 0;
  Registers registers_;
  kvm_vcpu_events events_{};
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
