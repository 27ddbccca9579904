// The board that the software CPUs of one machine stand on, which is all that they share: RAM, the
// platform, time, the code cache, breakpoints of the debugger. Owned by SoftVm, single thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/soft/cpu/kept_pages.h"
#include "engine/soft/state/address_set.h"
#include "engine/soft/state/code_cache.h"
#include "platform/guest_ram.h"
#include "platform/observable.h"
#include "platform/platform.h"
#include "platform/processor.h"
#include "platform/recordable.h"
#include "ringside/exit.h"
#include "ringside/types.h"
#include "ringside/vm.h"
#include "ringside/x86/exception.h"

namespace ringside::soft {

using hypervisor::Processor;

class Cpu;
class Translator;  // translate/translator.h

class Board {
 public:
  Board(hypervisor::GuestRam& ram, hypervisor::Platform& platform);

  hypervisor::GuestRam& ram;
  hypervisor::Platform& platform;
  CodeCache code;
  Translator* translator = nullptr;  // null: all is interpreted
  std::vector<Cpu*> cpus;
  Processor processor = Processor::V2;  // each of them; set before any runs
  bool a20 = true;
  std::uint64_t a20_mask() const { return a20 ? ~std::uint64_t{0} : ~(std::uint64_t{1} << 20); }

  // ---- Time: instructions of all CPUs together, and what long ones take beyond that
  // docs/decisions/0036-a-nanosecond-again.md has the reasons for the figure.
  static constexpr std::uint64_t kNanosecondsPerInstruction = 1;
  VirtualTime now() const;
  std::uint64_t time_base = 0;    // virtual time when the present slice began
  std::uint64_t surcharge = 0;    // of long instructions in it, counted as instructions
  Cpu* running = nullptr;         // whose slice it is
  std::uint64_t slice_start = 0;  // its icount then
  bool held = false;              // the slice ends: at an InsnHeld, or at a hit of a travel

  // ---- How far the run is
  std::uint64_t retired() const;  // by all CPUs
  // So many things have happened without an instruction retiring (hypervisor::Progress).
  void note_parts(std::uint64_t count);
  hypervisor::Progress progress() const;
  // Before the last thing that was counted.
  hypervisor::Progress progress_before() const;
  // Not state: only positions are told by it. The number of parts, and of instructions then.
  std::uint64_t parts = 0, parts_at = 0;
  std::uint64_t parts_ever = 0;
  std::uint64_t stop_parts = 0;  // of Cpu::stop_icount

  // Not null: calls, returns and interrupts are told of, and no host code is used.
  hypervisor::FlowListener* flow_listener = nullptr;
  bool tells_flow() const { return flow_listener != nullptr && listener == nullptr; }

  std::uint64_t entropy = 0;  // where RDRAND's sequence is

  // RAM and ROM as the processor itself reads and writes them, at an address that the guest has
  // chosen: entries of page tables. Behind the A20 gate, and only where one slot has all the bytes:
  // elsewhere nothing is read, nothing is written. A write does not reach ROM.
  bool read_entry(Gpa address, void* out, unsigned size) const;
  void write_entry(Gpa address, const void* in, unsigned size);

  // RAM is about to change, by whomever: who keeps its past is told first.
  void ram_about_to_change(Gpa address, std::uint64_t size) {
    if (kept_pages) kept_pages->about_to_change(ram, address, size);
  }
  // Further changes of this page need not be told of.
  bool is_kept(Gpa page) const { return !kept_pages || kept_pages->has(page); }
  // Null: nobody does.
  std::unique_ptr<KeptPages> kept_pages;
  // RAM changed behind the CPUs' backs or by a store to a page with decoded code.
  void ram_written(Gpa address, std::uint64_t size);
  // A page now has decoded code: stores to it must be seen.
  void watch_code_page(Gpa page);

