// Accesses to devices: from KVM's run page to the platform and back. The vCPU's thread, without
// locks.
#include <algorithm>
#include <cstring>

#include "engine/kvm/vcpu/vcpu.h"

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

// Also the second time, when the device that had no answer may have one. Until then KVM has the
// instruction not executed, and that is what a debugger sees.
void KvmVcpu::handle_port() {
  auto& io = file_.run().io;
  std::uint8_t* data = reinterpret_cast<std::uint8_t*>(&file_.run()) + io.data_offset;
  for (; port_progress_ < io.count; ++port_progress_) {
    std::uint8_t* at = data + port_progress_ * io.size;
    std::uint32_t value = 0;
    Access answer;
    if (io.direction == KVM_EXIT_IO_IN) {
      answer = system_.platform.port_read(id_, io.port, io.size, value);
      std::memcpy(at, &value, io.size);
    } else {
      std::memcpy(&value, at, io.size);
      answer = system_.platform.takes_write(id_, io.port, io.size)
                   ? system_.platform.port_write(id_, io.port, io.size, value)
                   : Access::Wait;
    }
    if (answer == Access::Wait) {
      activity_ = Activity::WaitingForDevice;
      return;
    }
  }
  port_progress_ = 0;
  activity_ = Activity::Running;
  access_pending_ = true;
}

KvmVcpu::PortOutput KvmVcpu::unsent_output() {
  const auto& io = file_.run().io;
  if (io.direction != KVM_EXIT_IO_OUT) return {};
  const auto* data = reinterpret_cast<const std::uint8_t*>(&file_.run()) + io.data_offset;
  return {io.port, io.size, {data + port_progress_ * io.size, data + io.count * io.size}};
}

// Though the host takes no more at the moment: what is executed is not lost.
void KvmVcpu::send(const PortOutput& output) {
  for (std::size_t at = 0; at < output.bytes.size(); at += output.width) {
    std::uint32_t value = 0;
    std::memcpy(&value, output.bytes.data() + at, output.width);
    (void)system_.platform.port_write(id_, output.port, output.width, value);
  }
}

void KvmVcpu::handle_mmio() {
  auto& mmio = file_.run().mmio;
  unsigned done = 0;
  while (done < mmio.len) {
    const Gpa at{mmio.phys_addr + done};
    const unsigned width = piece(at.value, mmio.len - done);
    std::uint64_t value = 0;
    if (system_.pages.any() && access_watched(at, mmio.data + done, width, mmio.is_write != 0)) {
      done += width;
      continue;
    }
    if (mmio.is_write != 0) {
      std::memcpy(&value, mmio.data + done, width);
      system_.platform.mmio_write(id_, at, width, value);
    } else {
      if (!system_.platform.mmio_read(id_, at, width, value)) value = ~std::uint64_t{0};
      std::memcpy(mmio.data + done, &value, width);
    }
    done += width;
  }
  if (mmio.is_write != 0 && !kernel_apic()) task_priority_ = system_.platform.task_priority(id_);
  access_pending_ = true;
}

void KvmVcpu::handle_msr_read() {
  auto& access = file_.run().msr;
  std::uint64_t value = 0;
  access.error = !system_.platform.apic_msr_read(id_, access.index, value);
  access.data = value;
  access_pending_ = true;
}

void KvmVcpu::handle_msr_write() {
  auto& access = file_.run().msr;
  access.error = !write_apic_msr(access.index, access.data);
  access_pending_ = true;
}

// How wide a physical address is, the machine's APICs do not know.
bool KvmVcpu::write_apic_msr(std::uint32_t number, std::uint64_t value) {
  if (number == x86::msr::kApicBase && value >> identity_.physical_address_bits != 0) return false;
  return system_.platform.apic_msr_write(id_, number, value);
}

}  // namespace ringside::kvm
