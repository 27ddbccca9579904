#include "library/c_vm.h"

#include <string>

namespace ringside::c {
namespace {

using hypervisor::Capability;
using hypervisor::WatchKind;
namespace exit = hypervisor::exit;

Result<void> result_of(ringside_status status) {
  if (status == RINGSIDE_OK) return {};
  return fail(refused(status));
}

std::int32_t number_of(Capability capability) {
  switch (capability) {
    case Capability::BreakpointExit:
      return RINGSIDE_BREAKPOINT_EXIT;
    case Capability::MonitorTrap:
      return RINGSIDE_MONITOR_TRAP;
    case Capability::MaskInterrupts:
      return RINGSIDE_MASK_INTERRUPTS;
  }
  return -1;
}

std::int32_t number_of(WatchKind kind) {
  switch (kind) {
    case WatchKind::Write:
      return RINGSIDE_WATCH_WRITE;
    case WatchKind::Read:
      return RINGSIDE_WATCH_READ;
    case WatchKind::Access:
      return RINGSIDE_WATCH_ACCESS;
  }
  return -1;
}

WatchKind watch_kind(std::int32_t number) {
  if (number == RINGSIDE_WATCH_READ) return WatchKind::Read;
  return number == RINGSIDE_WATCH_ACCESS ? WatchKind::Access : WatchKind::Write;
}

std::string text_of(const char* text) { return text == nullptr ? std::string() : text; }

hypervisor::Exit exit_of(const ringside_event& event) {
  switch (event.kind) {
    case RINGSIDE_EVENT_PARKED:
      return exit::Parked{};
    case RINGSIDE_EVENT_STARTED:
      return exit::Started{};
    case RINGSIDE_EVENT_BREAKPOINT: {
      const bool is_length = event.instruction_length >= 1 && event.instruction_length <= 15;
      return exit::Breakpoint{static_cast<std::uint8_t>(is_length ? event.instruction_length : 1)};
    }
    case RINGSIDE_EVENT_MONITOR_TRAP:
      return exit::MonitorTrap{};
    case RINGSIDE_EVENT_HARDWARE_BREAKPOINT:
      return exit::HardwareBreakpoint{{event.address}};
    case RINGSIDE_EVENT_WATCHPOINT:
      return exit::Watchpoint{{event.address}, watch_kind(event.watch_kind)};
    case RINGSIDE_EVENT_GUEST_PANIC:
      // The server wants a text that stays.
      return exit::GuestPanic{"the guest has panicked"};
    case RINGSIDE_EVENT_DEAD:
      return exit::Dead{text_of(event.text)};
    default:
      return exit::Dead{"the virtual machine told of an event that there is not: " +
                        std::to_string(event.kind)};
  }
}

hypervisor::VmEnd end_of(const ringside_end& end) {
  using Kind = hypervisor::VmEnd::Kind;
  const bool is_kind = end.kind >= RINGSIDE_END_REBOOT && end.kind <= RINGSIDE_END_STATUS;
  return {is_kind ? static_cast<Kind>(end.kind) : Kind::Error, end.status, text_of(end.text)};
}

}  // namespace

std::optional<Error> find_fault(const Machine& machine) {
  const ringside_vm_callbacks& calls = machine.calls;
  const auto bad = [](const char* text) { return Error(ErrorCode::BadRequest, text); };
  if (!calls.vcpu_count || !calls.in_guest || !calls.get_state || !calls.set_state ||
      !calls.read_memory || !calls.write_memory || !calls.suspend || !calls.resume ||
      !calls.take_event)
    return bad("a callback that every VMM has is null");
  if (!calls.offers != !calls.set_capability)
    return bad("only one of offers and set_capability is null");
  if (!calls.insert_breakpoint != !calls.remove_breakpoint)
    return bad("only one of insert_breakpoint and remove_breakpoint is null");
  if (!calls.insert_watchpoint != !calls.remove_watchpoint)
    return bad("only one of insert_watchpoint and remove_watchpoint is null");
  const std::uint32_t count = calls.vcpu_count(machine.user);
  if (count < 1 || count > kMaxVcpus) return bad("vcpu_count is not 1 to 64");
  if (calls.offers && !calls.inject_exception) {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (calls.offers(machine.user, i, RINGSIDE_BREAKPOINT_EXIT))
        return bad("RINGSIDE_BREAKPOINT_EXIT is offered, and inject_exception is null");
    }
  }
  return std::nullopt;
}

// ---- A vCPU
bool CVcpu::in_guest() const { return machine_.calls.in_guest(machine_.user, id_); }

Result<x86::CpuState> CVcpu::state() {
  ringside_cpu_state state = from_state({});
  const ringside_status status = machine_.calls.get_state(machine_.user, id_, &state);
  if (status != RINGSIDE_OK) return fail(refused(status));
  return to_state(state);
}
Result<void> CVcpu::set_state(const x86::CpuState& state) {
  const ringside_cpu_state given = from_state(state);
  return result_of(machine_.calls.set_state(machine_.user, id_, &given));
}

