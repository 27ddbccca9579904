// The virtio block device (virtio 1.2, 5.2): read, write, flush and identity over a BlockBackend.
// Owned by Machine; keeps no state between requests.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "machine/storage/block_backend.h"
#include "machine/virtio/virtio_mmio.h"

namespace ringside::machine {

class VirtioBlock final : public VirtioDevice {
 public:
  VirtioBlock(std::shared_ptr<BlockBackend> backend, DmaMemory memory, unsigned number);

  std::uint32_t id() const override { return 2; }
  std::uint64_t features() const override;
  std::span<const std::byte> configuration() const override { return configuration_; }
  std::optional<std::uint32_t> serve(const VirtioChain& chain) override;

 private:
  bool on_disk(std::uint64_t sector, std::span<const VirtioSegment> segments) const;
  std::uint8_t run(std::uint32_t type, std::uint64_t sector, const VirtioChain& chain,
                   std::uint32_t& written);
  std::uint8_t read(std::uint64_t sector, std::span<const VirtioSegment> segments,
                    std::uint32_t& written);
  std::uint8_t write(std::uint64_t sector, std::span<const VirtioSegment> segments);
  std::uint8_t identify(std::span<const VirtioSegment> segments, std::uint32_t& written);

  std::shared_ptr<BlockBackend> backend_;
  DmaMemory memory_;
  unsigned number_;
  std::array<std::byte, 60> configuration_{};
};

}  // namespace ringside::machine
