#include "machine/share/virtio_share.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "machine/virtio/segments.h"

namespace ringside::machine {

VirtioShare::VirtioShare(const std::string& tag, ByteSink requests, DmaMemory memory)
    : requests_(std::move(requests)), memory_(memory), configuration_(2 + tag.size()) {
  const auto length = static_cast<std::uint16_t>(tag.size());
  std::memcpy(configuration_.data(), &length, sizeof length);
  std::memcpy(configuration_.data() + sizeof length, tag.data(), tag.size());
}

// The server still answers what has gone out.
void VirtioShare::reset() {
  state_.ignored += std::exchange(state_.awaits, 0);
  state_.in_use = state_.written = 0;
  space_.clear();
  answer_.clear();
}

void VirtioShare::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  visitor.expect(state_.in_use <= 1 && state_.awaits <= 1);
}

void VirtioShare::visit_request(StateVisitor& visitor) {
  visitor.container(space_);
  visitor.container(answer_);
  visitor.expect(space_.size() <= VirtioQueue::kMaxSegments && answer_.size() <= kMaxMessage);
}

// What a guest gives up by disabling the queue is answered all the same.
bool VirtioShare::begin(unsigned, const VirtioChain& chain) {
  const std::uint64_t size = total_size(chain.readable);
  if (size > kMaxMessage) return false;
  std::vector<std::byte> request(size);
  if (!read_segments(memory_, chain.readable, request)) return false;
  state_.ignored += state_.awaits;
  state_.awaits = state_.in_use = 1;
  state_.written = 0;
  answer_.clear();
  space_ = chain.writable;
  if (requests_) requests_(request);
  return true;
}

void VirtioShare::receive(std::span<const std::byte> answer) {
  if (state_.ignored != 0) {
    --state_.ignored;
    return;
  }
  if (state_.awaits == 0 || answer.size() > kMaxMessage) return;
  state_.awaits = 0;
  answer_.assign(answer.begin(), answer.end());
}

// An answer that the driver has no room for breaks the device: the server keeps to the size that
// was agreed on, and so the driver has not.
VirtioDevice::Progress VirtioShare::go_on(Allowance& allowance) {
  allowance.spend(answer_.size());
  if (answer_.size() > total_size(space_) || !write_segments(memory_, space_, answer_))
    return Progress::Broken;
  state_.written = static_cast<std::uint32_t>(answer_.size());
  answer_.clear();
  space_.clear();
  return Progress::Over;
}

}  // namespace ringside::machine
