// One software CPU: architectural state as plain data, and the access to memory that handlers use.
// Owned by SoftVm; touched only on the thread that calls SoftVm::run_slice (and the debug server's
// calls between slices, which come on the same thread).
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <vector>

#include "base/state_visitor.h"
#include "engine/soft/cpu/msr.h"
#include "engine/soft/state/code_cache.h"
#include "engine/soft/state/fault.h"
#include "engine/soft/state/flags.h"
#include "engine/soft/state/fpu.h"
#include "engine/soft/state/insn.h"
#include "engine/soft/state/tlb.h"
#include "ringside/exit.h"
#include "ringside/types.h"
#include "ringside/vcpu.h"
#include "ringside/x86/bits.h"
#include "ringside/x86/cpu_state.h"
#include "ringside/x86/exception.h"
#include "ringside/x86/segment.h"
#include "x86/linear_address.h"

namespace ringside::soft {

class Board;  // board.h: what all CPUs of a machine share

// Where a code page lies: one of a CPU's translations for fetching.
struct FetchEntry {
  std::uint64_t tag = TlbEntry::kInvalid;  // linear page | generation
  std::uint64_t gpa_page = 0;
  bool checked = false;      // the debugger has breakpoints by linear address on it
  std::uint64_t unused = 0;  // so that host code finds an entry by a shift
};
static_assert(sizeof(FetchEntry) == 32);

// What host code made from the guest's needs at hand, together so that it can reach it by short
// offsets. The first four are its own (translate/); the rest is the CPU's.
struct HostFrame {
  std::int64_t left = 0;        // instructions that may still begin before `limit`
  std::uint64_t limit = 0;      // Cpu::limit when the host code was entered
  std::uint64_t flags = 0;      // the arithmetic flags in the form of host_flags.h
  std::uint64_t target = 0;     // of a call that is under way
  TlbEntry* data = nullptr;     // the TLB's fast paths at the present privilege
  FetchEntry* fetch = nullptr;  // the translations for fetching at it
  // The code page that was fetched from last.
  std::uint64_t fetch_page = TlbEntry::kInvalid;
  std::uint64_t fetch_gpa_page = 0;
  bool fetch_page_checked = false;  // see FetchEntry
  bool is_exact = false;            // host code was left with all of the Cpu up to date
  // The host's MXCSR is the guest's (Stubs::load_control): Fpu::mxcsr has not the flags that came
  // since. Only while host code runs that was made from the guest's.
  bool control_loaded = false;
  std::uint32_t host_control = 0;  // the host's own MXCSR meanwhile
};

// Where host code finds the fields of a Cpu: distances in bytes from Cpu::host_base(), and of that
// from the Cpu.
struct CpuOffsets {
  int base = 0;
  int gpr = 0, left = 0, flags = 0, target = 0, data = 0, fetch = 0, fetch_page = 0,
      fetch_gpa_page = 0, fetch_page_checked = 0, generation = 0, fs_base = 0, gs_base = 0, xmm = 0,
      mxcsr = 0, control_loaded = 0, host_control = 0, cr0 = 0, cr4 = 0;
};

using Activity = hypervisor::VcpuActivity;

class Cpu {
 public:
  static constexpr unsigned kNoRegister = 16;  // a register that is always zero
  static constexpr unsigned kRip = 17;
  static constexpr unsigned kFetchEntries = 512;  // for each of supervisor and user

  Cpu(VcpuId id, Board& board);

  HostFrame frame;
  // Why host code was left with an instruction not done: a fault of the guest, or something else
  // that its handler has thrown.
  std::optional<GuestFault> host_fault;
  std::exception_ptr host_error;
  // In the middle of what host code uses most.
  std::uint8_t* host_base() { return reinterpret_cast<std::uint8_t*>(&gpr[8]); }
  CpuOffsets offsets();

