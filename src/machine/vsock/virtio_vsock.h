// The virtio socket device (virtio 1.2, 5.10). It carries packets, and knows of connections only
// that the bytes of one may be cut anew: packets of the guest go to a sink, and those for it come
// as inputs, which wait here until the guest has buffers for them. Owned by Machine.
//
// On either way nothing is a message as well: all connections are forgotten. The device says so
// when it is reset, and is told so when whoever is at the other end knows of none any more.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <type_traits>
#include <vector>

#include "machine/bus/byte_sink.h"
#include "machine/bus/dma_memory.h"
#include "machine/virtio/virtio_device.h"
#include "machine/vsock/packet.h"

namespace ringside::machine {

class VirtioVsock final : public VirtioDevice {
 public:
  static constexpr unsigned kReceive = 0, kTransmit = 1, kEvents = 2;
  static constexpr std::size_t kMaxPacket = sizeof(VsockHeader) + kVsockRoom;

  // The sink gets one packet at a time. `room_again` is called when has_room() is true again.
  VirtioVsock(std::uint32_t guest_cid, ByteSink out, std::function<void()> room_again,
              DmaMemory memory);

  // Whether a packet of any size can be kept.
  bool has_room() const;
  // One packet, which is dropped if it is none or there is no room for it.
  void receive(std::span<const std::byte> packet);

  std::uint32_t id() const override { return 19; }
  std::uint64_t features() const override { return 1; }  // streams
  std::span<const std::byte> configuration() const override { return configuration_; }
  unsigned queues() const override { return 3; }
  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  bool receives(unsigned queue) const override { return queue != kTransmit; }
  Delivery deliver(unsigned queue, VirtioQueue& buffers, std::uint64_t drivers_features,
                   Allowance& allowance) override;
  bool begin(unsigned queue, const VirtioChain& chain) override;
  bool awaits_room() const override { return !data_.empty() && out_.full(); }
  Progress go_on(Allowance& allowance) override;
  std::uint32_t written() const override { return 0; }
  void visit_request(StateVisitor& visitor) override;

 private:
  struct State {
    std::uint32_t in_use = 0;  // 1: a packet has gone out or come since the last reset
    std::uint32_t forgot = 0;  // 1: the driver is to hear that there are no connections any more
    std::uint32_t given = 0;   // bytes of the first packet's data that the guest has
    std::uint32_t padding = 0;
  };
  static_assert(std::has_unique_object_representations_v<State>);

  Delivery deliver_event(VirtioQueue& buffers, Allowance& allowance);
  void drop_packet();

  State state_;
  std::vector<std::byte> waiting_;    // packets for the guest, one behind the other
  std::vector<std::uint32_t> sizes_;  // of each of them
  std::vector<VirtioSegment> data_;   // of the packet that is being sent
  ByteSink out_;
  std::function<void()> room_again_;
  DmaMemory memory_;
  std::array<std::byte, 8> configuration_{};
};

}  // namespace ringside::machine
