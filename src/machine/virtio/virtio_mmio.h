// The virtio MMIO transport, version 2 (virtio 1.2, 4.2), with one queue. The device behind it is a
// VirtioDevice. Owned by Machine.
//
// A notification is bounded work. Requests are served within the guest's access as far as one
// Allowance goes; for the rest the device has work (Platform::has_work), a part for each further
// allowance. Where a part ends depends on the requests alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"
#include "machine/virtio/virtio_queue.h"

namespace ringside::machine {

// What may be done before others have their turn: so many bytes of data, or what takes about as
// long.
class Allowance {
 public:
  static constexpr std::uint32_t kBytes = 1 << 20;
  std::uint32_t left() const { return left_; }
  bool is_whole() const { return left_ == kBytes; }
  void spend(std::uint64_t bytes) {
    left_ -= static_cast<std::uint32_t>(std::min<std::uint64_t>(left_, bytes));
  }
  void spend_all() { left_ = 0; }

 private:
  std::uint32_t left_ = kBytes;
};

class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;
  virtual std::uint32_t id() const = 0;
  virtual std::uint64_t features() const = 0;  // of the device type, without the transport's
  virtual std::span<const std::byte> configuration() const = 0;
  // One request after the other. False: the chain makes no sense.
  virtual bool begin(const VirtioChain& chain) = 0;
  enum class Progress : std::uint8_t {
    Over,
    More,    // the allowance is spent
    Waits,   // the host is not ready, and nothing of the machine has changed
    Broken,  // the chain makes no sense after all
  };
  // Goes on with the request, as far as the allowance goes.
  virtual Progress go_on(Allowance& allowance) = 0;
  // How many bytes of the request's chain it has written.
  virtual std::uint32_t written() const = 0;
  // The state of a request that is not over.
  virtual void visit_request(StateVisitor& visitor) = 0;
};

class VirtioMmio final : public Device, public MmioDevice {
 public:
  VirtioMmio(VirtioDevice& device, DmaMemory memory, InterruptLine interrupt,
             hypervisor::CpuPort& cpus)
      : device_(device), interrupt_(interrupt), cpus_(cpus), queue_(memory) {}

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  // No read has an effect: interrupts are acknowledged by a write.
  std::uint64_t read_mmio(const MmioAccess& access) override { return peek_mmio(access); }
  std::uint64_t peek_mmio(const MmioAccess& access) const override;
  void write_mmio(const MmioAccess& access, std::uint64_t value) override;

  bool has_work() const { return state_.work != kIdle; }
  hypervisor::WorkPart work();

 private:
  enum Work : std::uint16_t { kIdle, kBetweenRequests, kInRequest };
  struct State {
    std::uint64_t driver_features = 0;
    std::uint32_t device_features_select = 0;
    std::uint32_t driver_features_select = 0;
    std::uint32_t queue_select = 0;
    std::uint32_t status = 0;
    std::uint32_t interrupt_status = 0;
    std::uint16_t work = kIdle;
    std::uint16_t head = 0;  // of the chain, in a request
  };
  static_assert(std::has_unique_object_representations_v<State>);

  std::uint64_t offered_features() const;
  std::uint64_t read_configuration(std::uint64_t offset, unsigned width) const;
  std::uint32_t read_register(std::uint64_t offset) const;
  void write_register(std::uint64_t offset, std::uint32_t value);
  void write_queue_register(std::uint64_t offset, std::uint32_t value);
  void write_status(std::uint32_t value);
  bool can_serve() const;
  void notify();
  bool begin_next(Allowance& allowance);
  void give_up();
  void fail_device();
  void update() const { interrupt_.set(state_.interrupt_status != 0); }

  VirtioDevice& device_;
  InterruptLine interrupt_;
  hypervisor::CpuPort& cpus_;
  VirtioQueue queue_;
  State state_;
};

}  // namespace ringside::machine
