// The virtio network card (virtio 1.2, 5.1). Frames of the guest go to a sink, and those for it
// come as inputs, which wait here until the guest has buffers for them. Owned by Machine.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "machine/bus/byte_sink.h"
#include "machine/bus/dma_memory.h"
#include "machine/network/frame.h"
#include "machine/virtio/virtio_device.h"

namespace ringside::machine {

using MacAddress = std::array<std::uint8_t, 6>;

class VirtioNet final : public VirtioDevice {
 public:
  static constexpr unsigned kReceive = 0, kTransmit = 1;

  // The sink gets one frame at a time, without the virtio header. `room_again` is called when
  // has_room() is true again.
  VirtioNet(const MacAddress& address, ByteSink out, std::function<void()> room_again,
            DmaMemory memory);

  // Whether a frame of any size can be kept.
  bool has_room() const;
  // One frame, which is dropped if it is longer than any or there is no room for it.
  void receive(std::span<const std::byte> frame);

  std::uint32_t id() const override { return 1; }
  std::uint64_t features() const override;
  std::span<const std::byte> configuration() const override { return configuration_; }
  unsigned queues() const override { return 2; }
  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  bool receives(unsigned queue) const override { return queue == kReceive; }
  Delivery deliver(unsigned queue, VirtioQueue& buffers, std::uint64_t drivers_features,
                   Allowance& allowance) override;
  bool begin(unsigned queue, const VirtioChain& chain) override;
  Progress go_on(Allowance& allowance) override;
  std::uint32_t written() const override { return 0; }
  void visit_request(StateVisitor& visitor) override;

 private:
  std::span<const std::byte> first() const;
  void drop_frame();
  void send(std::span<std::byte> bytes);

  std::vector<std::byte> waiting_;    // frames for the guest, one behind the other
  std::vector<std::uint32_t> sizes_;  // of each of them
  std::vector<VirtioSegment> data_;   // of the frame that is being sent
  ByteSink out_;
  std::function<void()> room_again_;
  DmaMemory memory_;
  std::array<std::byte, 12> configuration_{};
};

}  // namespace ringside::machine
