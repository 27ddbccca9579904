// One instruction, exactly. KVM steps with the processor's trap flag, which a guest can see (PUSHF,
// interrupt frames, R11 of SYSCALL) and which is lost where control goes to a handler. So the
// instruction is looked at first; what it shows of the flag is put right afterwards; and all the
// handlers that it may go to are step points. docs/decisions/0009 has the cases.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "engine/kvm/code/accesses.h"
#include "engine/kvm/host/alarm.h"
#include "engine/kvm/vcpu/step_points.h"
#include "engine/kvm/vcpu/vcpu.h"

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::VmEnd;
using Kind = Instruction::Kind;
using Part = RegisterFile::Part;
using x86::rflags::TF;

constexpr unsigned kExceptions = 32;
constexpr unsigned kCore = RegisterFile::kGeneral | RegisterFile::kSystem;

}  // namespace

// The step of one vCPU, from its beginning to its event. A value on the thread's stack.
class Stepper {
 public:
  explicit Stepper(KvmVcpu& vcpu)
      : vcpu_(vcpu),
        parts_(vcpu.parts_),
        registers_(vcpu.parts_.core.registers),
        points_(vcpu.parts_.core) {}

  // An event; nothing when the vCPU has to look after something else first and the instruction has
  // not been executed.
  std::optional<hypervisor::Exit> step() {
    if (const Result<void> done = registers_.load(kCore | Part::kEvents); !done) return fail(done);
    if (parts_.core.kernel_apic()) {
      if (!prepare_for_kernel_apic()) return std::nullopt;
      if (const Result<void> done = registers_.load(kCore | Part::kEvents); !done)
        return fail(done);
    } else if (parts_.core.activity == Activity::Halted) {
      if (!begin_interrupt()) return std::nullopt;
    } else if (interrupt_is_due()) {
      (void)begin_interrupt();
      if (const Result<void> done = registers_.load(kCore | Part::kEvents); !done)
        return fail(done);
    }
    start_ = registers_.linear_rip();
    start_rip_ = registers_.general().rip;
    before_ = registers_.general();
    guest_tf_ = (registers_.general().rflags & TF) != 0;
    const kvm_vcpu_events& events = registers_.events();
    delivering_ = events.exception.injected != 0 || events.exception.pending != 0 ||
                  events.interrupt.injected != 0 || events.nmi.injected != 0 ||
                  events.nmi.pending != 0;
    if (!delivering_) look();
    if (insn_.kind == Kind::Breakpoint && intercepts_int3()) {
      // The exit tells KVM the length, which it needs to give the int3 back to the guest.
      outcome_ = attempt(blocked());
      if (outcome_ != Outcome::Int3) return finish();
      if (parts_.core.breakpoint_exit) return parts_.exits.at_int3(insn_.length);
      parts_.exceptions.raise_breakpoint(insn_.length);
      if (const Result<void> done = registers_.load(kCore | Part::kEvents); !done)
        return fail(done);
      delivering_ = true;
    }
    if (watching_ && !delivering_) note_accesses();
    const bool to_next = ends_at_next();
    if (to_next) add_direct(start_.value + insn_.length);
    add_points();
    const std::uint32_t trap = delivering_ || to_next ? 0 : KVM_GUESTDBG_SINGLESTEP;
    outcome_ = attempt(trap | blocked());
    return finish();
  }

 private:
  enum class Outcome {
    Undone,   // nothing was executed
    Trapped,  // the instruction is complete
    Arrived,  // at a step point
    Int3,     // before an int3 that is not ours
    Event,    // exit_ says it
  };

  bool intercepts_int3() const {
    return parts_.core.system.facts.int3_exit || parts_.core.system.facts.int3_as_error;
  }

  std::optional<hypervisor::Exit> fail(const Result<void>& why) { return parts_.core.die(why); }

  // A debugger's step may lead into an interrupt handler, if it lets it. Passing a breakpoint must
  // not: the handler would come back to it.
  bool interrupt_is_due() const {
    return parts_.core.monitor_trap && !parts_.core.mask_interrupts &&
           parts_.interrupts.any_waits();
  }

  // An int3 on the next instruction does instead of the trap flag, without two calls of KVM; for
  // the way past a breakpoint that does not count.
  bool ends_at_next() const {
    return parts_.passed.under_int3() && !parts_.core.monitor_trap && intercepts_int3() &&
           !delivering_ && !guest_tf_ && insn_.falls_through &&
           parts_.core.view().byte(start_ + insn_.length) != nullptr;
  }