  // ---- Architectural state. Its values at power-on and after INIT are reset()'s, from
  // x86/cpu_state.h.
  // gpr[0..15] by x86::Gpr; gpr[kNoRegister] is always 0; gpr[kRip] is RIP.
  std::array<std::uint64_t, 18> gpr{};
  Flags flags;
  // [0..5] by x86::SegmentName. Whoever changes CS or SS calls update_mode() afterwards.
  std::array<x86::Segment, 6> segment{};
  x86::Segment ldtr, tr;
  x86::TableRegister gdtr, idtr;
  std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, efer = 0, xcr0 = 0;
  std::array<std::uint64_t, 4> dr{};
  std::uint64_t dr6 = 0, dr7 = 0;
  std::uint64_t star = 0, lstar = 0, cstar = 0, sfmask = 0, kernel_gs_base = 0, tsc_aux = 0;
  std::uint64_t sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0, pat = 0;
  std::uint64_t tsc_offset = 0;  // TSC = virtual nanoseconds + tsc_offset; IA32_TSC_ADJUST
  Mtrrs mtrrs;
  std::uint64_t misc_enable = 0;
  std::uint32_t pkru = 0;  // changed by set_pkru()
  Fpu fpu;
  Activity activity = Activity::Running;
  // PDPTEs as loaded with CR3 in PAE paging (SDM 3A 4.4.1).
  std::array<std::uint64_t, 4> pdpte{};

  // ---- Execution state
  std::uint64_t icount = 0;     // instructions retired by this CPU
  std::uint64_t limit = 0;      // the fast loop leaves when icount reaches it; 0: at once
  std::uint64_t run_until = 0;  // run() returns when icount reaches it; 0: after this instruction
  std::uint64_t insn_rip = 0;   // RIP of the instruction being executed
  // No interrupt is taken at an instruction boundary while icount is below the first; no debug
  // exception while it is below the second, which SS loads alone move. The run loop counts an
  // instruction after its handler, so that a handler shadows the one instruction after its own with
  // icount + 2.
  std::uint64_t interrupt_shadow_until = 0;
  std::uint64_t debug_shadow_until = 0;
  bool interrupt_pin = false;  // level of INTR, set by the platform
  bool nmi_pending = false;
  bool nmi_blocked = false;    // until IRET
  bool retired = true;         // a handler clears it when its instruction has not completed (REP)
  bool one_iteration = false;  // REP: do a single iteration (stepping or TF)
  // REP: lines of 64 bytes that it has come to since it retired last. They take time when it
  // retires.
  std::uint64_t string_lines = 0;
  // Iterations of a REP that were made since its part that retired last.
  std::uint64_t iterations = 0;
  // Like Board::parts_ever, of this CPU alone.
  std::uint64_t parts_ever = 0;
  // Where the run has to stop: no instruction is begun at this count, and nothing else happens
  // there after Board::stop_parts. Set while the CPU runs.
  std::uint64_t stop_icount = ~std::uint64_t{0};
  // Where run() left a block half way. Not state: it saves decoding.
  CodeCache::Place half_way;
  // #DB causes (DR6 bits) collected by the current instruction, delivered as a trap after it; those
  // of an SS load after the next one. The debugger may stop the vCPU in between.
  std::uint64_t pending_debug = 0;
  // deliver() sets it: the instruction ended in a transfer through the IDT, so TF no longer traps.
  bool event_delivered = false;
  // The debugger resumed from a breakpoint at this linear address: it does not stop there again.
  std::optional<std::uint64_t> breakpoint_passed;
  bool init_pending = false;  // INIT is taken between instructions
  std::optional<x86::Exception> injected;
  std::uint8_t entry_insn_length = 1;
  // Capabilities of the hypervisor interface.
  bool breakpoint_exit = false, monitor_trap = false, mask_interrupts = false;
  bool has_events = true;  // the debugger has let it run: its hits count
  bool ends_turn = false;  // PAUSE: the other vCPUs come first
  // A handler that wants its vCPU to leave the guest sets this and calls leave_soon().
  std::optional<hypervisor::Exit> pending_exit;
  // Watchpoints that the present instruction has hit; settled when it is complete.
  std::vector<hypervisor::exit::Watchpoint> watch_hits;
  std::vector<hypervisor::exit::PhysicalWatchpoint> physical_watch_hits;

