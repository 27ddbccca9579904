// The virtio entropy device (virtio 1.2, 5.4). What it gives comes from outside, as an input, and
// meanwhile the guest waits, as for a disk. The host asks how many bytes are wanted. Owned by
// Machine.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "machine/bus/dma_memory.h"
#include "machine/virtio/virtio_device.h"

namespace ringside::machine {

class VirtioRandom final : public VirtioDevice {
 public:
  // That one request is given. A driver that has room for more asks again.
  static constexpr std::uint32_t kMaxBytes = 4096;

  // `wants` is called when a request waits for bytes.
  VirtioRandom(std::function<void()> wants, DmaMemory memory);

  // Of the request that is under way; 0 when it has its bytes.
  std::uint32_t wanted() const;
  // At least one byte. What is more than wanted is dropped.
  void receive(std::span<const std::byte> bytes);

  std::uint32_t id() const override { return 4; }
  std::uint64_t features() const override { return 0; }
  std::span<const std::byte> configuration() const override { return {}; }
  bool begin(unsigned queue, const VirtioChain& chain) override;
  bool awaits_input() const override { return bytes_.empty(); }
  Progress go_on(Allowance& allowance) override;
  std::uint32_t written() const override { return written_; }
  void visit_request(StateVisitor& visitor) override;

 private:
  std::vector<VirtioSegment> space_;
  std::vector<std::byte> bytes_;  // for it; none: they are still to come
  std::uint32_t written_ = 0;     // by the request that is over
  std::function<void()> wants_;
  DmaMemory memory_;
};

}  // namespace ringside::machine
