// The interface between a debug server and a virtual machine: what vmm.h is to the seeds.
//
// Threads: everything here is called on one thread, the debug server's (the main loop). Registers,
// capabilities and injections of a vCPU may be used only while it is out of the guest; an engine
// with vCPU threads hides them behind this.
//
// A vCPU is in the guest from resume() until its next event. It has exactly one event per resume:
// what happened in the guest, or exit::Parked after suspend(). An event that was already on its way
// when suspend() came is that event; no Parked follows.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "hypervisor/activity.h"
#include "hypervisor/exit.h"
#include "x86/cpu_state.h"
#include "x86/exception.h"
#include "x86/paging.h"
#include "x86/registers.h"

namespace ringside::hypervisor {

// What can be switched on and off per vCPU, after the seeds' VM_CAP_*.
enum class Capability : std::uint8_t {
  BreakpointExit,  // VM_CAP_BPT_EXIT: #BP becomes exit::Breakpoint
  MonitorTrap,     // VM_CAP_MTRAP_EXIT: exit::MonitorTrap after exactly one instruction
  MaskInterrupts,  // VM_CAP_MASK_HWINTR: no external interrupt is delivered
};

class Vcpu {
 public:
  virtual ~Vcpu() = default;
  virtual VcpuId id() const = 0;
  // Started: the boot processor always, others after their start-up IPI.
  virtual bool active() const = 0;
  virtual bool in_guest() const = 0;
  // In HLT (or waiting for a device, or after INIT), so it retires nothing when resumed until an
  // event comes.
  virtual bool halted() const = 0;
  // The same in more words. In the guest too, as far as the engine knows without stopping it.
  virtual VcpuActivity activity() const {
    return halted() ? VcpuActivity::Halted : VcpuActivity::Running;
  }

  virtual Result<x86::RegisterValue> read_register(x86::Register r) = 0;
  // Writing RIP, or a state with another RIP, moves the vCPU: it arrives anew at what stands there
  // (exit::HardwareBreakpoint), and executes it when resumed, whatever it had waited for in HLT or
  // before a device. A state with the same RIP leaves it where it was. Nothing of that wakes a vCPU
  // that waits for its start-up IPI, or is dead.
  virtual Result<void> write_register(x86::Register r, const x86::RegisterValue& value) = 0;
  virtual Result<x86::CpuState> state() = 0;
  virtual Result<void> set_state(const x86::CpuState& state) = 0;
  virtual Result<std::uint64_t> read_msr(std::uint32_t number) = 0;
  virtual Result<void> write_msr(std::uint32_t number, std::uint64_t value) = 0;

  // Whether this engine can on this host. Asked at any time, in the guest too: nothing is switched
  // to find out.
  virtual bool offers(Capability capability) const = 0;
  // NotSupported where it does not offer it.
  virtual Result<void> set_capability(Capability capability, bool on) = 0;
  // For the next time in the guest, with MonitorTrap on: steps on as long as RIP is in [start,
  // end), and traps once it is not, or when the vCPU halts. A breakpoint or watchpoint on the way
  // is its exit. False: this engine traps after every instruction.
  virtual bool step_within(Gva /*start*/, Gva /*end*/) { return false; }
  // Queues an exception for the next resume. For #BP (a software exception) the frame's RIP is
  // RIP + entry_insn_length; others push RIP. Busy if one is queued already.
  virtual Result<void> inject_exception(const x86::Exception& exception) = 0;
  // The seeds' pseudo-register VM_REG_GUEST_ENTRY_INST_LENGTH, 1..15; back to 1 after delivery.
  virtual Result<void> set_entry_insn_length(std::uint8_t length) = 0;
  virtual Result<std::uint8_t> entry_insn_length() = 0;

