// Into the guest and back: the vCPU's thread.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "engine/kvm/vcpu/vcpu.h"

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::VmEnd;
constexpr std::uint32_t kEnable = KVM_GUESTDBG_ENABLE;

bool is_software_exception(x86::Vector vector) {
  return vector == x86::Vector::Breakpoint || vector == x86::Vector::Overflow;
}

}  // namespace

int KvmVcpu::enter() {
  kvm_run& run = file_.run();
  run.cr8 = task_priority_;
  tsc_offset_.follow(file_.fd(), system_.clock.stood());
  if (system_.facts.sync_registers) {
    // What a debug exit is looked at with; it costs every exit a little.
    const bool debugging = breakpoint_exit_ || applied_debug_.control != 0;
    run.kvm_valid_regs = KVM_SYNC_X86_REGS;
    if (debugging) run.kvm_valid_regs |= KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
  }
  if (!thread_.begin_run()) return EINTR;
  const int error = ::ioctl(file_.fd().get(), KVM_RUN, 0) == 0 ? 0 : errno;
  after_run();  // whoever waits for this vCPU to be out may look at its registers
  thread_.end_run();
  return error;
}

void KvmVcpu::after_run() {
  const kvm_run& run = file_.run();
  access_pending_ = false;
  if (run.kvm_valid_regs != 0) {
    registers_.take_synchronised();
  } else {
    registers_.forget();
  }
  window_ =
      run.ready_for_interrupt_injection != 0 && run.if_flag != 0 ? Window::Open : Window::Shut;
  if (kernel_apic()) return;
  // MOV to CR8 does not always end KVM_RUN.
  const auto priority = static_cast<std::uint8_t>(run.cr8);
  if (priority == task_priority_) return;
  task_priority_ = priority;
  system_.platform.set_task_priority(id_, priority);
}

std::optional<hypervisor::Exit> KvmVcpu::run_once() {
  prepare_events();
  const Result<void> debug = apply_free_debug();
  if (!debug) return die(debug.error().text(), VmEnd::Kind::Error);
  if (const int error = enter(); error != 0) return handle_failed_run(error);
  if (kernel_apic()) activity_ = Activity::Running;  // a HLT is not an exit; it has ended
  return handle_exit();
}

std::optional<hypervisor::Exit> KvmVcpu::handle_failed_run(int error) {
  if (error == EINTR || error == EAGAIN) return std::nullopt;
  if (is_blocked(error)) {
    blocked_ = true;
    return std::nullopt;
  }
  return die(fmt::format("KVM_RUN: {}", std::strerror(error)), VmEnd::Kind::Error);
}

// ---- Interrupts

void KvmVcpu::prepare_events() {
  kvm_run& run = file_.run();
  run.request_interrupt_window = 0;
  if (mask_interrupts_) return;
  if (nmi_) inject_nmi();
  if (kernel_apic()) return;
  if (!pin_ && !held_interrupt_) return;
  if (window_open()) inject_interrupt();
  run.request_interrupt_window = pin_ || held_interrupt_;
}

bool KvmVcpu::window_open() {
  if (window_ != Window::Unknown) return window_ == Window::Open;
  if (!registers_.load(RegisterFile::kGeneral | RegisterFile::kEvents)) return false;
  const kvm_vcpu_events& events = registers_.events();
  const bool open = (registers_.general().rflags & x86::rflags::IF) != 0 &&
                    events.interrupt.shadow == 0 && events.interrupt.injected == 0 &&
                    events.exception.injected == 0 && events.exception.pending == 0 &&
                    events.nmi.injected == 0 && events.nmi.pending == 0;
  window_ = open ? Window::Open : Window::Shut;
  return open;
}

void KvmVcpu::inject_nmi() {
  activity_ = Activity::Running;
  nmi_ = false;
  registers_.forget();
  window_ = Window::Shut;
  const auto done = control(file_.fd(), KVM_NMI, 0ul, "an NMI");
  if (!done) log::error("vCPU {}: {}", id_.value, done.error().text());
}

// One at a time: KVM would forget the first one. False when the request has gone away.
bool KvmVcpu::inject_interrupt() {
  std::optional<std::uint8_t> vector = std::exchange(held_interrupt_, std::nullopt);
  if (!vector) vector = system_.platform.acknowledge_interrupt(id_);
  if (!vector) return false;
  activity_ = Activity::Running;
  registers_.forget();
  window_ = Window::Shut;
  kvm_interrupt request{};
  request.irq = *vector;
  const auto done = control(file_.fd(), KVM_INTERRUPT, &request, "an interrupt");
  if (!done) log::error("vCPU {}: {}", id_.value, done.error().text());
  return true;
}

