// The virtio block device (virtio 1.2, 5.2): read, write, flush and identity over a BlockBackend.
// Owned by Machine. Between requests it has no state.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "machine/bus/dma_memory.h"
#include "machine/storage/block_backend.h"
#include "machine/virtio/virtio_device.h"

namespace ringside::machine {

class VirtioBlock final : public VirtioDevice {
 public:
  VirtioBlock(std::shared_ptr<BlockBackend> backend, DmaMemory memory, unsigned number);

  std::uint32_t id() const override { return 2; }
  std::uint64_t features() const override;
  std::span<const std::byte> configuration() const override { return configuration_; }
  bool begin(unsigned queue, const VirtioChain& chain) override;
  Progress go_on(Allowance& allowance) override;
  std::uint32_t written() const override { return request_.written + 1; }  // and the status
  void visit_request(StateVisitor& visitor) override;

 private:
  struct Request {
    std::uint64_t sector = 0;
    std::uint64_t status_address = 0;
    std::uint64_t done = 0;  // bytes on the disk
    std::uint32_t type = 0;
    std::uint32_t written = 0;  // bytes of the segments that are complete
    std::uint32_t segment = 0;  // of data_, the one under way
    std::uint32_t within = 0;   // bytes of that
  };
  static_assert(std::has_unique_object_representations_v<Request>);
  // Nothing: the allowance is spent.
  using Status = std::optional<std::uint8_t>;

  bool on_disk() const;
  Status transfer(Allowance& allowance);
  bool move(Gpa address, std::uint32_t size);
  std::uint8_t identify();

  std::shared_ptr<BlockBackend> backend_;
  Request request_;
  std::vector<VirtioSegment> data_;  // of the request: what the device reads, or writes
  DmaMemory memory_;
  unsigned number_;
  std::array<std::byte, 60> configuration_{};
};

}  // namespace ringside::machine
