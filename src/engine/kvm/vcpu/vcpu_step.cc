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

constexpr std::uint32_t kDebugOn = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
constexpr unsigned kExceptions = 32;
constexpr unsigned kCore = RegisterFile::kGeneral | RegisterFile::kSystem;

}  // namespace

CodeSize KvmVcpu::code_size() const {
  if (registers_.code64()) return CodeSize::Bits64;
  return registers_.code32() ? CodeSize::Bits32 : CodeSize::Bits16;
}

std::uint8_t KvmVcpu::int3_at_rip() {
  if (!registers_.load(kCore)) return 0;
  const auto bytes_stay = system_.gate.keep(thread_);
  std::uint8_t code[15];
  const std::size_t size = view().read(registers_.linear_rip(), code);
  return int3_length(std::span(code, size), code_size());
}

GuestView KvmVcpu::view() {
  const kvm_sregs& system = registers_.system();
  return {system_.ram, {system.cr0, system.cr3, system.cr4, system.efer}};
}

// The step of one vCPU, from its beginning to its event. A value on the thread's stack.
class Stepper {
 public:
  explicit Stepper(KvmVcpu& vcpu)
      : vcpu_(vcpu), registers_(vcpu.registers_), points_(vcpu.system_, vcpu.thread_) {}

  // An event; nothing when the vCPU has to look after something else first and the instruction has
  // not been executed.
  std::optional<hypervisor::Exit> step() {
    if (const Result<void> done = registers_.load(kCore | Part::kEvents); !done) return fail(done);
    if (vcpu_.kernel_apic()) {
      if (!prepare_for_kernel_apic()) return std::nullopt;
      if (const Result<void> done = registers_.load(kCore | Part::kEvents); !done)
        return fail(done);
    } else if (vcpu_.activity_ == Activity::Halted) {
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
      outcome_ = attempt(kDebugOn | blocked());
      if (outcome_ != Outcome::Int3) return finish();
      if (vcpu_.breakpoint_exit_) return vcpu_.handle_int3(insn_.length);
      vcpu_.raise_breakpoint(insn_.length);
      if (const Result<void> done = registers_.load(kCore | Part::kEvents); !done)
        return fail(done);
      delivering_ = true;
    }
    if (watching_ && !delivering_) note_accesses();
    const bool to_next = ends_at_next();
    if (to_next) add_direct(start_.value + insn_.length);
    add_points();
    const std::uint32_t trap = delivering_ || to_next ? 0 : KVM_GUESTDBG_SINGLESTEP;
    outcome_ = attempt(kDebugOn | trap | blocked());
    return finish();
  }

 private:
  enum class Outcome {
    Undone,   // nothing was executed
    Trapped,  // the instruction is complete
    Arrived,  // at a step point
    Int3,     // before an int3 that is not ours
    Exit,     // exit_ says it
  };

  bool intercepts_int3() const {
    return vcpu_.system_.facts.int3_exit || vcpu_.system_.facts.int3_as_error;
  }

  std::optional<hypervisor::Exit> fail(const Result<void>& why) {
    return vcpu_.die(why.error().text(), VmEnd::Kind::Error);
  }

  // A debugger's step may lead into an interrupt handler, if it lets it. Passing a breakpoint must
  // not: the handler would come back to it.
  bool interrupt_is_due() const {
    return vcpu_.monitor_trap_ && !vcpu_.mask_interrupts_ &&
           (vcpu_.nmi_ || vcpu_.pin_ || vcpu_.held_interrupt_);
  }

  // An int3 on the next instruction does instead of the trap flag, without two calls of KVM; for
  // the way past a breakpoint that does not count.
  bool ends_at_next() const {
    return vcpu_.left_at_breakpoint_ && vcpu_.left_under_int3_ && !vcpu_.monitor_trap_ &&
           intercepts_int3() && !delivering_ && !guest_tf_ && insn_.falls_through &&
           vcpu_.view().byte(start_ + insn_.length) != nullptr;
  }

  // The kernel's local APIC may interrupt at any time. Where it must not, KVM holds it back; where
  // it may, every interrupt's handler is a step point. False: it has to wait for an interrupt.
  bool prepare_for_kernel_apic() {
    if (vcpu_.activity_ == Activity::Halted) {
      if (!vcpu_.await_interrupt()) return false;
      waking_ = true;
    }
    interrupts_may_come_ = vcpu_.monitor_trap_ && !vcpu_.mask_interrupts_;
    if (!interrupts_may_come_) vcpu_.settle_interrupt();
    return true;
  }

  std::uint32_t blocked() const {
    if (!vcpu_.kernel_apic() || (interrupts_may_come_ && !delivering_)) return 0;
    return KVM_GUESTDBG_BLOCKIRQ;
  }

  // False if it cannot be taken now.
  bool begin_interrupt() {
    if (vcpu_.nmi_) {
      vcpu_.inject_nmi();
    } else if (!vcpu_.window_open() || !vcpu_.inject_interrupt()) {
      return false;
    }
    return registers_.load(kCore | Part::kEvents).has_value();
  }

