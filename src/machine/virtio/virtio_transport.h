// What Machine knows of a virtio device, however the guest reaches it.
#pragma once

#include <functional>

#include "platform/platform.h"

namespace ringside::machine {

class VirtioTransport {
 public:
  virtual ~VirtioTransport() = default;
  // As Platform's, for this device.
  virtual bool has_work() const = 0;
  virtual bool awaits_input() const = 0;
  // There is work, and none of it goes on before a sink has room (VirtioDevice).
  virtual bool awaits_room() const = 0;
  bool can_work() const { return has_work() && !awaits_input() && !awaits_room(); }
  virtual hypervisor::WorkPart work() = 0;
  // As VirtioFacilities'.
  virtual void input_came() = 0;
  // What is called when the device can go on with nothing before its driver resets it, because what
  // is in its queues makes no sense. Before the first instruction.
  virtual void on_failure(std::function<void()> failed) = 0;
};

// The bits of the interrupt status (virtio 1.2, 4.1.4.5 and 4.2.2).
inline constexpr std::uint32_t kVirtioUsed = 1, kVirtioConfigurationChanged = 2;

}  // namespace ringside::machine