  // Instructions this vCPU has retired; nothing where the engine does not count.
  virtual std::optional<InsnCount> instructions() { return std::nullopt; }
};

enum class MemoryKind : std::uint8_t { Ram, Rom, Mmio, Nothing };

struct MemoryRegion {
  Gpa base;
  std::uint64_t size = 0;
  MemoryKind kind = MemoryKind::Ram;
};

// Guest-physical memory as a debugger reaches it.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual MemoryKind kind(Gpa address) = 0;
  // All RAM and ROM, ascending; empty where nobody can list it.
  virtual std::vector<MemoryRegion> regions() { return {}; }
  // RAM and ROM only, within one page. Writing ROM is allowed (the debugger owns the machine).
  virtual Result<void> read_ram(Gpa address, std::span<std::byte> out) = 0;
  virtual Result<void> write_ram(Gpa address, std::span<const std::byte> data) = 0;
  // RAM or ROM from `address` on, at most `size` bytes of it, where it lies in host memory. Empty:
  // not there, or not to be had in this way. Valid while every vCPU is out of the guest.
  virtual std::span<const std::byte> view(Gpa /*address*/, std::uint64_t /*size*/) { return {}; }
  // What a device would answer now to a read of 1, 2 or 4 bytes by `vcpu`. A look, not an access:
  // no register is cleared by it, no byte taken, no interrupt raised, so that looking at a device
  // is as harmless as looking at RAM. What a read would have to wait for, or would change, is
  // answered from the device's state. BadAddress where no device claims the address.
  virtual Result<std::uint32_t> read_mmio(VcpuId vcpu, Gpa address, unsigned width) = 0;
  // One device access on behalf of `vcpu`, with everything that a guest's write would do.
  virtual Result<void> write_mmio(VcpuId vcpu, Gpa address, unsigned width,
                                  std::uint32_t value) = 0;
};

// Asked at a hit of a Stoppoints breakpoint or watchpoint, on the thread that runs the vCPU and
// before it leaves the guest: false goes on as if nothing had been there. This is what keeps a
// false condition inside the engine. It may read the vCPU and memory, and must not resume or
// suspend.
class StopFilter {
 public:
  virtual ~StopFilter() = default;
  virtual bool wants_stop(VcpuId vcpu, const Exit& exit) = 0;
  // There is something to be done in the main loop. Asked after a hit that did not count, by
  // engines with threads of their own, which wake that loop then.
  virtual bool has_news() { return false; }
  // For engines that ask at exit::Breakpoint too. False there means that the vCPU goes on: it
  // executes the instruction under the debugger's int3, if that is what it met, between these two.
  // All other vCPUs are out of the guest for so long.
  virtual void uncover(VcpuId) {}
  virtual void cover(VcpuId) {}
};

// Optional: execution breakpoints and watchpoints without a byte in guest memory, on all vCPUs.
class Stoppoints {
 public:
  virtual ~Stoppoints() = default;
  // Null (the default): every hit stops. The filter must outlive its use. False: this engine asks
  // nobody.
  virtual bool set_filter(StopFilter*) { return false; }
  // At a guest-physical address, through whichever mapping it is executed.
  virtual bool has_physical_breakpoints() const { return false; }
  virtual Result<void> insert_physical_breakpoint(Gpa) {
    return fail(ErrorCode::NotSupported, "this engine has no breakpoints by physical address");
  }
  virtual Result<void> remove_physical_breakpoint(Gpa) {
    return fail(ErrorCode::NotSupported, "this engine has no breakpoints by physical address");
  }
  virtual Result<void> insert_breakpoint(Gva address) = 0;
  virtual Result<void> remove_breakpoint(Gva address) = 0;
  virtual Result<void> insert_watchpoint(Gva address, std::uint64_t size, WatchKind kind) = 0;
  virtual Result<void> remove_watchpoint(Gva address, std::uint64_t size, WatchKind kind) = 0;
  // By guest-physical address: the CPUs' accesses, and what devices write.
  virtual Result<void> insert_physical_watchpoint(Gpa, std::uint64_t /*size*/, WatchKind) {
    return fail(ErrorCode::NotSupported, "this engine does not watch physical memory");
  }
  virtual Result<void> remove_physical_watchpoint(Gpa, std::uint64_t /*size*/, WatchKind) {
    return fail(ErrorCode::NotSupported, "this engine does not watch physical memory");
  }
  // Breakpoints by linear address that an engine with few of them lends: everybody else comes
  // first, the guest's own included. There may be an int3 of the debugger's at the address as well,
  // which is no second arrival. How many there are to lend; nothing: this engine does not.
  virtual std::optional<unsigned> spare_breakpoints() { return std::nullopt; }
  virtual Result<void> insert_spare_breakpoint(Gva address) { return insert_breakpoint(address); }
  // How one of these is realised, in words; empty where there is nothing to say.
  virtual std::string describe_breakpoint(Gva) { return {}; }
  virtual std::string describe_watchpoint(Gva, std::uint64_t /*size*/, WatchKind) { return {}; }
};

