// A virtual CPU as a debug server uses it. To be debuggable at all it says whether it is in the
// guest, and gives and takes its registers; the rest has defaults, and each function with one says
// what a debugger does not have without it.
//
// Called on the thread that serves the debugger. Registers, MSRs, capabilities and injections only
// while the vCPU is out of the guest; in_guest(), active(), halted(), activity(), name() and
// offers() at any time, and they must not stop it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ringside/pending_events.h"
#include "ringside/result.h"
#include "ringside/types.h"
#include "ringside/x86/cpu_state.h"
#include "ringside/x86/exception.h"
#include "ringside/x86/registers.h"

namespace ringside::hypervisor {

// What can be switched on and off per vCPU. Switching is not counted: on twice and off once is off.
enum class Capability : std::uint8_t {
  // #BP becomes exit::Breakpoint. Software breakpoints need it, where there are no
  // PhysicalBreakpoints.
  BreakpointExit,
  // exit::MonitorTrap after exactly one instruction, or one iteration of a repeated one; an
  // interrupt
  // or a fault that comes instead traps at the first instruction of its handler. Steps need it.
  MonitorTrap,
  // No external interrupt is delivered. Steps stay out of interrupt handlers with it.
  MaskInterrupts,
};

// What a virtual CPU does when it is let, in the words of its debugger. The numbers are part of the
// software CPU's saved state.
enum class VcpuActivity : std::uint8_t {
  Running,
  Halted,             // in HLT: wakes on an interrupt, NMI, INIT
  WaitingForStartUp,  // after INIT; an application processor before its start
  WaitingForDevice,   // in an access that a device cannot answer yet
  Dead,               // a triple fault, or an engine's error
  Asleep,             // the machine sleeps (ACPI S3); the boot processor waits to be woken
};

class Vcpu {
 public:
  virtual ~Vcpu() = default;

  // ---- What every engine has
  virtual bool in_guest() const = 0;
  // All registers; docs/embedding.md lists what is read of them. An engine that keeps only some
  // leaves the others as CpuState has them.
  virtual Result<x86::CpuState> state() = 0;
  // A state with another RIP moves the vCPU: it arrives anew at what stands there
  // (exit::HardwareBreakpoint), and executes it when resumed, whatever it had waited for in HLT or
  // before a device. A state with the same RIP leaves it where it was. Nothing of that wakes a vCPU
  // that waits for its start-up IPI, or is dead.
  virtual Result<void> set_state(const x86::CpuState& state) = 0;

  // ---- What it does
  // Started: the boot processor always, others after their start-up IPI. Only started ones are
  // threads.
  virtual bool active() const { return true; }
  // In HLT (or waiting for a device, or after INIT), so it retires nothing when resumed until an
  // event comes.
  virtual bool halted() const { return false; }
  // The same in more words, in the guest too, as far as the engine knows.
  virtual VcpuActivity activity() const {
    return halted() ? VcpuActivity::Halted : VcpuActivity::Running;
  }
  // How a debugger lists it, in one line; empty: "vCPU N".
  virtual std::string name() const { return {}; }
  // Instructions this vCPU has retired; nothing where the engine does not count.
  virtual std::optional<InsnCount> instructions() { return std::nullopt; }

  // Events that wait for this vCPU, and what holds them off; nothing where the engine does not
  // know. While it is out of the guest. Looking changes nothing.
  virtual std::optional<PendingEvents> pending_events() { return std::nullopt; }

  // ---- Single registers, which are the whole state's unless an engine has a shorter way
  virtual Result<x86::RegisterValue> read_register(x86::Register r);
  // Writing RIP moves the vCPU as set_state() does, if only with its own value.
  virtual Result<void> write_register(x86::Register r, const x86::RegisterValue& value);

  // ---- Model-specific registers; NotFound for one that it has not
  virtual Result<std::uint64_t> read_msr(std::uint32_t number);
  virtual Result<void> write_msr(std::uint32_t number, std::uint64_t value);

  // ---- Capabilities
  // Whether this engine can on this host: nothing is switched to find out.
  virtual bool offers(Capability) const { return false; }
  // NotSupported where it does not offer it.
  virtual Result<void> set_capability(Capability capability, bool on);
  // For the next time in the guest, with MonitorTrap on: steps on as long as RIP is in [start,
  // end), and traps once it is not, or when the vCPU halts. A breakpoint or watchpoint on the way
  // is its exit. False: this engine traps after every instruction.
  virtual bool step_within(Gva /*start*/, Gva /*end*/) { return false; }
  // Queues an exception for the next resume: the guest's own int3 goes back to it in this way. For
  // #BP (a software exception) the frame's RIP is RIP + entry_insn_length; others push RIP. Busy if
  // one is queued already. An engine that offers BreakpointExit must have it.
  virtual Result<void> inject_exception(const x86::Exception& exception);
  // How long the instruction was that caused the exception to inject, 1..15; back to 1 after
  // delivery.
  virtual Result<void> set_entry_insn_length(std::uint8_t length);
  virtual Result<std::uint8_t> entry_insn_length() { return std::uint8_t{1}; }
};

}  // namespace ringside::hypervisor