  // The kernel's local APIC may interrupt at any time. Where it must not, KVM holds it back; where
  // it may, every interrupt's handler is a step point. False: it has to wait for an interrupt.
  bool prepare_for_kernel_apic() {
    if (parts_.core.activity == Activity::Halted) {
      if (!vcpu_.await_interrupt()) return false;
      waking_ = true;
    }
    interrupts_may_come_ = parts_.core.monitor_trap && !parts_.core.mask_interrupts;
    if (!interrupts_may_come_) parts_.interrupts.give_back();
    return true;
  }

  std::uint32_t blocked() const {
    if (!parts_.core.kernel_apic() || (interrupts_may_come_ && !delivering_)) return 0;
    return KVM_GUESTDBG_BLOCKIRQ;
  }

  // False if it cannot be taken now.
  bool begin_interrupt() {
    if (parts_.interrupts.nmi_waits()) {
      parts_.interrupts.inject_nmi();
    } else if (!parts_.interrupts.window_open() || !parts_.interrupts.inject_interrupt()) {
      return false;
    }
    return registers_.load(kCore | Part::kEvents).has_value();
  }

  // What the instruction is going to access, if KVM does not ask for it.
  void note_accesses() {
    std::uint8_t code[15];
    const std::size_t size = parts_.core.view().read(start_, code);
    const GuestView memory = parts_.core.view();
    parts_.core.system.pages.accessed(
        accesses(std::span(code, size), parts_.core.code_size(), registers_.general(),
                 registers_.system()),
        [&](Gva address) { return memory.translate(address); }, hits_);
  }

  void open_pages() {
    if (std::exchange(opened_, true)) return;
    parts_.core.close_gate();
    parts_.core.system.pages.open();
  }

  void close_pages() {
    if (!std::exchange(opened_, false)) return;
    parts_.core.system.pages.close();
    parts_.core.open_gate();
    was_opened_ = true;
  }

  // The frame that an event's delivery has pushed, from the new stack pointer up.
  void note_frame() {
    const EntryPoint& point = arrived_.front();
    const std::uint64_t slots = point.slot_size == 8 ? 5 : 3;
    const MemoryAccess frame{parts_.core.stack(0),
                             (slots + (point.error_code ? 1 : 0)) * point.slot_size, false, true};
    const GuestView memory = parts_.core.view();
    parts_.core.system.pages.accessed(
        {frame}, [&](Gva address) { return memory.translate(address); }, hits_);
  }

  // Those of an instruction that was executed while nobody watched.
  void settle_accesses() {
    if (!was_opened_) return;
    const bool entered =
        outcome_ == Outcome::Arrived && arrived_.front().kind == EntryPoint::Kind::Handler;
    // A handler instead of the instruction; of its accesses nothing is known to have happened.
    if (entered) {
      hits_.clear();
      note_frame();
    }
    parts_.pages.note(hits_);
  }

  void look() {
    std::uint8_t code[15];
    const std::size_t size = parts_.core.view().read(start_, code);
    insn_ = examine(std::span(code, size), parts_.core.code_size());
    // What the stack has for the flags is gone once the instruction has been executed.
    const std::uint64_t skip = insn_.kind == Kind::InterruptReturn ? 2u * insn_.operand_size : 0;
    if (insn_.kind == Kind::PopFlags || insn_.kind == Kind::InterruptReturn) {
      const auto flags = parts_.core.view().value<std::uint16_t>(parts_.core.stack(skip));
      loaded_tf_ = flags && (*flags & TF) != 0;
    } else if (insn_.kind == Kind::SystemReturn) {
      loaded_tf_ = (registers_.general().r11 & TF) != 0;
    }
  }

  // The instruction itself must not get an int3.
  void add(const std::optional<EntryPoint>& point) {
    if (point && (delivering_ || point->address != start_)) points_.add(*point);
  }

  void add_direct(std::uint64_t address) {
    EntryPoint point;
    point.kind = EntryPoint::Kind::Direct;
    point.address = {address};
    add(point);
  }