// Interrupts that KVM has taken and not yet delivered go back to us, so that a step from here does
// not begin in their handler.
void KvmVcpu::withdraw_events() {
  if (kernel_apic()) return;  // settle_interrupt() sees to it before a step
  if (!registers_.load(RegisterFile::kEvents)) return;
  kvm_vcpu_events& events = registers_.events();
  bool changed = false;
  if (events.interrupt.injected != 0 && events.interrupt.soft == 0) {
    held_interrupt_ = events.interrupt.nr;
    events.interrupt.injected = 0;
    changed = true;
  }
  if (events.nmi.pending != 0 || events.nmi.injected != 0) {
    nmi_ = true;
    events.nmi.pending = events.nmi.injected = 0;
    registers_.changed_nmi();
  }
  if (changed) registers_.changed(RegisterFile::kEvents);
}

// ---- Exceptions from outside

Result<void> KvmVcpu::push_queued() {
  if (!queued_) return {};
  const x86::Exception exception = *std::exchange(queued_, std::nullopt);
  const std::uint8_t length = std::exchange(entry_length_, 1);
  TRY(registers_.load(RegisterFile::kGeneral | RegisterFile::kSystem | RegisterFile::kEvents));
  kvm_vcpu_events& events = registers_.events();
  events.exception.injected = 1;
  events.exception.nr = static_cast<std::uint8_t>(exception.vector);
  events.exception.has_error_code = exception.error_code.has_value();
  events.exception.error_code = exception.error_code.value_or(0);
  registers_.changed(RegisterFile::kEvents);
  if (exception.vector == x86::Vector::PageFault) {
    registers_.system().cr2 = exception.fault_address;
    registers_.changed(RegisterFile::kSystem);
  }
  // KVM adds the length of the last int3 that it intercepted.
  if (is_software_exception(exception.vector) && length != int3_length_) {
    registers_.general().rip += length;
    registers_.general().rip -= int3_length_;
    registers_.changed(RegisterFile::kGeneral);
  }
  if (activity_ == Activity::Halted) {
    if (kernel_apic()) TRY(set_kernel_activity(KVM_MP_STATE_RUNNABLE));
    activity_ = Activity::Running;
  }
  return {};
}

// The guest's own #BP that a debug facility intercepted.
void KvmVcpu::raise_breakpoint(std::uint8_t length) {
  left_at_int3(length);
  entry_length_ = length;
  queued_ = x86::Exception{x86::Vector::Breakpoint, std::nullopt, 0};
  give_back();
}

// Where int3 is an emulation failure, KVM knows no length.
void KvmVcpu::left_at_int3(std::uint8_t length) {
  int3_length_ = system_.facts.int3_exit ? length : 0;
}

// The guest's own #DB.
void KvmVcpu::raise_debug(std::uint64_t dr6_bits) {
  if (registers_.load(RegisterFile::kDebug)) {
    registers_.debug().dr6 = x86::dr6::with_causes(registers_.debug().dr6, dr6_bits);
    registers_.changed(RegisterFile::kDebug);
  }
  queued_ = x86::Exception{x86::Vector::Debug, std::nullopt, 0};
  give_back();
}

void KvmVcpu::give_back() {
  Result<void> done = push_queued();
  if (done) done = registers_.flush();
  window_ = Window::Shut;
  if (!done) log::error("vCPU {}: an exception: {}", id_.value, done.error().text());
}

// ---- Debug facilities

Result<void> KvmVcpu::apply_debug(std::uint32_t flags, const DebugSlots& slots,
                                  DebugAccess access) {
  kvm_guest_debug wanted{};
  // Always enabled, also where nothing is asked for. While it is not, KVM lets the guest have the
  // processor's own debug registers from its first access on until the next exit. A signal that
  // comes between the two makes it forget the end: it then takes the slots below for the guest's
  // registers.
  wanted.control = kEnable | flags;
  if (slots.free() < kSlotCount) {
    wanted.control |= KVM_GUESTDBG_USE_HW_BP;
    for (unsigned i = 0; i < kSlotCount; ++i)
      wanted.arch.debugreg[i] = slots[i].address.value;
    wanted.arch.debugreg[7] = slots.dr7();
    // What the guest writes to its own registers changes what is free. A step looks afterwards.
    if (access == DebugAccess::Exit) wanted.arch.debugreg[7] |= x86::dr7::GD;
  }
  // Single-stepping starts at the RIP of the call.
  const bool step = (flags & KVM_GUESTDBG_SINGLESTEP) != 0;
  if (!step && std::memcmp(&wanted, &applied_debug_, sizeof wanted) == 0) return {};
  TRY(control(file_.fd(), KVM_SET_GUEST_DEBUG, &wanted, "debugging of the guest"));
  applied_debug_ = wanted;
  return {};
}

