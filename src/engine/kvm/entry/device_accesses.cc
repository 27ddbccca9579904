#include "engine/kvm/entry/device_accesses.h"

#include "x86/msr_numbers.h"

#include <cstring>
#include <utility>

namespace ringside::kvm {
namespace {

using hypervisor::Access;

// The platform's rule: 1, 2, 4 or 8 bytes that do not cross an 8-byte boundary. KVM keeps to it
// except for an access that it had to split.
unsigned piece(std::uint64_t address, unsigned left) {
  const bool power_of_two = (left & (left - 1)) == 0;
  if (power_of_two && address % 8 + left <= 8) return left;
  unsigned width = 8;
  while (width > left || address % width != 0)
    width /= 2;
  return width;
}

}  // namespace

void DeviceAccesses::retry() {
  retry_ = true;
  thread_.kick();
}

void DeviceAccesses::port_again() {
  retry_ = false;
  port();
}

// Until the device has an answer, KVM has the instruction not executed, and that is what a debugger
// sees.
void DeviceAccesses::port() {
  auto& io = core_.file.run().io;
  std::uint8_t* data = reinterpret_cast<std::uint8_t*>(&core_.file.run()) + io.data_offset;
  for (; port_progress_ < io.count; ++port_progress_) {
    std::uint8_t* at = data + port_progress_ * io.size;
    std::uint32_t value = 0;
    Access answer;
    if (io.direction == KVM_EXIT_IO_IN) {
      answer = core_.system.platform.port_read(core_.id, io.port, io.size, value);
      std::memcpy(at, &value, io.size);
    } else {
      std::memcpy(&value, at, io.size);
      answer = core_.system.platform.takes_write(core_.id, io.port, io.size)
                   ? core_.system.platform.port_write(core_.id, io.port, io.size, value)
                   : Access::Wait;
    }
    if (answer == Access::Wait) {
      core_.activity = Activity::WaitingForDevice;
      return;
    }
    if (!core_.system.catches.empty()) note_port(value);
  }
  if (!caught_.empty()) pages_.note(std::exchange(caught_, {}));
  port_progress_ = 0;
  core_.activity = Activity::Running;
  pending_ = true;
}

void DeviceAccesses::note_port(std::uint32_t value) {
  const auto& io = core_.file.run().io;
  hypervisor::exit::Caught access;
  access.kind = hypervisor::CatchKind::Port;
  access.number = io.port;
  access.is_write = io.direction == KVM_EXIT_IO_OUT;
  access.width = io.size;
  access.value = value & (~std::uint32_t{0} >> (32 - 8 * io.size));
  if (core_.is_caught(access)) caught_.push_back(access);
}

DeviceAccesses::PortOutput DeviceAccesses::unsent_output() const {
  const auto& io = core_.file.run().io;
  if (io.direction != KVM_EXIT_IO_OUT) return {};
  const auto* data = reinterpret_cast<const std::uint8_t*>(&core_.file.run()) + io.data_offset;
  return {io.port, io.size, {data + port_progress_ * io.size, data + io.count * io.size}};
}

void DeviceAccesses::forget() {
  retry_ = false;
  pending_ = false;
  port_progress_ = 0;
  caught_.clear();
}

void DeviceAccesses::reset() {
  forget();
  panic_ = nullptr;
}

const char* DeviceAccesses::take_panic() { return std::exchange(panic_, nullptr); }

void DeviceAccesses::send(const PortOutput& output) {
  for (std::size_t at = 0; at < output.bytes.size(); at += output.width) {
    std::uint32_t value = 0;
    std::memcpy(&value, output.bytes.data() + at, output.width);
    (void)core_.system.platform.port_write(core_.id, output.port, output.width, value);
  }
}

void DeviceAccesses::mmio() {
  auto& mmio = core_.file.run().mmio;
  unsigned done = 0;
  while (done < mmio.len) {
    const Gpa at{mmio.phys_addr + done};
    const unsigned width = piece(at.value, mmio.len - done);
    std::uint64_t value = 0;
    if (core_.system.pages.any() &&
        pages_.access(at, mmio.data + done, width, mmio.is_write != 0)) {
      done += width;
      continue;
    }
    if (mmio.is_write != 0) {
      std::memcpy(&value, mmio.data + done, width);
      core_.system.platform.mmio_write(core_.id, at, width, value);
    } else {
      if (!core_.system.platform.mmio_read(core_.id, at, width, value)) value = ~std::uint64_t{0};
      std::memcpy(mmio.data + done, &value, width);
    }
    done += width;
  }
  if (mmio.is_write != 0) interrupts_.take_task_priority();
  pending_ = true;
}

void DeviceAccesses::msr_read() {
  auto& access = core_.file.run().msr;
  std::uint64_t value = 0;
  access.error = !core_.system.platform.apic_msr_read(core_.id, access.index, value);
  access.data = value;
  pending_ = true;
}

void DeviceAccesses::msr_write() {
  auto& access = core_.file.run().msr;
  access.error = !write_apic_msr(access.index, access.data);
  pending_ = true;
}

// How wide a physical address is, the machine's APICs do not know.
bool DeviceAccesses::write_apic_msr(std::uint32_t number, std::uint64_t value) {
  if (number == x86::msr::kApicBase && value >> core_.identity.physical_address_bits != 0)
    return false;
  return core_.system.platform.apic_msr_write(core_.id, number, value);
}

}  // namespace ringside::kvm
