// What every virtio device has, whatever its transport (virtio 1.2, 2): status, features, queues,
// configuration. The transport in front of it gives the registers their places and carries
// interrupts; the VirtioDevice behind it knows what requests mean. Owned by its transport.
//
// A notification is bounded work. Requests are served within the guest's access as far as one
// Allowance goes; for the rest the device has work (Platform::has_work), a part for each further
// allowance. Where a part ends depends on the requests alone.
#pragma once

#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/state_visitor.h"
#include "machine/bus/dma_memory.h"
#include "machine/virtio/virtio_device.h"
#include "machine/virtio/virtio_queue.h"
#include "platform/platform.h"

namespace ringside::machine {

// How a device tells its driver that something has happened.
class VirtioInterrupts {
 public:
  virtual ~VirtioInterrupts() = default;
  virtual void queue_used(unsigned queue) = 0;
  virtual void configuration_changed() = 0;
};

// Registers that each transport has, at places of its own. Addresses are in two halves.
enum class VirtioRegister : std::uint8_t {
  DeviceFeaturesSelect,
  DeviceFeatures,
  DriverFeaturesSelect,
  DriverFeatures,
  Status,
  QueueSelect,
  QueueSize,
  QueueReady,
  DescriptorsLow,
  DescriptorsHigh,
  AvailableLow,
  AvailableHigh,
  UsedLow,
  UsedHigh,
};

class VirtioFacilities {
 public:
  static constexpr unsigned kMaxQueues = 8;

  VirtioFacilities(VirtioDevice& device, VirtioInterrupts& interrupts, DmaMemory memory,
                   hypervisor::CpuPort& cpus);

  // As VirtioTransport's.
  void on_failure(std::function<void()> failed) { failed_ = std::move(failed); }

  void reset();
  void visit_state(StateVisitor& visitor);

  std::uint32_t read(VirtioRegister which) const;
  void write(VirtioRegister which, std::uint32_t value);
  // Of the device's configuration; zeros behind its end.
  std::uint64_t read_configuration(std::uint64_t offset, unsigned width) const;

  const VirtioDevice& device() const { return device_; }
  unsigned queues() const { return static_cast<unsigned>(queues_.size()); }
  // The queue that is selected, where there is such a queue.
  bool has_selected_queue() const { return state_.queue_select < queues_.size(); }
  unsigned selected_queue() const { return state_.queue_select; }

  void notify(std::uint32_t queue);
  // Something has come for the device from outside: for a queue that receives, or for the request
  // that awaits it.
  void input_came();

  bool has_work() const { return state_.waiting != 0 || state_.serves != 0; }
  bool awaits_input() const { return state_.serves != 0 && device_.awaits_input(); }
  bool awaits_room() const { return state_.serves != 0 && device_.awaits_room(); }
  bool can_work() const { return has_work() && !awaits_input() && !awaits_room(); }
  hypervisor::WorkPart work();

 private:
  struct State {
    std::uint64_t driver_features = 0;
    std::uint32_t device_features_select = 0;
    std::uint32_t driver_features_select = 0;
    std::uint32_t queue_select = 0;
    std::uint32_t status = 0;
    std::uint16_t waiting = 0;  // queues in which there may be requests, one bit each
    std::uint16_t serves = 0;   // 1: a request is under way
    std::uint16_t queue = 0;    // that request's
    std::uint16_t head = 0;     // of its chain
  };
  static_assert(std::has_unique_object_representations_v<State>);

  std::uint64_t offered_features() const;
  void write_queue(VirtioRegister which, std::uint32_t value);
  void write_status(std::uint32_t value);
  bool is_driven() const;
  bool can_serve(unsigned queue) const;
  enum class Next : std::uint8_t { Request, Delivered, Nothing, Failed };
  Next begin_next(Allowance& allowance);
  Next deliver(unsigned queue, Allowance& allowance);
  void give_up(unsigned queue);
  void give_up_all();
  void fail_device();

  VirtioDevice& device_;
  VirtioInterrupts& interrupts_;
  hypervisor::CpuPort& cpus_;
  std::vector<VirtioQueue> queues_;
  State state_;
  std::function<void()> failed_;  // or null
};

}  // namespace ringside::machine
