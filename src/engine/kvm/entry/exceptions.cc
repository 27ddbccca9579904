#include "engine/kvm/entry/exceptions.h"

#include <utility>

#include "base/log.h"

namespace ringside::kvm {
namespace {

bool is_software_exception(x86::Vector vector) {
  return vector == x86::Vector::Breakpoint || vector == x86::Vector::Overflow;
}

}  // namespace

Result<void> Exceptions::inject(const x86::Exception& exception) {
  if (queued_) return fail(ErrorCode::Busy, "an exception is already waiting for delivery");
  queued_ = exception;
  return {};
}

Result<void> Exceptions::set_length(std::uint8_t length) {
  if (length < 1 || length > 15) {
    return fail(ErrorCode::BadRequest, "an instruction is 1 to 15 bytes long");
  }
  length_ = length;
  return {};
}

void Exceptions::reset() {
  queued_.reset();
  length_ = 1;
}

Result<void> Exceptions::push() {
  if (!queued_) return {};
  const x86::Exception exception = *std::exchange(queued_, std::nullopt);
  const std::uint8_t length = std::exchange(length_, 1);
  RegisterFile& registers = core_.registers;
  TRY(registers.load(RegisterFile::kGeneral | RegisterFile::kSystem | RegisterFile::kEvents));
  kvm_vcpu_events& events = registers.events();
  events.exception.injected = 1;
  events.exception.nr = static_cast<std::uint8_t>(exception.vector);
  events.exception.has_error_code = exception.error_code.has_value();
  events.exception.error_code = exception.error_code.value_or(0);
  registers.changed(RegisterFile::kEvents);
  if (exception.vector == x86::Vector::PageFault) {
    registers.system().cr2 = exception.fault_address;
    registers.changed(RegisterFile::kSystem);
  }
  // KVM adds the length of the last int3 that it intercepted.
  if (is_software_exception(exception.vector) && length != int3_length_) {
    registers.general().rip += length;
    registers.general().rip -= int3_length_;
    registers.changed(RegisterFile::kGeneral);
  }
  return activity_.end_halt();
}

// The guest's own #BP that a debug facility intercepted.
void Exceptions::raise_breakpoint(std::uint8_t length) {
  left_at_int3(length);
  length_ = length;
  queued_ = x86::Exception{x86::Vector::Breakpoint, std::nullopt, 0};
  push_at_once();
}

// Where int3 is an emulation failure, KVM knows no length.
void Exceptions::left_at_int3(std::uint8_t length) {
  int3_length_ = core_.system.facts.int3_exit ? length : 0;
}

// The guest's own #DB.
void Exceptions::raise_debug(std::uint64_t dr6_bits) {
  RegisterFile& registers = core_.registers;
  if (registers.load(RegisterFile::kDebug)) {
    registers.debug().dr6 = x86::dr6::with_causes(registers.debug().dr6, dr6_bits);
    registers.changed(RegisterFile::kDebug);
  }
  queued_ = x86::Exception{x86::Vector::Debug, std::nullopt, 0};
  push_at_once();
}

void Exceptions::push_at_once() {
  Result<void> done = push();
  if (done) done = core_.registers.flush();
  interrupts_.shut_window();
  if (!done) log::error("vCPU {}: an exception: {}", core_.id.value, done.error().text());
}

}  // namespace ringside::kvm