DebugSlots KvmVcpu::make_slots(Stoppoints::Which which) {
  const std::lock_guard lock(system_.stoppoints_lock);
  DebugSlots result = system_.stoppoints.slots(which);
  // While KVM holds ours, the guest's own are out of use; so they take what is free.
  if (!system_.stoppoints.empty() && registers_.load(RegisterFile::kDebug)) {
    const kvm_debugregs& guest = registers_.debug();
    result.add_guests({guest.db[0], guest.db[1], guest.db[2], guest.db[3]}, guest.dr7);
  }
  if (which == Stoppoints::Which::All) system_.stoppoints.add_spares(result);
  return result;
}

Result<void> KvmVcpu::apply_free_debug() {
  const unsigned generation = system_.stoppoints_generation;
  if (generation != slots_generation_) {
    slots_ = make_slots(Stoppoints::Which::All);
    slots_generation_ = generation;
  }
  std::uint32_t flags = breakpoint_exit_ ? KVM_GUESTDBG_USE_SW_BP : 0;
  if (kernel_apic() && mask_interrupts_) flags |= KVM_GUESTDBG_BLOCKIRQ;
  return apply_debug(flags, slots_, DebugAccess::Exit);
}

// ---- Exits

std::optional<hypervisor::Exit> KvmVcpu::handle_exit() {
  const kvm_run& run = file_.run();
  if (run.exit_reason != KVM_EXIT_DEBUG) stepped_to_.reset();
  switch (run.exit_reason) {
    case KVM_EXIT_IO:
      handle_port();
      return std::nullopt;
    case KVM_EXIT_MMIO:
      handle_mmio();
      return std::nullopt;
    case KVM_EXIT_X86_RDMSR:
      handle_msr_read();
      return std::nullopt;
    case KVM_EXIT_X86_WRMSR:
      handle_msr_write();
      return std::nullopt;
    case KVM_EXIT_HLT:
      interrupts_on_ = run.if_flag != 0;
      activity_ = Activity::Halted;
      return std::nullopt;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR:
      return std::nullopt;
    case KVM_EXIT_DEBUG:
      return handle_debug();
    case KVM_EXIT_SHUTDOWN:
      return die("triple fault", VmEnd::Kind::TripleFault);
    case KVM_EXIT_INTERNAL_ERROR:
      return handle_internal_error();
    case KVM_EXIT_FAIL_ENTRY:
      return die(fmt::format("the processor refuses the guest's state (reason {:#x})",
                             run.fail_entry.hardware_entry_failure_reason),
                 VmEnd::Kind::Error);
    default:
      return die(fmt::format("KVM left the guest for reason {}", run.exit_reason),
                 VmEnd::Kind::Error);
  }
}

std::optional<hypervisor::Exit> KvmVcpu::handle_debug() {
  const auto& debug = file_.run().debug.arch;
  if (debug.exception == static_cast<unsigned>(x86::Vector::Breakpoint)) {
    const std::uint8_t length = int3_at_rip();
    return handle_int3(length == 0 ? 1 : length);
  }
  if ((debug.dr6 & x86::dr6::BD) != 0) {
    at_debug_access_ = true;
    return std::nullopt;
  }
  return handle_slots(left_behind(debug.dr6) ? debug.dr6 & ~x86::dr6::BS : debug.dr6);
}

// Some processors keep the trap of a step for later when KVM has executed the instruction in its
// place. It comes before the next instruction, of a guest that does not step itself.
bool KvmVcpu::left_behind(std::uint64_t dr6) {
  const std::optional<Gva> stepped_to = std::exchange(stepped_to_, std::nullopt);
  if (!stepped_to || (dr6 & x86::dr6::BS) == 0) return false;
  if (!registers_.load(RegisterFile::kGeneral | RegisterFile::kSystem)) return false;
  return registers_.linear_rip() == *stepped_to &&
         (registers_.general().rflags & x86::rflags::TF) == 0;
}

