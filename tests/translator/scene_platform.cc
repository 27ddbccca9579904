#include "translator/scene_platform.h"

#include <fmt/format.h>

#include <algorithm>

#include "x86/apic_registers.h"
#include "x86/msr_numbers.h"

namespace ringside::testing {
namespace {

using hypervisor::Access;

constexpr std::uint8_t kArmedVector = 0x21, kRaisedVector = 0x22;
constexpr std::uint64_t kWait = 700;  // nanoseconds, of the slow port
constexpr std::size_t kMostAccesses = 4096;

std::uint64_t mix(std::uint64_t value) { return value * 0x9e3779b97f4a7c15 ^ value >> 7; }

}  // namespace

ScenePlatform::ScenePlatform(const Scene& scene)
    : alarms_(scene.alarms.begin(), scene.alarms.end()) {}

void ScenePlatform::connect(hypervisor::CpuPort& cpus, hypervisor::GuestRam& ram) {
  cpus_ = &cpus;
  ram_ = &ram;
}

void ScenePlatform::remember(const char* what, std::uint64_t where, unsigned width,
                             std::uint64_t value) {
  if (accesses_.size() < kMostAccesses)
    accesses_.push_back(fmt::format("{} {:x} of {} bytes: {:x} at {} ns", what, where, width, value,
                                    cpus_->now().ns));
}

void ScenePlatform::raise(std::uint8_t vector) {
  pending_ = vector;
  cpus_->set_interrupt_pin({0}, true);
}

Access ScenePlatform::port_read(VcpuId, std::uint16_t port, unsigned width, std::uint32_t& value) {
  if (port == scene_port::kSlow && !answers_) {
    if (retry_ == kNever) {
      retry_ = {cpus_->now().ns + kWait};
      cpus_->deadline_moved();
    }
    remember("waits for port", port, width, 0);
    return Access::Wait;
  }
  answers_ = false;
  value = static_cast<std::uint32_t>(mix(++reads_));
  remember("reads port", port, width, value);
  return Access::Done;
}

Access ScenePlatform::port_write(VcpuId, std::uint16_t port, unsigned width, std::uint32_t value) {
  remember("writes port", port, width, value);
  if (port == scene_port::kAlarm) {
    armed_ = {cpus_->now().ns + value % 512};
    cpus_->deadline_moved();
  }
  return Access::Done;
}

bool ScenePlatform::mmio_read(VcpuId, Gpa address, unsigned width, std::uint64_t& value) {
  if (!is_mmio(address)) return false;
  value = mix(++reads_);
  remember("reads register", address.value, width, value);
  return true;
}

bool ScenePlatform::mmio_write(VcpuId, Gpa address, unsigned width, std::uint64_t value) {
  if (!is_mmio(address)) return false;
  remember("writes register", address.value, width, value);
  switch (address.value & ~kPageMask) {
    case scene_register::kRaise:
      raise(kRaisedVector);
      break;
    case scene_register::kCopy: {
      const Gpa target{scene_register::kTarget + (value >> 8 & 0x1fff)};
      *ram_->host(target, 1) = static_cast<std::uint8_t>(value);
      cpus_->ram_written(target, 1);
      break;
    }
    default:
      break;
  }
  return true;
}

std::optional<std::uint8_t> ScenePlatform::acknowledge_interrupt(VcpuId) {
  const auto vector = std::exchange(pending_, std::nullopt);
  cpus_->set_interrupt_pin({0}, false);
  return vector;
}

bool ScenePlatform::apic_msr_read(VcpuId, std::uint32_t msr, std::uint64_t& value) {
  if (msr != x86::msr::kApicBase) return false;
  value = x86::apic::kDefaultBase | x86::apic::kBaseEnable | x86::apic::kBaseBoot;
  return true;
}

VirtualTime ScenePlatform::next_event() const {
  return std::min({armed_, retry_, alarms_.empty() ? kNever : alarms_.front().at});
}

void ScenePlatform::run_events(VirtualTime now) {
  if (armed_ <= now) {
    armed_ = kNever;
    raise(kArmedVector);
  }
  if (retry_ <= now) {
    retry_ = kNever;
    answers_ = true;
    cpus_->retry({0});
  }
  while (!alarms_.empty() && alarms_.front().at <= now) {
    const Alarm alarm = alarms_.front();
    alarms_.pop_front();
    if (alarm.kind == Alarm::Kind::NonMaskable) {
      cpus_->non_maskable_interrupt({0});
    } else {
      raise(alarm.vector);
    }
  }
}

}  // namespace ringside::testing