class Vm {
 public:
  virtual ~Vm() = default;
  virtual unsigned vcpu_count() const = 0;
  virtual Vcpu& vcpu(VcpuId id) = 0;
  virtual Memory& memory() = 0;

  // Brings a vCPU out of the guest; its event comes through take_event. Without effect on one that
  // is out already, or not active.
  virtual void suspend(VcpuId id) = 0;
  // Lets a vCPU that is out of the guest run.
  virtual void resume(VcpuId id) = 0;
  // The next event, in the order in which they happened; nothing when there is none now.
  virtual std::optional<VcpuEvent> take_event() = 0;
  // Readable when take_event may have something; -1 for an engine that runs on the caller's thread.
  virtual int event_fd() const { return -1; }
  // Set once the machine has ended.
  virtual const std::optional<VmEnd>& ended() const = 0;
  // While on, a triple fault or engine error is exit::Dead on its vCPU, and a guest's panic
  // exit::GuestPanic; neither ends anything.
  virtual void stop_instead_of_death(bool on) = 0;

  virtual Stoppoints* stoppoints() { return nullptr; }
};

// Algorithms over the interface, the same for every engine.

// A vCPU that could execute is in the guest of a Vm that runs on the caller's thread: until the
// caller gives it time, nothing will happen that could end a wait.
bool needs_callers_thread(Vm& vm);

// The translation of a linear address by the vCPU's present paging state, as a supervisor's read
// without a fault: no accessed or dirty bit changes. BadAddress where not mapped.
Result<Gpa> translate(Vm& vm, VcpuId vcpu, Gva address);
// The same with another CR3.
Result<Gpa> translate_with_cr3(Vm& vm, VcpuId vcpu, std::uint64_t cr3, Gva address);
// The same, how far it goes on: to the end of the page that maps it, and who may use the page.
struct Extent {
  Gpa gpa;
  std::uint64_t size = 0;
  bool no_execute = false;
  bool user = false;
};
Result<Extent> find_extent(Vm& vm, VcpuId vcpu, Gva address,
                           std::optional<std::uint64_t> cr3 = std::nullopt);
// What a linear address leads to, together with all addresses around it of which one page, or one
// absence, decides.
struct LinearPiece {
  Gva first, last;         // both belong to it
  std::optional<Gpa> gpa;  // of `first`; nothing where it is not mapped
  bool writable = false, executable = false;
};
// A vCPU's translation as it was when this was made, to go over many addresses with. No accessed or
// dirty bit changes.
class LinearMap {
 public:
  static Result<LinearMap> of(Vm& vm, VcpuId vcpu);
  LinearPiece at(Gva address) const;

 private:
  LinearMap(Memory& memory, const x86::PagingState& state) : memory_(&memory), state_(state) {}
  Memory* memory_;
  x86::PagingState state_;
};
// How many bytes from `address` on are neither RAM nor ROM: 0 if there is one. To the end of its
// page where nobody can list memory.
std::uint64_t distance_to_memory(Memory& memory, Gpa address);
// Guest-virtual memory, page by page, RAM or devices (aligned 1, 2 and 4-byte accesses). Reads give
// the readable prefix, and change nothing, in devices neither; the error is that of the first byte.
Result<std::vector<std::byte>> read_virtual(Vm& vm, VcpuId vcpu, Gva address, std::uint64_t size);
Result<void> write_virtual(Vm& vm, VcpuId vcpu, Gva address, std::span<const std::byte> data);
// The same for guest-physical addresses.
Result<std::vector<std::byte>> read_physical(Vm& vm, VcpuId vcpu, Gpa address, std::uint64_t size);
Result<void> write_physical(Vm& vm, VcpuId vcpu, Gpa address, std::span<const std::byte> data);

}  // namespace ringside::hypervisor