  void add_points() {
    const GuestView memory = parts_.core.view();
    if (interrupts_may_come_ && !delivering_) add_interrupts(memory);
    if (!delivering_ && !insn_.may_fault) return;
    const kvm_vcpu_events& events = registers_.events();
    if (delivering_ && events.interrupt.injected != 0) {
      add(handler_of(registers_, memory, events.interrupt.nr));
    }
    switch (insn_.kind) {
      case Kind::SoftwareInterrupt:
        add(handler_of(registers_, memory, insn_.vector));
        break;
      case Kind::Breakpoint:
        add(handler_of(registers_, memory, 3));
        break;
      case Kind::SystemCall:
        add_system_call();
        break;
      case Kind::SystemEnter:
        add_msr(x86::msr::kSysenterEip);
        break;
      case Kind::SystemReturn:
        if (parts_.core.system.facts.int3_exit) add_direct(registers_.general().rcx);
        break;
      case Kind::SystemExit:
        if (parts_.core.system.facts.int3_exit) add_direct(registers_.general().rdx);
        break;
      case Kind::LoadStackSegment:
        add_direct(start_.value + insn_.length);
        break;
      default:
        break;
    }
    for (const unsigned vector : {14u, 13u, 6u, 12u})
      add(handler_of(registers_, memory, static_cast<std::uint8_t>(vector)));
    for (unsigned vector = 0; vector < kExceptions; ++vector)
      add(handler_of(registers_, memory, static_cast<std::uint8_t>(vector)));
  }

  // What is requested already comes first.
  void add_interrupts(const GuestView& memory) {
    const auto apic = LocalApicPage::get(parts_.core.file.fd());
    for (const bool requested : {true, false}) {
      for (unsigned vector = 255; vector >= kExceptions; --vector) {
        const auto number = static_cast<std::uint8_t>(vector);
        if ((apic && apic->requests(number)) == requested)
          add(handler_of(registers_, memory, number));
      }
    }
    add(handler_of(registers_, memory, 2));  // NMI
  }

  void add_msr(std::uint32_t number) {
    if (const auto target = get_msr(parts_.core.file.fd(), number)) add_direct(*target);
  }

  void add_system_call() {
    if (registers_.code64()) {
      add_msr(x86::msr::kLstar);
    } else if (registers_.long_mode()) {
      add_msr(x86::msr::kCstar);
    } else if (const auto star = get_msr(parts_.core.file.fd(), x86::msr::kStar)) {
      add_direct(*star & 0xffffffff);
    }
  }

  // Into the guest until it is certain what became of the instruction.
  Outcome attempt(std::uint32_t flags) {
    points_.plant(parts_.core.view(), parts_.debug.take_slots_for_step());
    if (parts_.pages.is_blocked()) open_pages();
    const Result<void> debug = parts_.debug.apply_step(flags);
    Outcome outcome = Outcome::Event;
    std::optional<Alarm> alarm;
    if (waking_) alarm.emplace();
    if (debug) {
      outcome = run_until_certain();
    } else {
      exit_ = fail(debug);
    }
    close_pages();
    points_.lift();
    if (const Result<void> off = parts_.debug.end_step(); !off)
      log::error("vCPU {}: {}", parts_.core.id.value, off.error().text());
    return outcome;
  }

  Outcome run_until_certain() {
    for (;;) {
      parts_.core.file.run().request_interrupt_window = 0;
      const bool completing = parts_.devices.pending();
      const int error = parts_.entry.run();
      if (error != 0) {
        if (watching_ && error == EFAULT && !opened_) {
          parts_.pages.set_blocked(true);
          open_pages();
          continue;
        }
        if (error != EINTR && error != EAGAIN) {
          exit_ = parts_.exits.handle_failure(error);
          return Outcome::Event;
        }
        parts_.thread.looks();
        // A device access has been begun: the instruction must be ended too.
        if (!completing && (waking_ || vcpu_.wanted_elsewhere())) return Outcome::Undone;
        continue;
      }
      if (const std::optional<Outcome> outcome = judge()) return *outcome;
    }
  }

