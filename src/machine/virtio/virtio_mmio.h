// The virtio MMIO transport, version 2 (virtio 1.2, 4.2), with one queue. The device behind it is a
// VirtioDevice. Owned by Machine.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"
#include "machine/virtio/virtio_queue.h"

namespace ringside::machine {

class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;
  virtual std::uint32_t id() const = 0;
  virtual std::uint64_t features() const = 0;  // of the device type, without the transport's
  virtual std::span<const std::byte> configuration() const = 0;
  // Serves one request and gives how many bytes it wrote into the chain; nothing when the chain
  // makes no sense.
  virtual std::optional<std::uint32_t> serve(const VirtioChain& chain) = 0;
};

class VirtioMmio final : public Device, public MmioDevice {
 public:
  VirtioMmio(VirtioDevice& device, DmaMemory memory, InterruptLine interrupt)
      : device_(device), interrupt_(interrupt), queue_(memory) {}

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  // No read has an effect: interrupts are acknowledged by a write.
  std::uint64_t read_mmio(const MmioAccess& access) override { return peek_mmio(access); }
  std::uint64_t peek_mmio(const MmioAccess& access) const override;
  void write_mmio(const MmioAccess& access, std::uint64_t value) override;

 private:
  struct State {
    std::uint64_t driver_features = 0;
    std::uint32_t device_features_select = 0;
    std::uint32_t driver_features_select = 0;
    std::uint32_t queue_select = 0;
    std::uint32_t status = 0;
    std::uint32_t interrupt_status = 0;
    std::uint32_t padding = 0;
  };
  static_assert(std::has_unique_object_representations_v<State>);

  std::uint64_t offered_features() const;
  std::uint64_t read_configuration(std::uint64_t offset, unsigned width) const;
  std::uint32_t read_register(std::uint64_t offset) const;
  void write_register(std::uint64_t offset, std::uint32_t value);
  void write_queue_register(std::uint64_t offset, std::uint32_t value);
  void write_status(std::uint32_t value);
  void notify();
  void fail_device();
  void update() const { interrupt_.set(state_.interrupt_status != 0); }

  VirtioDevice& device_;
  InterruptLine interrupt_;
  VirtioQueue queue_;
  State state_;
};

}  // namespace ringside::machine
