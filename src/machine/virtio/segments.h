// The bytes of a chain's segments, which a driver may cut as it likes (virtio 1.2, 2.6.4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "machine/bus/dma_memory.h"
#include "machine/virtio/virtio_queue.h"

namespace ringside::machine {

std::uint64_t total_size(std::span<const VirtioSegment> segments);  // bytes

// The first bytes of them, as many as `bytes` has: at most total_size(). False: they are not all in
// memory, and some may have been copied.
bool read_segments(const DmaMemory& memory, std::span<const VirtioSegment> segments,
                   std::span<std::byte> bytes);
bool write_segments(const DmaMemory& memory, std::span<const VirtioSegment> segments,
                    std::span<const std::byte> bytes);

// Without those that have no bytes.
void drop_empty(std::vector<VirtioSegment>& segments);
// Without their first bytes, at most total_size(), and without those that have none then.
void drop_first(std::vector<VirtioSegment>& segments, std::uint64_t bytes);

}  // namespace ringside::machine
