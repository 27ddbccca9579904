// Why a virtual CPU left the guest. A closed set: the debug server handles every one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "ringside/types.h"

namespace ringside::hypervisor {

enum class WatchKind : std::uint8_t { Write, Read, Access };

// What a vCPU does that it can be caught at (ringside/catches.h).
enum class CatchKind : std::uint8_t {
  Exception,        // a fault, a trap, INT3, INTO, INT1
  Interrupt,        // an external one, an NMI, INT n
  Msr,              // RDMSR and WRMSR
  Port,             // IN, OUT and their string forms
  ControlRegister,  // a write: MOV, LMSW, CLTS
  Halt,             // HLT
  TaskSwitch,       // a hardware task (SDM 3A chapter 7)
  PrivilegeChange,  // another CPL
};
inline constexpr unsigned kCatchKinds = 8;

namespace exit {

// Left because of suspend(); nothing happened in the guest (bhyve's VM_EXITCODE_DEBUG).
struct Parked {};

// The vCPU came alive (an application processor got its start-up IPI). It is out of the guest,
// before its first instruction, until it is resumed.
struct Started {};

// #BP was intercepted (capability BreakpointExit). RIP is still on the int3.
struct Breakpoint {
  std::uint8_t insn_length = 1;
  std::optional<Gva> rip = std::nullopt;  // linear, where the engine knows it without being asked
};

// Exactly one instruction was executed (capability MonitorTrap).
struct MonitorTrap {};

// An execution breakpoint of the engine (ringside/breakpoints.h); RIP is on the instruction, not
// executed. Resumed from here the vCPU executes it, so that a hit is one exit; unless it was moved
// meanwhile: by write_register of RIP, if only with its own value, or by a set_state with another
// RIP.
struct HardwareBreakpoint {
  Gva address;
  // What the address leads to, where the engine knows; it saves the debugger a walk.
  std::optional<Gpa> where = std::nullopt;
};

// A watched access happened; the instruction is complete.
struct Watchpoint {
  Gva address;  // the address that the debugger asked to watch
  WatchKind kind = WatchKind::Write;
};

// A watched access to guest-physical memory happened, through whatever address; the instruction is
// complete. A device's is reported on the vCPU that was running, or any that was in the guest.
struct PhysicalWatchpoint {
  Gpa address;  // that the debugger asked to watch
  WatchKind kind = WatchKind::Write;
  bool by_device = false;
};

// The vCPU does what a catch is for. An exception or interrupt is about to be delivered: RIP is on
// the instruction that raised it, or before which it comes, and nothing has been pushed. Resumed
// from here the vCPU goes on with the delivery, unless it was moved meanwhile. An exception that
// came while another event was being delivered has been delivered (`delivered`). All other kinds
// are over, as a watchpoint's access is: RIP is behind the instruction.
struct Caught {
  enum class Source : std::uint8_t { External, Nmi, Instruction };

  CatchKind kind = CatchKind::Exception;
  // The vector, MSR, port or control register; the TSS selector; the privilege level now.
  std::uint32_t number = 0;
  bool is_write = false;             // of an MSR or port
  std::uint8_t width = 1;            // of a port access, in bytes
  bool delivered = false;            // an exception: RIP is at its handler
  Source source = Source::External;  // of an interrupt
  std::optional<std::uint32_t> error_code = std::nullopt;
  // What was read or written; the address of a page fault; the privilege level before.
  std::uint64_t value = 0;
  Gva at = {};  // the linear address of RIP
  friend bool operator==(const Caught&, const Caught&) = default;
};

// The guest has said that it cannot go on (the panic port). It can be resumed.
struct GuestPanic {
  const char* reason = "";  // a literal
};

// The vCPU cannot go on: a triple fault or an engine's internal error, in words. Reported only
// while Vm::stop_instead_of_death is on; otherwise the VM ends.
struct Dead {
  std::string reason;
};

}  // namespace exit

using Exit = std::variant<exit::Parked, exit::Started, exit::Breakpoint, exit::MonitorTrap,
                          exit::HardwareBreakpoint, exit::Watchpoint, exit::PhysicalWatchpoint,
                          exit::Caught, exit::GuestPanic, exit::Dead>;

struct VcpuEvent {
  VcpuId vcpu;
  Exit exit;
};

// How the whole VM ended. Statuses 0..4 are bhyve's (docs/model.md, row 69).
struct VmEnd {
  enum class Kind { Reboot = 0, PowerOff = 1, Halt = 2, TripleFault = 3, Error = 4, DebugExit = 5 };
  Kind kind = Kind::PowerOff;
  int debug_exit_status = 0;                  // for DebugExit: (value << 1) | 1
  std::string reason;                         // for Error and TripleFault, in words
  std::optional<VcpuId> vcpu = std::nullopt;  // whose end it is, where it is one vCPU's
  int exit_status() const {
    return kind == Kind::DebugExit ? debug_exit_status : static_cast<int>(kind);
  }
};

}  // namespace ringside::hypervisor