  // What the instruction is going to access, if KVM does not ask for it.
  void note_accesses() {
    std::uint8_t code[15];
    const std::size_t size = vcpu_.view().read(start_, code);
    const GuestView memory = vcpu_.view();
    vcpu_.system_.pages.accessed(
        accesses(std::span(code, size), vcpu_.code_size(), registers_.general(),
                 registers_.system()),
        [&](Gva address) { return memory.translate(address); }, hits_);
  }

  void open_pages() {
    if (std::exchange(opened_, true)) return;
    vcpu_.system_.gate.close(&vcpu_.thread_);
    vcpu_.system_.pages.open();
  }

  void close_pages() {
    if (!std::exchange(opened_, false)) return;
    vcpu_.system_.pages.close();
    vcpu_.system_.gate.open();
    was_opened_ = true;
  }

  // The frame that an event's delivery has pushed, from the new stack pointer up.
  void note_frame() {
    const EntryPoint& point = arrived_.front();
    const std::uint64_t slots = point.slot_size == 8 ? 5 : 3;
    const MemoryAccess frame{stack(0), (slots + (point.error_code ? 1 : 0)) * point.slot_size,
                             false, true};
    const GuestView memory = vcpu_.view();
    vcpu_.system_.pages.accessed(
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
    vcpu_.note_hits(hits_);
  }

  void look() {
    std::uint8_t code[15];
    const std::size_t size = vcpu_.view().read(start_, code);
    insn_ = examine(std::span(code, size), vcpu_.code_size());
    // What the stack has for the flags is gone once the instruction has been executed.
    const std::uint64_t skip = insn_.kind == Kind::InterruptReturn ? 2u * insn_.operand_size : 0;
    if (insn_.kind == Kind::PopFlags || insn_.kind == Kind::InterruptReturn) {
      const auto flags = vcpu_.view().value<std::uint16_t>(stack(skip));
      loaded_tf_ = flags && (*flags & TF) != 0;
    } else if (insn_.kind == Kind::SystemReturn) {
      loaded_tf_ = (registers_.general().r11 & TF) != 0;
    }
  }

  Gva stack(std::uint64_t offset) const {
    const kvm_sregs& system = registers_.system();
    const std::uint64_t rsp = registers_.general().rsp + offset;
    if (registers_.code64()) return {rsp};
    const bool big = system.ss.db != 0 && (system.cr0 & x86::cr0::PE) != 0;
    return {(system.ss.base + (rsp & (big ? 0xffffffff : 0xffff))) & 0xffffffff};
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
    const GuestView memory = vcpu_.view();
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
        if (vcpu_.system_.facts.int3_exit) add_direct(registers_.general().rcx);
        break;
      case Kind::SystemExit:
        if (vcpu_.system_.facts.int3_exit) add_direct(registers_.general().rdx);
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
    const auto apic = LocalApicPage::get(vcpu_.file_.fd());
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
    if (const auto target = get_msr(vcpu_.file_.fd(), number)) add_direct(*target);
  }

  void add_system_call() {
    if (registers_.code64()) {
      add_msr(x86::msr::kLstar);
    } else if (registers_.long_mode()) {
      add_msr(x86::msr::kCstar);
    } else if (const auto star = get_msr(vcpu_.file_.fd(), x86::msr::kStar)) {
      add_direct(*star & 0xffffffff);
    }
  }

  // Into the guest until it is certain what became of the instruction.
  Outcome attempt(std::uint32_t flags) {
    vcpu_.slots_ = vcpu_.make_slots(Stoppoints::Which::WithoutBreakpoints);
    vcpu_.slots_generation_ = ~0u;  // the next free run makes its own
    points_.plant(vcpu_.view(), vcpu_.slots_);
    if (vcpu_.blocked_) open_pages();
    const Result<void> debug = vcpu_.apply_debug(flags, vcpu_.slots_);
    Outcome outcome = Outcome::Exit;
    std::optional<Alarm> alarm;
    if (waking_) alarm.emplace();
    if (debug) {
      outcome = run_until_certain();
    } else {
      exit_ = fail(debug);
    }
    close_pages();
    points_.lift();
    // Takes the trap flag out of the guest's flags.
    if (const Result<void> off = vcpu_.apply_debug(kDebugOn, DebugSlots()); !off)
      log::error("vCPU {}: {}", vcpu_.id_.value, off.error().text());
    return outcome;
  }

  Outcome run_until_certain() {
    for (;;) {
      vcpu_.file_.run().request_interrupt_window = 0;
      const bool completing = vcpu_.access_pending_;
      const int error = vcpu_.enter();
      if (error != 0) {
        if (watching_ && error == EFAULT && !opened_) {
          vcpu_.blocked_ = true;
          open_pages();
          continue;
        }
        if (error != EINTR && error != EAGAIN) {
          exit_ = vcpu_.handle_failed_run(error);
          return Outcome::Exit;
        }
        vcpu_.thread_.looks();
        // A device access has been begun: the instruction must be ended too.
        if (!completing && (waking_ || vcpu_.wanted_elsewhere())) return Outcome::Undone;
        continue;
      }
      if (const std::optional<Outcome> outcome = judge()) return *outcome;
    }
  }

  std::optional<Outcome> judge() {
    const kvm_run& run = vcpu_.file_.run();
    switch (run.exit_reason) {
      case KVM_EXIT_DEBUG:
        if (run.debug.arch.exception == static_cast<unsigned>(x86::Vector::Breakpoint))
          return at_int3();
        return at_debug(run.debug.arch.dr6);
      case KVM_EXIT_INTERNAL_ERROR:
        if (vcpu_.system_.facts.int3_as_error && vcpu_.int3_at_rip() != 0) return at_int3();
        if (vcpu_.is_blocked(EFAULT)) {
          vcpu_.blocked_ = true;
          vcpu_.drop_failed_instruction();
          open_pages();
          return std::nullopt;
        }
        break;
      case KVM_EXIT_SET_TPR:
        return Outcome::Trapped;  // takes the place of the trap
      case KVM_EXIT_HLT:
        (void)vcpu_.handle_exit();
        return Outcome::Trapped;
      case KVM_EXIT_MMIO:
        if (run.mmio.is_write == 0) break;
        // KVM has done with the instruction by then, and does not trap after it.
        exit_ = vcpu_.handle_exit();
        if (!exit_) exit_ = vcpu_.finish_access();
        return exit_ ? Outcome::Exit : Outcome::Trapped;
      default:
        break;
    }
    exit_ = vcpu_.handle_exit();
    if (exit_ || vcpu_.activity_ == Activity::Dead) return Outcome::Exit;
    if (vcpu_.activity_ == Activity::WaitingForDevice) return Outcome::Undone;
    return std::nullopt;
  }

  Outcome at_int3() {
    if (const Result<void> done = registers_.load(kCore); !done) {
      exit_ = fail(done);
      return Outcome::Exit;
    }
    arrived_ = points_.at(registers_.linear_rip());
    return arrived_.empty() ? Outcome::Int3 : Outcome::Arrived;
  }

  std::optional<Outcome> at_debug(std::uint64_t dr6) {
    for (unsigned i = 0; i < kSlotCount; ++i) {
      if ((dr6 >> i & 1) != 0 && vcpu_.slots_[i].owner == DebugSlot::Owner::Step) return at_int3();
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
      case Outcome::Exit:
        return exit_;
      case Outcome::Int3:
        return vcpu_.handle_int3(std::max<std::uint8_t>(vcpu_.int3_at_rip(), 1));
      case Outcome::Arrived:
      case Outcome::Trapped:
        break;
    }
    if (vcpu_.kernel_apic() && waking_) vcpu_.activity_ = Activity::Running;
    if (const Result<void> done = registers_.load(kCore); !done) return fail(done);
    if (outcome_ == Outcome::Arrived) {
      settle_arrival();
    } else {
      settle_completion();
    }
    if (watching_) settle_accesses();
    if (const Result<void> done = registers_.flush(); !done) return fail(done);
    if (slot_hits_ != 0) {
      if (auto hit = vcpu_.handle_slots(slot_hits_)) return hit;
    }
    if (trap_is_due_ && slot_hits_ == 0) vcpu_.raise_debug(x86::dr6::BS);
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
        if (!guest_tf_) clear_tf_at(stack(0));
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
      const auto mask = get_msr(vcpu_.file_.fd(), x86::msr::kSfmask);
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
      const auto rip = vcpu_.view().value<std::uint64_t>(stack(skip));
      const std::uint64_t here = start_rip_ & mask;
      if (!rip || ((*rip & mask) != here && (*rip & mask) != ((here + insn_.length) & mask)))
        continue;
      clear_tf_at(stack(skip + 2u * point.slot_size));
      return;
    }
  }