  std::optional<Outcome> judge() {
    const kvm_run& run = parts_.core.file.run();
    switch (run.exit_reason) {
      case KVM_EXIT_DEBUG:
        if (run.debug.arch.exception == static_cast<unsigned>(x86::Vector::Breakpoint))
          return at_int3();
        return at_debug(run.debug.arch.dr6);
      case KVM_EXIT_INTERNAL_ERROR:
        if (parts_.core.system.facts.int3_as_error && parts_.core.int3_at_rip() != 0)
          return at_int3();
        if (parts_.pages.blocks(EFAULT)) {
          parts_.pages.set_blocked(true);
          parts_.pages.drop_failed_instruction();
          open_pages();
          return std::nullopt;
        }
        break;
      case KVM_EXIT_SET_TPR:
        return Outcome::Trapped;  // takes the place of the trap
      case KVM_EXIT_HLT:
        (void)parts_.exits.handle();
        return Outcome::Trapped;
      case KVM_EXIT_MMIO:
        if (run.mmio.is_write == 0) break;
        // KVM has done with the instruction by then, and does not trap after it.
        exit_ = parts_.exits.handle();
        if (!exit_) exit_ = parts_.exits.finish_access();
        return exit_ ? Outcome::Event : Outcome::Trapped;
      default:
        break;
    }
    exit_ = parts_.exits.handle();
    if (exit_ || parts_.core.activity == Activity::Dead) return Outcome::Event;
    if (parts_.core.activity == Activity::WaitingForDevice) return Outcome::Undone;
    return std::nullopt;
  }

  Outcome at_int3() {
    if (const Result<void> done = registers_.load(kCore); !done) {
      exit_ = fail(done);
      return Outcome::Event;
    }
    arrived_ = points_.at(registers_.linear_rip());
    return arrived_.empty() ? Outcome::Int3 : Outcome::Arrived;
  }

  std::optional<Outcome> at_debug(std::uint64_t dr6) {
    for (unsigned i = 0; i < kSlotCount; ++i) {
      if ((dr6 >> i & 1) != 0 && parts_.debug.slots()[i].owner == DebugSlot::Owner::Step)
        return at_int3();
    }
    slot_hits_ = dr6 & 0xf;
    if (slot_hits_ == 0 && premature()) return std::nullopt;
    return Outcome::Trapped;
  }

  // Some processors leave a trap behind when the instruction has to be tried again because the host
  // had not mapped a page; it comes before the instruction. An instruction that changes nothing,
  // not even RIP, is a jump to itself, and may well be executed a few times more.
  bool premature() {
    constexpr unsigned kPagesTouched = 32;
    if (++attempts_ > kPagesTouched || !registers_.load(Part::kGeneral)) return false;
    kvm_regs now = registers_.general();
    now.rflags = (now.rflags & ~TF) | (before_.rflags & TF);
    return std::memcmp(&now, &before_, sizeof now) == 0;
  }

  std::optional<hypervisor::Exit> finish() {
    switch (outcome_) {
      case Outcome::Undone:
        if (guest_tf_) set_guest_tf();
        return std::nullopt;
      case Outcome::Event:
        return exit_;
      case Outcome::Int3:
        return parts_.exits.at_int3(std::max<std::uint8_t>(parts_.core.int3_at_rip(), 1));
      case Outcome::Arrived:
      case Outcome::Trapped:
        break;
    }
    if (parts_.core.kernel_apic() && waking_) parts_.core.activity = Activity::Running;
    if (const Result<void> done = registers_.load(kCore); !done) return fail(done);
    if (outcome_ == Outcome::Arrived) {
      settle_arrival();
    } else {
      settle_completion();
    }
    if (watching_) settle_accesses();
    if (const Result<void> done = registers_.flush(); !done) return fail(done);
    if (slot_hits_ != 0) {
      if (auto hit = parts_.exits.at_slots(slot_hits_)) return hit;
    }
    if (trap_is_due_ && slot_hits_ == 0) parts_.exceptions.raise_debug(x86::dr6::BS);
    if (insn_.kind == Kind::Halt && outcome_ == Outcome::Trapped) {
      if (const Result<void> done = vcpu_.note_halt(); !done) return fail(done);
    }
    return exit::MonitorTrap{};
  }

  void set_guest_tf() {
    if (!registers_.load(Part::kGeneral)) return;
    registers_.general().rflags |= TF;
    registers_.changed(Part::kGeneral);
  }

