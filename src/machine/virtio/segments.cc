#include "machine/virtio/segments.h"

#include <algorithm>
#include <cstring>

namespace ringside::machine {
namespace {

// What of a segment belongs to so many bytes.
std::uint32_t part_of(const VirtioSegment& segment, std::uint64_t bytes) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(segment.size, bytes));
}

}  // namespace

std::uint64_t total_size(std::span<const VirtioSegment> segments) {
  std::uint64_t size = 0;
  for (const VirtioSegment& segment : segments)
    size += segment.size;
  return size;
}

bool read_segments(const DmaMemory& memory, std::span<const VirtioSegment> segments,
                   std::span<std::byte> bytes) {
  for (const VirtioSegment& segment : segments) {
    const std::uint32_t part = part_of(segment, bytes.size());
    if (part == 0) continue;
    const std::byte* from = memory.readable(segment.address, part);
    if (from == nullptr) return false;
    std::memcpy(bytes.data(), from, part);
    bytes = bytes.subspan(part);
  }
  return bytes.empty();
}

bool write_segments(const DmaMemory& memory, std::span<const VirtioSegment> segments,
                    std::span<const std::byte> bytes) {
  for (const VirtioSegment& segment : segments) {
    const std::uint32_t part = part_of(segment, bytes.size());
    if (part == 0) continue;
    std::byte* to = memory.writable(segment.address, part);
    if (to == nullptr) return false;
    std::memcpy(to, bytes.data(), part);
    memory.written(segment.address, part);
    bytes = bytes.subspan(part);
  }
  return bytes.empty();
}

void drop_empty(std::vector<VirtioSegment>& segments) {
  std::erase_if(segments, [](const VirtioSegment& segment) { return segment.size == 0; });
}

void drop_first(std::vector<VirtioSegment>& segments, std::uint64_t bytes) {
  for (VirtioSegment& segment : segments) {
    const std::uint32_t part = part_of(segment, bytes);
    segment.address = segment.address + part;
    segment.size -= part;
    bytes -= part;
  }
  drop_empty(segments);
}

}  // namespace ringside::machine