  // What it was caught at in the present instruction, likewise.
  std::vector<hypervisor::exit::Caught> caught;
  // Events that the debugger was told of when icount was `caught_at`: their delivery is not told of
  // again. Until something is delivered. Not state.
  std::vector<hypervisor::exit::Caught> events_passed;
  std::uint64_t caught_at = 0;
  // Half of a task switch is done: a fault is told of when it has been delivered, as the
  // instruction cannot be executed again.
  bool switches_task = false;
  // RF has let an instruction pass when icount was this (debug_registers.h): undone, it has RF
  // again.
  std::uint64_t rf_spent_at = ~std::uint64_t{0};
  // The debugger has moved it, or its state is another: what it was caught at is no more.
  void forget_caught() {
    events_passed.clear();
    rf_spent_at = ~std::uint64_t{0};
  }

  // Where it stands is another moment of the run.
  void forget_stops() {
    breakpoint_passed.reset();
    forget_caught();
  }

  VcpuId id() const { return id_; }
  Board& board() { return board_; }
  const Board& board() const { return board_; }

  // Leaves the fast loop before the next instruction, to look at interrupts, traps and exits. Every
  // handler that changes IF, TF, the task priority, the activity or such calls it.
  void leave_soon() { limit = 0; }
  // Gives the turn back to the scheduler, because time or the machine has changed under it.
  void yield_soon() { limit = run_until = 0; }
  // STI that has set IF: no interrupt before the next instruction is over (SDM 2B STI).
  void shadow_after_sti() {
    interrupt_shadow_until = icount + 2;
    leave_soon();
  }
  // MOV SS and POP SS: nothing at all. In a row of them only the first one counts (SDM 3A 6.8.3).
  void shadow_after_stack_load() {
    if (icount < debug_shadow_until) return;
    interrupt_shadow_until = debug_shadow_until = icount + 2;
    leave_soon();
  }

  // ---- Registers
  std::uint64_t& rip() { return gpr[kRip]; }
  std::uint64_t rip() const { return gpr[kRip]; }
  std::uint64_t& reg(x86::Gpr name) { return gpr[static_cast<std::size_t>(name)]; }
  x86::Segment& seg(x86::SegmentName name) { return segment[static_cast<std::size_t>(name)]; }
  const x86::Segment& seg(x86::SegmentName name) const {
    return segment[static_cast<std::size_t>(name)];
  }

  // A general register operand of T as lowered into Insn::reg and Insn::rm (bytes by offset).
  template <typename T>
  T get(std::uint8_t reg) const {
    if constexpr (sizeof(T) == 1) {
      return static_cast<T>(reinterpret_cast<const std::uint8_t*>(gpr.data())[reg]);
    } else {
      return static_cast<T>(gpr[reg]);
    }
  }
  // 32-bit writes clear the upper half; 8 and 16-bit writes keep the rest (SDM 1 3.4.1.1).
  template <typename T>
  void set(std::uint8_t reg, T value) {
    if constexpr (sizeof(T) == 1) {
      reinterpret_cast<std::uint8_t*>(gpr.data())[reg] = static_cast<std::uint8_t>(value);
    } else if constexpr (sizeof(T) == 2) {
      gpr[reg] = (gpr[reg] & ~std::uint64_t{0xffff}) | static_cast<std::uint16_t>(value);
    } else {
      gpr[reg] = static_cast<std::make_unsigned_t<T>>(value);
    }
  }

  // ---- Mode
  unsigned cpl() const { return cpl_; }
  bool protected_mode() const { return (cr0 & x86::cr0::PE) != 0; }
  bool virtual_8086() const { return flags.vm(); }
  // Real mode or virtual-8086: selectors are paragraphs.
  bool real_addressing() const { return !protected_mode() || virtual_8086(); }
  bool long_mode() const { return x86::in_long_mode(efer); }
  bool code64() const { return code_width_ == Width::Bits64; }
  Width code_width() const { return code_width_; }
  // Width of the stack pointer: 64-bit mode, or SS.B.
  Width stack_width() const { return stack_width_; }
  std::uint64_t stack_mask() const { return stack_mask_; }

