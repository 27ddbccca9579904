// The registers of one vCPU while it is out of the guest: read from KVM when first asked for,
// written back before it runs. Owned by the vCPU; whoever may touch the vCPU's registers may touch
// this.
#pragma once

#include "engine/kvm/host/api.h"
#include "engine/kvm/host/register_parts.h"
#include "ringside/types.h"
#include "ringside/x86/registers.h"
#include "x86/linear_address.h"

namespace ringside::kvm {

class RegisterFile {
 public:
  using Part = RegisterParts::Part;
  using enum RegisterParts::Part;

  explicit RegisterFile(VcpuFile& file) : file_(file), parts_(file) {}

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
  kvm_regs& general() { return parts_.registers.general; }
  const kvm_regs& general() const { return parts_.registers.general; }
  kvm_sregs& system() { return parts_.registers.system; }
  const kvm_sregs& system() const { return parts_.registers.system; }
  kvm_debugregs& debug() { return parts_.registers.debug; }
  kvm_vcpu_events& events() { return parts_.events; }
  void changed(unsigned parts) { dirty_ |= parts; }
  // events().nmi.pending; otherwise that stays as KVM has it.
  void changed_nmi() {
    parts_.set_nmi();
    dirty_ |= kEvents;
  }

  // In long mode's 64-bit submode; the mode decides what RIP and addresses mean.
  bool long_mode() const { return x86::in_long_mode(parts_.registers.system.efer); }
  bool code64() const { return long_mode() && parts_.registers.system.cs.l != 0; }
  bool code32() const { return !code64() && parts_.registers.system.cs.db != 0; }
  // The linear address of the next instruction. General and System must be loaded.
  Gva linear_rip() const;

 private:
  VcpuFile& file_;
  unsigned loaded_ = 0;
  unsigned dirty_ = 0;
  RegisterParts parts_;
};

}  // namespace ringside::kvm