// Where ring 0 is interpreted, an int3 ends as an instruction that cannot be emulated.
std::optional<hypervisor::Exit> KvmVcpu::handle_internal_error() {
  if (system_.facts.int3_as_error) {
    if (const std::uint8_t length = int3_at_rip(); length != 0) return handle_int3(length);
  }
  // An interpreter in the kernel fails at some accesses to protected pages.
  if (is_blocked(EFAULT)) {
    blocked_ = true;
    drop_failed_instruction();
    return std::nullopt;
  }
  const std::string where = registers_.load(RegisterFile::kGeneral)
                                ? fmt::format(" at {:#x}", registers_.general().rip)
                                : std::string();
  return die(fmt::format("KVM failed{} (suberror {})", where, file_.run().internal.suberror),
             VmEnd::Kind::Error);
}

std::optional<hypervisor::Exit> KvmVcpu::handle_int3(std::uint8_t length) {
  if (breakpoint_exit_) {
    left_at_int3(length);
    exit::Breakpoint hit{length};
    if (registers_.load(RegisterFile::kGeneral | RegisterFile::kSystem))
      hit.rip = registers_.linear_rip();
    return hit;
  }
  raise_breakpoint(length);
  return std::nullopt;
}

std::optional<hypervisor::Exit> KvmVcpu::handle_slots(std::uint64_t dr6) {
  std::uint64_t guests = dr6 & x86::dr6::BS;  // the guest's own step: ours is not handled here
  bool fault = false;
  for (unsigned i = 0; i < kSlotCount; ++i) {
    if ((dr6 >> i & 1) == 0) continue;
    const DebugSlot& slot = slots_[i];
    const bool execute = slot.access == DebugSlot::Access::Execute;
    if (slot.owner == DebugSlot::Owner::Debugger) {
      if (!execute) return exit::Watchpoint{slot.wished, slot.kind};
      left_at_breakpoint_ = slot.address;
      left_under_int3_ = int3_at_rip() != 0;  // of the debugger's, as well: one arrival
      return exit::HardwareBreakpoint{slot.wished};
    }
    if (slot.owner != DebugSlot::Owner::Guest) continue;
    guests |= std::uint64_t{1} << slot.guest_number;
    fault |= execute;
  }
  if (guests == 0) return std::nullopt;
  // An instruction breakpoint is a fault, and its frame has RF set (SDM 3B 17.3.1.1).
  if (fault && registers_.load(RegisterFile::kGeneral)) {
    registers_.general().rflags |= x86::rflags::RF;
    registers_.changed(RegisterFile::kGeneral);
  }
  raise_debug(guests);
  return std::nullopt;
}

std::optional<hypervisor::Exit> KvmVcpu::die(std::string reason, VmEnd::Kind kind) {
  activity_ = Activity::Dead;
  if (system_.stop_instead_of_death) return exit::Dead{std::move(reason)};
  system_.end({kind, 0, std::move(reason), id_});
  return std::nullopt;
}

// ---- Out

// A device access that KVM has not completed yet would show the instruction half done.
std::optional<hypervisor::Exit> KvmVcpu::finish_access() {
  while (access_pending_) {
    immediate_exit(file_.run()).store(1);
    file_.run().cr8 = task_priority_;
    const int error = ::ioctl(file_.fd().get(), KVM_RUN, 0) == 0 ? 0 : errno;
    after_run();
    // A trap of a step that is under way.
    const bool stepping = (applied_debug_.control & KVM_GUESTDBG_SINGLESTEP) != 0;
    if (error == 0 && stepping && file_.run().exit_reason == KVM_EXIT_DEBUG) return std::nullopt;
    std::optional<Exit> why = error != 0 ? handle_failed_run(error) : handle_exit();
    if (why) return why;
  }
  return std::nullopt;
}

// For a reset: KVM would complete a device access with what it finds in the run page, and move RIP
// on. What a string instruction has yet to access is begun and dropped, too.
void KvmVcpu::drop_access() {
  constexpr int kMostPieces = 100'000;
  if (!access_pending_ && activity_ != Activity::WaitingForDevice) return;
  for (int i = 0; i < kMostPieces; ++i) {
    immediate_exit(file_.run()).store(1);
    if (::ioctl(file_.fd().get(), KVM_RUN, 0) != 0) break;
  }
  access_pending_ = false;
  port_progress_ = 0;
  registers_.drop();
}

std::optional<hypervisor::Exit> KvmVcpu::park() {
  if (std::optional<Exit> why = finish_access()) {
    if (wants_stop(*why)) return why;
    let_pass(*why);
  }
  if (system_.ended) return std::nullopt;
  return exit::Parked{};
}

}  // namespace ringside::kvm
