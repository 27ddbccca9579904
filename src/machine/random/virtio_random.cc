#include "machine/random/virtio_random.h"

#include <algorithm>
#include <utility>

#include "machine/virtio/segments.h"

namespace ringside::machine {

VirtioRandom::VirtioRandom(std::function<void()> wants, DmaMemory memory)
    : wants_(std::move(wants)), memory_(memory) {}

std::uint32_t VirtioRandom::wanted() const {
  if (!bytes_.empty()) return 0;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(total_size(space_), kMaxBytes));
}

// There is nothing that the device could read, and at least one byte that it is to write (5.4.6).
bool VirtioRandom::begin(unsigned, const VirtioChain& chain) {
  space_ = chain.writable;
  bytes_.clear();
  if (!chain.readable.empty() || total_size(space_) == 0) return false;
  if (wants_) wants_();
  return true;
}

void VirtioRandom::receive(std::span<const std::byte> bytes) {
  const std::span<const std::byte> taken =
      bytes.first(std::min<std::size_t>(bytes.size(), wanted()));
  bytes_.insert(bytes_.end(), taken.begin(), taken.end());
}

VirtioDevice::Progress VirtioRandom::go_on(Allowance& allowance) {
  allowance.spend(bytes_.size());
  written_ = static_cast<std::uint32_t>(bytes_.size());
  const bool is_written = write_segments(memory_, space_, bytes_);
  space_.clear();
  bytes_.clear();
  return is_written ? Progress::Over : Progress::Broken;
}

void VirtioRandom::visit_request(StateVisitor& visitor) {
  visitor.container(space_);
  visitor.container(bytes_);
  visitor.expect(space_.size() <= VirtioQueue::kMaxSegments);
  visitor.expect(total_size(space_) != 0 && bytes_.size() <= kMaxBytes);
}

}  // namespace ringside::machine