  // The instruction was executed and no handler was entered.
  void settle_completion() {
    bool tf = guest_tf_;
    switch (insn_.kind) {
      case Kind::PushFlags:
        if (!guest_tf_) clear_tf_at(parts_.core.stack(0));
        break;
      case Kind::PopFlags:
      case Kind::InterruptReturn:
      case Kind::SystemReturn:
        tf = loaded_tf_;
        break;
      case Kind::SystemCall:
        tf = settle_system_call();
        break;
      default:
        break;
    }
    if (tf) set_guest_tf();
    // The guest was stepping itself: its own trap is due (SDM 3A 6.9, priority 4).
    trap_is_due_ = guest_tf_;
  }

  void settle_arrival() {
    if (arrived_.front().kind == EntryPoint::Kind::Handler) {
      // An entry through a gate clears TF; the frame has the guest's own.
      if (!guest_tf_ && !delivering_) clean_frame();
      return;
    }
    bool tf = guest_tf_;
    if (insn_.kind == Kind::SystemCall) tf = settle_system_call();
    if (insn_.kind == Kind::SystemReturn) tf = loaded_tf_;
    if (tf) set_guest_tf();
  }

  // The guest's own TF afterwards.
  bool settle_system_call() {
    if (guest_tf_) {
      const auto mask = get_msr(parts_.core.file.fd(), x86::msr::kSfmask);
      return mask && (*mask & TF) == 0;
    }
    registers_.general().r11 &= ~TF;
    registers_.changed(Part::kGeneral);
    return false;
  }

  // Which of the vectors that share the handler it was shows in the frame: it has the address of
  // this instruction or of the next.
  void clean_frame() {
    for (const EntryPoint& point : arrived_) {
      const unsigned skip = point.error_code ? point.slot_size : 0;
      const std::uint64_t mask =
          point.slot_size == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << 8 * point.slot_size) - 1;
      const auto rip = parts_.core.view().value<std::uint64_t>(parts_.core.stack(skip));
      const std::uint64_t here = start_rip_ & mask;
      if (!rip || ((*rip & mask) != here && (*rip & mask) != ((here + insn_.length) & mask)))
        continue;
      clear_tf_at(parts_.core.stack(skip + 2u * point.slot_size));
      return;
    }
  }

  void clear_tf_at(Gva flags) {
    if (std::uint8_t* byte = parts_.core.view().byte(flags + 1))
      *byte &= static_cast<std::uint8_t>(~1u);
  }

  KvmVcpu& vcpu_;
  EntryParts& parts_;
  RegisterFile& registers_;
  StepPoints points_;
  Instruction insn_;
  Gva start_;
  std::uint64_t start_rip_ = 0;
  kvm_regs before_{};
  unsigned attempts_ = 0;
  bool guest_tf_ = false;             // the guest's own trap flag
  bool loaded_tf_ = false;            // of the flags that the instruction loads
  bool delivering_ = false;           // an exception or interrupt instead of an instruction
  bool waking_ = false;               // in HLT, and the kernel's local APIC has something for it
  bool interrupts_may_come_ = false;  // from the kernel's local APIC
  Outcome outcome_ = Outcome::Undone;
  std::optional<hypervisor::Exit> exit_;
  std::vector<EntryPoint> arrived_;
  std::uint64_t slot_hits_ = 0;
  bool trap_is_due_ = false;
  bool watching_ = parts_.core.system.pages.any();
  bool opened_ = false;      // protected pages, for as long as it runs
  bool was_opened_ = false;  // so that KVM did not ask for the accesses
  PageWatches::Hits hits_;   // of those
};

std::optional<Exit> KvmVcpu::step() {
  VcpuCore& core = parts_.core;
  parts_.pages.forget_hits();
  hypervisor::StopFilter* filter = parts_.passed.under_int3() ? core.system.filter.load() : nullptr;
  if (filter != nullptr) {
    core.close_gate();
    filter->uncover(core.id);
  }
  std::optional<Exit> why = Stepper(*this).step();
  if (filter != nullptr) {
    filter->cover(core.id);
    core.open_gate();
  }
  parts_.pages.set_blocked(false);
  std::optional<Gva> stepped_to;
  if (core.registers.load(kCore)) stepped_to = core.registers.linear_rip();
  parts_.exits.note_step(stepped_to);
  return why;
}

// Something must be done before the guest can go on.
bool KvmVcpu::wanted_elsewhere() const {
  return parts_.handover.requests(parts_.handover.lock()).any() || parts_.core.system.ended;
}

}  // namespace ringside::kvm
