#include "machine/console/virtio_console.h"

#include <algorithm>
#include <array>
#include <utility>

#include "machine/virtio/segments.h"

namespace ringside::machine {

VirtioConsole::VirtioConsole(ByteSink out, std::function<void()> taken, DmaMemory memory)
    : out_(std::move(out)), taken_(std::move(taken)), memory_(memory) {}

void VirtioConsole::reset() {
  state_ = State{};
  waiting_.clear();
  data_.clear();
}

void VirtioConsole::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  visitor.container(waiting_);
  visitor.expect(state_.is_open <= 1 && waiting_.size() <= kMaxWaiting);
}

void VirtioConsole::visit_request(StateVisitor& visitor) {
  visitor.container(data_);
  visitor.expect(data_.size() <= VirtioQueue::kMaxSegments);
}

std::size_t VirtioConsole::room() const {
  return state_.is_open == 0 ? 0 : kMaxWaiting - waiting_.size();
}

void VirtioConsole::receive(std::span<const std::byte> bytes) {
  const std::span<const std::byte> taken = bytes.first(std::min(bytes.size(), room()));
  waiting_.insert(waiting_.end(), taken.begin(), taken.end());
}

// As much of what waits as the next buffer takes. One in which there is something to read makes no
// sense (5.3.6.1).
VirtioDevice::Delivery VirtioConsole::deliver(unsigned, VirtioQueue& buffers, std::uint64_t,
                                              Allowance& allowance) {
  const bool opens = std::exchange(state_.is_open, 1) == 0;
  if (opens && taken_) taken_();
  if (waiting_.empty()) return Delivery::Nothing;
  VirtioChain chain;
  const VirtioQueue::Next next = buffers.pop(chain);
  if (next == VirtioQueue::Next::Empty) return Delivery::NoBuffers;
  if (next == VirtioQueue::Next::Broken || !chain.readable.empty()) return Delivery::Broken;
  const auto size = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(total_size(chain.writable), waiting_.size()));
  allowance.spend_chain(chain.writable.size());
  allowance.spend(size);
  if (!write_segments(memory_, chain.writable, std::span(waiting_).first(size)) ||
      !buffers.push(std::array{VirtioQueue::Used{chain.head, size}}))
    return Delivery::Broken;
  waiting_.erase(waiting_.begin(), waiting_.begin() + size);
  if (waiting_.empty() && taken_) taken_();
  return Delivery::Done;
}

// Nothing is to be written into what the guest sends (5.3.6.1).
bool VirtioConsole::begin(unsigned, const VirtioChain& chain) {
  data_ = chain.readable;
  drop_empty(data_);
  return chain.writable.empty();
}

// A piece has a part of the work to itself, whether the sink was full before or not: how often a
// device worked is part of a moment's place in the run.
VirtioDevice::Progress VirtioConsole::go_on(Allowance& allowance) {
  if (data_.empty()) return Progress::Over;
  const bool is_alone = allowance.is_whole();
  allowance.spend_all();
  if (!is_alone) return Progress::More;
  std::vector<std::byte> piece(std::min<std::uint64_t>(total_size(data_), kMaxSent));
  if (!read_segments(memory_, data_, piece)) return Progress::Broken;
  if (out_) out_(piece);
  drop_first(data_, piece.size());
  return data_.empty() ? Progress::Over : Progress::More;
}

}  // namespace ringside::machine