bool CVcpu::active() const {
  return !machine_.calls.active || machine_.calls.active(machine_.user, id_);
}
bool CVcpu::halted() const {
  return machine_.calls.halted && machine_.calls.halted(machine_.user, id_);
}
std::string CVcpu::name() const {
  return machine_.calls.name ? text_of(machine_.calls.name(machine_.user, id_)) : std::string();
}

Result<std::uint64_t> CVcpu::read_msr(std::uint32_t number) {
  if (!machine_.calls.read_msr) return Vcpu::read_msr(number);
  std::uint64_t value = 0;
  const ringside_status status = machine_.calls.read_msr(machine_.user, id_, number, &value);
  if (status != RINGSIDE_OK) return fail(refused(status));
  return value;
}
Result<void> CVcpu::write_msr(std::uint32_t number, std::uint64_t value) {
  if (!machine_.calls.write_msr) return Vcpu::write_msr(number, value);
  return result_of(machine_.calls.write_msr(machine_.user, id_, number, value));
}

bool CVcpu::offers(Capability capability) const {
  return machine_.calls.offers && machine_.calls.offers(machine_.user, id_, number_of(capability));
}
Result<void> CVcpu::set_capability(Capability capability, bool on) {
  if (!offers(capability)) return Vcpu::set_capability(capability, on);
  return result_of(machine_.calls.set_capability(machine_.user, id_, number_of(capability), on));
}

Result<void> CVcpu::inject_exception(const x86::Exception& exception) {
  if (!machine_.calls.inject_exception) return Vcpu::inject_exception(exception);
  auto given = empty<ringside_exception>();
  given.vector = static_cast<std::uint32_t>(exception.vector);
  given.has_error_code = exception.error_code ? 1 : 0;
  given.error_code = exception.error_code.value_or(0);
  given.instruction_length = entry_length_;
  const ringside_status status = machine_.calls.inject_exception(machine_.user, id_, &given);
  if (status == RINGSIDE_OK) entry_length_ = 1;
  return result_of(status);
}
Result<void> CVcpu::set_entry_insn_length(std::uint8_t length) {
  if (length < 1 || length > 15)
    return fail(ErrorCode::BadRequest, "an instruction has 1 to 15 bytes");
  entry_length_ = length;
  return {};
}

// ---- The machine
CVm::CVm(const Machine& machine)
    : machine_(machine),
      event_fd_(machine.calls.event_fd ? machine.calls.event_fd(machine.user) : -1) {
  const std::uint32_t count = machine_.calls.vcpu_count(machine_.user);
  vcpus_.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i)
    vcpus_.emplace_back(machine_, VcpuId{i});
}

void CVm::suspend(VcpuId id) { machine_.calls.suspend(machine_.user, id.value); }
void CVm::resume(VcpuId id) { machine_.calls.resume(machine_.user, id.value); }

std::optional<hypervisor::VcpuEvent> CVm::take_event() {
  // Of vCPUs that there are not. A VMM that has no end of such events must not keep the debugger
  // from its turn.
  constexpr int kMostDropped = 64;
  for (int i = 0; i < kMostDropped; ++i) {
    auto event = empty<ringside_event>();
    if (!machine_.calls.take_event(machine_.user, &event)) return std::nullopt;
    if (event.vcpu < vcpus_.size()) return hypervisor::VcpuEvent{{event.vcpu}, exit_of(event)};
  }
  return std::nullopt;
}

const std::optional<hypervisor::VmEnd>& CVm::ended() const {
  auto end = empty<ringside_end>();
  if (!end_ && machine_.calls.ended && machine_.calls.ended(machine_.user, &end))
    end_ = end_of(end);
  return end_;
}

void CVm::stop_instead_of_death(bool on) {
  if (machine_.calls.stop_instead_of_death) machine_.calls.stop_instead_of_death(machine_.user, on);
}

hypervisor::Breakpoints* CVm::breakpoints() {
  return machine_.calls.insert_breakpoint ? this : nullptr;
}
hypervisor::Watchpoints* CVm::watchpoints() {
  return machine_.calls.insert_watchpoint ? this : nullptr;
}

Result<void> CVm::read_ram(Gpa address, std::span<std::byte> out) {
  return result_of(
      machine_.calls.read_memory(machine_.user, address.value, out.data(), out.size()));
}
Result<void> CVm::write_ram(Gpa address, std::span<const std::byte> data) {
  return result_of(
      machine_.calls.write_memory(machine_.user, address.value, data.data(), data.size()));
}
Result<void> CVm::insert_breakpoint(Gva address) {
  return result_of(machine_.calls.insert_breakpoint(machine_.user, address.value));
}
Result<void> CVm::remove_breakpoint(Gva address) {
  return result_of(machine_.calls.remove_breakpoint(machine_.user, address.value));
}
Result<void> CVm::insert_watchpoint(Gva address, std::uint64_t size, WatchKind kind) {
  return result_of(
      machine_.calls.insert_watchpoint(machine_.user, address.value, size, number_of(kind)));
}
Result<void> CVm::remove_watchpoint(Gva address, std::uint64_t size, WatchKind kind) {
  return result_of(
      machine_.calls.remove_watchpoint(machine_.user, address.value, size, number_of(kind)));
}

}  // namespace ringside::c