  // Recomputes what is derived from CPL, segments, CR0, CR4, EFER, EFLAGS.VM and .AC: call after
  // changing any.
  void update_mode();
  // CPL is SS.DPL in protected mode (CS.RPL), 0 in real mode, 3 in virtual-8086 mode. Transfers set
  // it together with CS and SS, then update_mode().
  // From here on update_mode() notes other privilege levels than the present one, or does not.
  void catch_privilege(bool on) {
    catches_privilege_ = on;
    seen_cpl_ = cpl_;
  }
  void set_cpl(unsigned cpl) { cpl_ = static_cast<std::uint8_t>(cpl); }

  x86::CpuState state() const;
  void set_state(const x86::CpuState& state);
  // SDM 3A table 9-1. INIT keeps the FPU, the TSC, the MTRRs and most MSRs. Application processors
  // then wait for SIPI.
  enum class ResetKind : std::uint8_t { PowerOn, Init };
  void reset(ResetKind kind = ResetKind::PowerOn);
  void visit_state(StateVisitor& visitor);

  // ---- Memory
  // The offset of an instruction's memory operand within its segment.
  std::uint64_t effective_offset(const Insn& insn) const {
    return address_sum(insn) & kWidthMask[static_cast<unsigned>(insn.address_width)];
  }
  // Its linear address; checks the segment in legacy modes.
  std::uint64_t linear(const Insn& insn, unsigned size, AccessKind kind) const {
    // One comparison for most of what 64-bit code does: both are neighbours in Insn.
    if (insn.segment == segment_use::kFlat && insn.address_width == Width::Bits64) [[likely]] {
      return address_sum(insn);
    }
    return segmented(insn.segment, effective_offset(insn), size, kind);
  }
  // `use` is a segment_use value.
  std::uint64_t segmented(std::uint8_t use, std::uint64_t offset, unsigned size,
                          AccessKind kind) const {
    if (use == segment_use::kFlat || (use == segment_use::kFlatStack && canonical(offset)))
        [[likely]] {
      return offset;
    }
    return segmented_slow(use, offset, size, kind);
  }
  // Segment use of a named segment in the present mode, for implicit operands (stack, strings).
  std::uint8_t use_of(x86::SegmentName name) const;

