// The virtio 9P transport: a shared folder's device, whose driver speaks 9P with a file server
// outside the machine (virtio 1.2, 5.12; Linux: net/9p/trans_virtio.c). One request goes out as it
// is, and its answer comes as an input; meanwhile the guest waits, as for a disk. What a request
// means is not known here. Owned by Machine.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "machine/bus/byte_sink.h"
#include "machine/bus/dma_memory.h"
#include "machine/virtio/virtio_device.h"

namespace ringside::machine {

class VirtioShare final : public VirtioDevice {
 public:
  // Of a request and of an answer, in bytes.
  static constexpr std::uint32_t kMaxMessage = 1 << 20;

  // `tag`: the name by which the guest mounts it. The sink gets one request at a time.
  VirtioShare(const std::string& tag, ByteSink requests, DmaMemory memory);

  // The answers come in the order of the requests, one for each, also for those that the guest has
  // given up.
  void receive(std::span<const std::byte> answer);
  // The guest has begun to speak, so that the server knows of files that are open.
  bool is_in_use() const { return state_.in_use != 0; }

  std::uint32_t id() const override { return 9; }
  std::uint64_t features() const override { return 1; }  // there is a tag
  std::span<const std::byte> configuration() const override { return configuration_; }
  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  bool begin(unsigned queue, const VirtioChain& chain) override;
  bool awaits_input() const override { return state_.awaits != 0; }
  Progress go_on(Allowance& allowance) override;
  std::uint32_t written() const override { return state_.written; }
  void visit_request(StateVisitor& visitor) override;

 private:
  struct State {
    std::uint32_t in_use = 0;   // 1: a request has gone out
    std::uint32_t awaits = 0;   // 1: the answer to the request under way is still to come
    std::uint32_t ignored = 0;  // answers that come before the one that is awaited
    std::uint32_t written = 0;  // of the answer
  };

  State state_;
  std::vector<VirtioSegment> space_;  // for the answer
  std::vector<std::byte> answer_;
  ByteSink requests_;
  DmaMemory memory_;
  std::vector<std::byte> configuration_;
};

}  // namespace ringside::machine