  // ---- The debugger's breakpoints and watchpoints without bytes in memory: what is looked up
  // while the guest runs. The debug server is their master, and inserts and removes each one.
  AddressSet breakpoints;                // linear addresses
  std::uint64_t breakpoint_changes = 0;  // of those: how often one came or went
  // What a block in a page with such breakpoints was decoded for: the page, whose number has 45
  // bits (linear addresses have 57), and the changes until then. Before the count of these begins
  // anew all blocks are dropped.
  static constexpr unsigned kChangeBits = 19;
  std::uint64_t breakpoint_stamp(std::uint64_t linear) const {
    return linear >> 12 << kChangeBits | (breakpoint_changes & ((1u << kChangeBits) - 1));
  }
  AddressSet physical_breakpoints;  // guest-physical addresses
  hypervisor::StopFilter* filter = nullptr;
  // Whether the run is a recorded one, and somebody in the guest lets it get on.
  enum class Repeats : std::uint8_t { Nothing, Held, Running } repeats = Repeats::Nothing;
  hypervisor::HitListener* listener = nullptr;  // not null: a travel (Rewindable)
  // What a hit of the debugger's comes to: the filter is asked, and on a travel the listener.
  enum class Verdict : std::uint8_t { GoOn, Exit, EndSlice };
  enum class HitIs : std::uint8_t { Next, Over };  // what was counted last has made it
  Verdict judge(Cpu& cpu, const hypervisor::Exit& hit, HitIs when);
  struct Watch {
    std::uint64_t address, size;
    hypervisor::WatchKind kind;
    bool meets(std::uint64_t at, std::uint64_t length, bool is_write) const {
      const bool wanted = kind == hypervisor::WatchKind::Access ||
                          (kind == hypervisor::WatchKind::Write) == is_write;
      return wanted && at <= address + (size - 1) && address <= at + (length - 1);
    }
  };
  std::vector<Watch> watches;
  std::vector<Watch> physical_watches;  // by guest-physical address
  // What a vCPU is caught at (catches.h), and of which kinds there are some.
  std::vector<hypervisor::Catch> catches;
  std::uint32_t catch_kinds = 0;
  bool catches_any(hypervisor::CatchKind kind) const {
    return (catch_kinds >> static_cast<unsigned>(kind) & 1) != 0;
  }
  bool page_has_breakpoint(std::uint64_t linear_page) const {
    return !breakpoints.in_page(linear_page).empty();
  }
  bool page_is_watched(std::uint64_t linear_page) const;
  bool physical_page_is_watched(Gpa page) const;

  // Who wants to know what the debugger's side changes; empty: nobody.
  std::function<void(const hypervisor::Change&)> changed;
  void tell(const hypervisor::Change& change) const {
    if (changed) changed(change);
  }

  // Asks the machine to end (a triple fault, an engine error).
  std::function<void(hypervisor::VmEnd)> end;
  // A vCPU is dead (triple fault): stop for the debugger or end the machine.
  std::function<void(Cpu&, std::string reason)> dead;
};

// An access that a watchpoint by physical address is for: an exit once the instruction is complete.
void note_physical_hit(Cpu& cpu, const Board::Watch& watch, bool by_device);

// Completes `event` with what the CPU is now, after it, and tells the listener.
void tell_flow(Cpu& cpu, hypervisor::FlowEvent& event);

// Raises an exception or interrupt through the IDT in every mode, with double and triple faults
// (SDM 3A chapter 6). deliver.cc.
enum class EventType : std::uint8_t {
  External,  // INTR
  Nmi,
  Fault,               // hardware exception: pushes RIP of the instruction
  SoftwareInterrupt,   // INT n: gate DPL is checked
  SoftwareException,   // INT3, INTO: gate DPL is checked
  PrivilegedSoftware,  // INT1
};
struct Event {
  EventType type = EventType::Fault;
  std::uint8_t vector = 0;
  std::optional<std::uint32_t> error_code;
};
// Delivers; RIP in the frame is cpu.rip(). A fault during delivery throws GuestFault.
void deliver(Cpu& cpu, const Event& event);
// Delivers an exception with the double-fault rules; a triple fault goes to Board::dead.
void deliver_exception(Cpu& cpu, x86::Exception exception, EventType type = EventType::Fault);
// An exception that is delivered in delivering another event, as debuggers are told of it.
void note_delivered(Cpu& cpu, const x86::Exception& exception);

}  // namespace ringside::soft