  // Memory at the current privilege. T is trivially copyable, up to 64 bytes. Faults throw.
  template <typename T>
  T load(std::uint64_t linear) {
    return load_as<T>(linear, privilege_);
  }
  template <typename T>
  void store(std::uint64_t linear, T value) {
    store_as<T>(linear, value, privilege_);
  }
  // At another privilege: stacks of a level that is about to be entered.
  template <typename T>
  T load_as(std::uint64_t linear, Privilege privilege) {
    T value;
    const TlbEntry& entry = tlb_.entry(privilege, linear);
    if (entry.read_tag == (((linear + sizeof(T) - 1) & kPageMask) | tlb_.generation())) [[likely]] {
      std::memcpy(&value, host(entry, linear), sizeof(T));
    } else {
      read_slow(linear, &value, sizeof(T), privilege);
    }
    return value;
  }
  template <typename T>
  void store_as(std::uint64_t linear, T value, Privilege privilege) {
    const TlbEntry& entry = tlb_.entry(privilege, linear);
    if (entry.write_tag == (((linear + sizeof(T) - 1) & kPageMask) | tlb_.generation()))
        [[likely]] {
      std::memcpy(host(entry, linear), &value, sizeof(T));
    } else {
      write_slow(linear, &value, sizeof(T), privilege);
    }
  }
  // Read-modify-write: write permission is checked before anything happens (SDM 3A 6.5 restart).
  // `function` maps the old value to the new one and may set flags.
  template <typename T, typename Function>
  void modify(std::uint64_t linear, Function function) {
    const TlbEntry& entry = tlb_.entry(privilege_, linear);
    if (entry.write_tag == (((linear + sizeof(T) - 1) & kPageMask) | tlb_.generation()))
        [[likely]] {
      std::uint8_t* at = host(entry, linear);
      T value;
      std::memcpy(&value, at, sizeof(T));
      value = function(value);
      std::memcpy(at, &value, sizeof(T));
    } else {
      T value;
      check_write(linear, sizeof(T));
      read_slow(linear, &value, sizeof(T), privilege_);
      value = function(value);
      write_slow(linear, &value, sizeof(T), privilege_);
    }
  }
  // Faults as a write of [linear, linear + size) would, without writing.
  void check_write(std::uint64_t linear, unsigned size);
  // Descriptor tables and TSS: as supervisor, whatever the CPL (SDM 3A 4.6, implicit accesses).
  template <typename T>
  T load_system(std::uint64_t linear) {
    return load_as<T>(linear, Privilege::Supervisor);
  }
  template <typename T>
  void store_system(std::uint64_t linear, T value) {
    store_as<T>(linear, value, Privilege::Supervisor);
  }
  void check_write_system(std::uint64_t linear, unsigned size);
  Privilege privilege_at(unsigned cpl) const {
    if (cpl == 3) {
      const bool aligned = flags.ac() && (cr0 & x86::cr0::AM) != 0;
      return aligned ? Privilege::UserAligned : Privilege::User;
    }
    return flags.ac() ? Privilege::SupervisorAccessOk : Privilege::Supervisor;
  }
  // For REP on whole pages: host memory from `linear` to its page's end when all of it may take the
  // fast path for this access, else null. Write access also requires that no decoded code lies
  // there.
  std::uint8_t* direct(std::uint64_t linear, AccessKind kind);

  // The stack at the current privilege and stack width. push and pop change RSP last.
  std::uint64_t stack_linear(std::uint64_t offset, unsigned size, AccessKind kind) const {
    if (stack_width_ == Width::Bits64) [[likely]] {
      return segmented(segment_use::kFlatStack, offset, size, kind);
    }
    return segmented(static_cast<std::uint8_t>(x86::SegmentName::Ss), offset & stack_mask_, size,
                     kind);
  }
  std::uint64_t rsp() const { return gpr[static_cast<std::size_t>(x86::Gpr::Rsp)]; }
  // Writes the stack pointer at its width, keeping the bits above SP or ESP.
  void set_rsp(std::uint64_t value) {
    std::uint64_t& rsp = gpr[static_cast<std::size_t>(x86::Gpr::Rsp)];
    rsp = (rsp & ~stack_mask_) | (value & stack_mask_);
  }
  template <typename T>
  void push(T value) {
    const std::uint64_t top = rsp() - sizeof(T);
    store<T>(stack_linear(top, sizeof(T), AccessKind::Write), value);
    set_rsp(top);
  }
  // The value at the top (plus `skip` bytes) without moving the pointer.
  template <typename T>
  T peek(std::uint64_t skip = 0) {
    return load<T>(stack_linear(rsp() + skip, sizeof(T), AccessKind::Read));
  }
  template <typename T>
  T pop() {
    const T value = peek<T>();
    set_rsp(rsp() + sizeof(T));
    return value;
  }

  // ---- Translation
  // WRPKRU and XRSTOR. Translations were found with the rights of then, so they are forgotten where
  // a right is taken away.
  void set_pkru(std::uint32_t value);
  void flush_tlb();                               // everything that changes paging
  void enter_address_space(Tlb::Known known);     // MOV CR3 with PCIDs, after CR3 has changed
  void flush_tlb_context(std::uint16_t context);  // of a PCID
  void flush_tlb_page(std::uint64_t linear);      // INVLPG
  // The debugger has set or removed a watchpoint: pages gain or lose their fast path.
  void checks_changed();
  // It has set or removed a breakpoint by linear address on this page.
  void breakpoints_changed(std::uint64_t linear_page);
  // The physical address for an access by a walk, setting accessed and dirty bits; faults throw.
  Gpa translate(std::uint64_t linear, AccessKind kind, Privilege privilege);
  Privilege privilege() const { return privilege_; }

