// The virtio block device (virtio 1.2, 5.2): read, write, flush and identity over a BlockBackend.
// Owned by Machine. Between requests it has no state but the number of its transfers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "machine/bus/dma_memory.h"
#include "machine/storage/block_backend.h"
#include "machine/storage/disk_witness.h"
#include "machine/virtio/virtio_device.h"

namespace ringside::machine {

class VirtioBlock final : public VirtioDevice {
 public:
  VirtioBlock(std::shared_ptr<BlockBackend> backend, DmaMemory memory, unsigned number);

  // It outlives the device, or is replaced by null.
  void set_witness(DiskWitness* witness) { witness_ = witness; }

  std::uint32_t id() const override { return 2; }
  std::uint64_t features() const override;
  std::span<const std::byte> configuration() const override { return configuration_; }
  bool begin(unsigned queue, const VirtioChain& chain) override;
  Progress go_on(Allowance& allowance) override;
  std::uint32_t written() const override { return request_.written + 1; }  // and the status
  void visit_state(StateVisitor& visitor) override { visitor.field(transfers_); }
  void visit_request(StateVisitor& visitor) override;

 private:
  using Outcome = BlockBackend::Outcome;
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
  // What comes of a step of a request.
  enum class Step : std::uint8_t { Ok, Error, Unsupported, SpentAll, Waits };
  // Memory of the guest, in order: what is moved at once, a whole segment each or a part of one.
  using Pieces = std::span<const VirtioSegment>;

  bool on_disk() const;
  bool is_there(const VirtioSegment& segment);
  Step transfer(Allowance& allowance);
  Step transfer_remotely(Allowance& allowance);
  std::vector<VirtioSegment> next_pieces(std::uint32_t most);
  void complete(Pieces pieces);
  Step flush(Allowance& allowance);
  std::size_t move(Pieces pieces, Allowance& allowance);
  std::vector<VirtioSegment> up_to_a_known_failure(Pieces pieces) const;
  std::uint64_t read_into(std::uint64_t offset, Pieces pieces);
  std::uint64_t write_from(std::uint64_t offset, Pieces pieces);
  void clear_what_failed(Allowance& allowance);
  Outcome move_remotely(Pieces pieces);
  Step identify();
  template <typename Call>
  Outcome attempt(const Call& call);

  std::shared_ptr<BlockBackend> backend_;
  DiskWitness* witness_ = nullptr;  // or null
  std::uint64_t transfers_ = 0;     // that are over
  Request request_;
  std::vector<VirtioSegment> data_;  // of the request: what the device reads, or writes
  // Of a transfer of a disk somewhere else. That it has been begun is no state of the machine: it
  // can be begun again.
  std::vector<std::byte> buffer_;
  bool is_begun_ = false;
  DmaMemory memory_;
  unsigned number_;
  std::array<std::byte, 60> configuration_{};
};

}  // namespace ringside::machine
