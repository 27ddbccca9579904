#include "machine/virtio/virtio_queue.h"

#include <atomic>

namespace ringside::machine {
namespace {

constexpr std::uint16_t kHasNext = 1, kWritable = 2, kIndirect = 4;
constexpr std::uint16_t kNoInterrupt = 1;

}  // namespace

bool VirtioQueue::follow(Gpa table, std::uint32_t count, std::uint16_t index, bool indirect,
                         VirtioChain& chain) {
  for (std::uint32_t steps = 0; steps < count; ++steps) {
    Descriptor descriptor;
    if (index >= count || !memory_.read(table + index * sizeof descriptor, descriptor))
      return false;
    if (descriptor.flags & kIndirect) {
      const std::uint32_t entries = descriptor.size / sizeof descriptor;
      // No second level, nothing after it, and no more than a table can number.
      if (indirect || (descriptor.flags & kHasNext) || entries == 0 || entries > 65536)
        return false;
      return follow({descriptor.address}, entries, 0, true, chain);
    }
    const VirtioSegment segment{{descriptor.address}, descriptor.size};
    if (chain.readable.size() + chain.writable.size() >= kMaxSegments) return false;
    if (descriptor.flags & kWritable) {
      chain.writable.push_back(segment);
    } else if (!chain.writable.empty()) {
      return false;  // what is read comes first
    } else {
      chain.readable.push_back(segment);
    }
    if (!(descriptor.flags & kHasNext)) return true;
    index = descriptor.next;
  }
  return false;
}

VirtioQueue::Next VirtioQueue::pop(VirtioChain& chain) {
  chain = VirtioChain{};
  std::uint16_t published = 0;
  if (!memory_.read({state.available + 2}, published)) return Next::Broken;
  const auto waiting = static_cast<std::uint16_t>(published - state.next_available);
  if (waiting == 0) return Next::Empty;
  if (waiting > state.size) return Next::Broken;
  // The index was read before the entry that it covers; vCPU threads write both.
  std::atomic_thread_fence(std::memory_order_acquire);
  const std::uint64_t slot = state.next_available & (state.size - 1u);
  if (!memory_.read({state.available + 4 + 2 * slot}, chain.head)) return Next::Broken;
  ++state.next_available;
  const bool good = follow({state.descriptors}, state.size, chain.head, false, chain);
  return good ? Next::Chain : Next::Broken;
}

bool VirtioQueue::push(std::span<const Used> used) {
  for (const Used& one : used) {
    const std::uint64_t slot = state.next_used & (state.size - 1u);
    if (!memory_.write({state.used + 4 + sizeof one * slot}, one)) return false;
    ++state.next_used;
  }
  std::atomic_thread_fence(std::memory_order_release);
  return memory_.write({state.used + 2}, state.next_used);
}

bool VirtioQueue::wants_interrupt() const {
  std::uint16_t flags = 0;
  return memory_.read({state.available}, flags) && (flags & kNoInterrupt) == 0;
}

}  // namespace ringside::machine