  // The code page that RIP lies in: gpa of `linear` for a fetch, through a small cache.
  Gpa fetch_gpa(std::uint64_t linear) {
    if ((linear & kPageMask) == frame.fetch_page) [[likely]] {
      return {frame.fetch_gpa_page | (linear & ~kPageMask)};
    }
    return fetch_gpa_slow(linear);
  }
  // Whether the translation for a fetch from `linear` is known, so that fetch_gpa needs no walk and
  // cannot fault.
  bool knows_fetch(std::uint64_t linear) const {
    const std::uint64_t page = linear & kPageMask;
    if (page == frame.fetch_page) [[likely]] {
      return true;
    }
    return fetch_entry(linear).tag == (page | tlb_.generation());
  }
  // Whether the debugger has breakpoints by linear address on the present code page, so that its
  // blocks have to end at them.
  bool fetch_page_is_checked() const { return frame.fetch_page_checked; }

  Tlb& tlb() { return tlb_; }
  void forget_fetch_page();
  // All bits from the top one that paging translates are alike (SDM 1 3.3.7.1).
  bool canonical(std::uint64_t linear) const {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(linear << canonical_shift_) >>
                                      canonical_shift_) == linear;
  }

  static constexpr std::uint64_t kWidthMask[] = {0xff, 0xffff, 0xffffffff, ~std::uint64_t{0}};

 private:
  std::uint64_t address_sum(const Insn& insn) const {
    return gpr[insn.base] + (gpr[insn.index] << insn.scale) +
           static_cast<std::uint64_t>(std::int64_t{insn.displacement});
  }
  static std::uint8_t* host(const TlbEntry& entry, std::uint64_t linear) {
    return reinterpret_cast<std::uint8_t*>(entry.host_offset + linear);
  }
  std::uint64_t segmented_slow(std::uint8_t use, std::uint64_t offset, unsigned size,
                               AccessKind kind) const;
  void read_slow(std::uint64_t linear, void* out, unsigned size, Privilege privilege);
  void write_slow(std::uint64_t linear, const void* in, unsigned size, Privilege privilege);
  void check_alignment(std::uint64_t linear, unsigned size, AccessKind kind, Privilege privilege);
  void read_within_page(std::uint64_t linear, void* out, unsigned size, Privilege privilege);
  void write_within_page(std::uint64_t linear, const void* in, unsigned size, Privilege privilege);
  void set_core_state(const x86::CpuState& state);  // all but what the platform keeps
  Gpa fetch_gpa_slow(std::uint64_t linear);
  void visit_fetch_entries(StateVisitor& visitor);
  void generation_begun(bool anew);
  // The same, by a walk only where none is known from before.
  Gpa translate_cached(std::uint64_t linear, AccessKind kind, Privilege privilege);
  void note_privilege();
  void fill_tlb(std::uint64_t linear, Gpa gpa, AccessKind kind, Privilege privilege);

  VcpuId id_;
  Board& board_;
  // Derived by update_mode().
  std::uint8_t cpl_ = 0;
  // Whether other levels are to be noted, and the last that was. Not state.
  bool catches_privilege_ = false;
  std::uint8_t seen_cpl_ = 0;
  Width code_width_ = Width::Bits16;
  Width stack_width_ = Width::Bits16;
  std::uint64_t stack_mask_ = 0xffff;
  std::uint8_t canonical_shift_ = 16;  // 7 with CR4.LA57
  Privilege privilege_ = Privilege::Supervisor;
  // Translations of code pages, by linear page, for supervisor and user.
  std::array<std::array<FetchEntry, kFetchEntries>, 2> fetch_entries_;
  FetchEntry& fetch_entry(std::uint64_t linear) const {
    return frame.fetch[(linear >> 12) % kFetchEntries];
  }
  Tlb tlb_;
};

}  // namespace ringside::soft