  void clear_tf_at(Gva flags) {
    if (std::uint8_t* byte = vcpu_.view().byte(flags + 1)) *byte &= static_cast<std::uint8_t>(~1u);
  }

  KvmVcpu& vcpu_;
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
  bool watching_ = vcpu_.system_.pages.any();
  bool opened_ = false;      // protected pages, for as long as it runs
  bool was_opened_ = false;  // so that KVM did not ask for the accesses
  PageWatches::Hits hits_;   // of those
};

std::optional<hypervisor::Exit> KvmVcpu::step() {
  watch_hits_.clear();
  hypervisor::StopFilter* filter =
      left_at_breakpoint_ && left_under_int3_ ? system_.filter.load() : nullptr;
  if (filter != nullptr) {
    system_.gate.close(&thread_);
    filter->uncover(id_);
  }
  std::optional<Exit> why = Stepper(*this).step();
  if (filter != nullptr) {
    filter->cover(id_);
    system_.gate.open();
  }
  blocked_ = at_debug_access_ = false;
  stepped_to_.reset();
  if (registers_.load(kCore)) stepped_to_ = registers_.linear_rip();
  return why;
}

// Something must be done before the guest can go on.
bool KvmVcpu::wanted_elsewhere() const {
  return handover_.requests(handover_.lock()).any() || system_.ended;
}

}  // namespace ringside::kvm
