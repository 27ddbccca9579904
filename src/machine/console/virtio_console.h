// The virtio console (virtio 1.2, 5.3) with one port, which Linux names hvc0. What the guest says
// goes to a sink, and what is typed comes as inputs, which wait here until the guest has buffers
// for them. Owned by Machine.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <type_traits>
#include <vector>

#include "machine/bus/byte_sink.h"
#include "machine/bus/dma_memory.h"
#include "machine/virtio/virtio_device.h"

namespace ringside::machine {

class VirtioConsole final : public VirtioDevice {
 public:
  static constexpr unsigned kReceive = 0, kTransmit = 1;
  // Of what waits for the guest, and of what goes to the sink at once.
  static constexpr std::size_t kMaxWaiting = 4096;
  static constexpr std::uint32_t kMaxSent = 16u << 10;

  // `taken` is called when nothing waits any more and more can come.
  VirtioConsole(ByteSink out, std::function<void()> taken, DmaMemory memory);

  // How many bytes can be kept. None before the guest has a driver with buffers, which would lose
  // what came earlier when it resets the device.
  std::size_t room() const;
  // What there is no room for is dropped.
  void receive(std::span<const std::byte> bytes);

  std::uint32_t id() const override { return 3; }
  // Not the size of the terminal, which would have to be an input, and no second port.
  std::uint64_t features() const override { return 0; }
  std::span<const std::byte> configuration() const override { return {}; }
  unsigned queues() const override { return 2; }
  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  bool receives(unsigned queue) const override { return queue == kReceive; }
  Delivery deliver(unsigned queue, VirtioQueue& buffers, std::uint64_t drivers_features,
                   Allowance& allowance) override;
  bool begin(unsigned queue, const VirtioChain& chain) override;
  bool awaits_room() const override { return !data_.empty() && out_.full(); }
  Progress go_on(Allowance& allowance) override;
  std::uint32_t written() const override { return 0; }
  void visit_request(StateVisitor& visitor) override;

 private:
  struct State {
    std::uint32_t is_open = 0;  // 1: the guest has given buffers for what is typed
  };
  static_assert(std::has_unique_object_representations_v<State>);

  State state_;
  std::vector<std::byte> waiting_;   // for the guest
  std::vector<VirtioSegment> data_;  // that the guest is sending
  ByteSink out_;
  std::function<void()> taken_;
  DmaMemory memory_;
};

}  // namespace ringside::machine
