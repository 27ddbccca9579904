#include "machine/vsock/virtio_vsock.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "machine/virtio/segments.h"

namespace ringside::machine {
namespace {

// Of packets that wait for the guest. One of any size still fits while there are fewer.
constexpr std::size_t kEnoughBytes = 256u << 10, kMostPackets = 256;

// The one event that there is (5.10.6.7): the other end has forgotten all connections.
constexpr std::uint32_t kTransportReset = 0;

VsockHeader header_of(std::span<const std::byte> packet) {
  VsockHeader header;
  std::memcpy(&header, packet.data(), sizeof header);
  return header;
}

}  // namespace

VirtioVsock::VirtioVsock(std::uint32_t guest_cid, ByteSink out, std::function<void()> room_again,
                         DmaMemory memory)
    : out_(std::move(out)), room_again_(std::move(room_again)), memory_(memory) {
  std::memcpy(configuration_.data(), &guest_cid, sizeof guest_cid);
}

void VirtioVsock::reset() {
  const bool was_in_use = state_.in_use != 0;
  state_ = State{};
  waiting_.clear();
  sizes_.clear();
  data_.clear();
  if (was_in_use && out_) out_({});
}

void VirtioVsock::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  visitor.container(waiting_);
  visitor.container(sizes_);
  visitor.expect(state_.in_use <= 1 && state_.forgot <= 1 && sizes_.size() <= kMostPackets);
  std::uint64_t size = 0;
  for (const std::uint32_t packet : sizes_) {
    visitor.expect(packet >= sizeof(VsockHeader) && packet <= kMaxPacket);
    size += packet;
  }
  visitor.expect(size == waiting_.size() && size <= kEnoughBytes + kMaxPacket);
  // Of a packet without data there is nothing to have been given.
  const std::size_t data = sizes_.empty() ? 1 : sizes_.front() - sizeof(VsockHeader);
  visitor.expect(state_.given == 0 || state_.given < data);
}

void VirtioVsock::visit_request(StateVisitor& visitor) {
  visitor.container(data_);
  visitor.expect(data_.size() <= VirtioQueue::kMaxSegments);
}

bool VirtioVsock::has_room() const {
  return sizes_.size() < kMostPackets && waiting_.size() < kEnoughBytes;
}

void VirtioVsock::receive(std::span<const std::byte> packet) {
  if (packet.empty()) {
    state_.forgot = 1;
    state_.given = 0;
    waiting_.clear();
    sizes_.clear();
    return;
  }
  if (!has_room() || packet.size() < sizeof(VsockHeader) || packet.size() > kMaxPacket) return;
  if (header_of(packet).length != packet.size() - sizeof(VsockHeader)) return;
  state_.in_use = 1;
  waiting_.insert(waiting_.end(), packet.begin(), packet.end());
  sizes_.push_back(static_cast<std::uint32_t>(packet.size()));
}

void VirtioVsock::drop_packet() {
  const bool had_room = has_room();
  waiting_.erase(waiting_.begin(), waiting_.begin() + sizes_.front());
  sizes_.erase(sizes_.begin());
  state_.given = 0;
  if (!had_room && room_again_) room_again_();
}

// The driver is to do with a buffer what it likes as long as a header and a byte fit: the data of a
// stream have no borders, and what does not fit goes into the next one, behind a header of its own.
VirtioDevice::Delivery VirtioVsock::deliver(unsigned queue, VirtioQueue& buffers, std::uint64_t,
                                            Allowance& allowance) {
  if (queue == kEvents) return deliver_event(buffers, allowance);
  if (sizes_.empty()) return Delivery::Nothing;
  VirtioChain chain;
  const VirtioQueue::Next next = buffers.pop(chain);
  if (next == VirtioQueue::Next::Empty) return Delivery::NoBuffers;
  if (next == VirtioQueue::Next::Broken) return Delivery::Broken;
  const std::span<const std::byte> packet = std::span(waiting_).first(sizes_.front());
  VsockHeader header = header_of(packet);
  const std::span<const std::byte> data = packet.subspan(sizeof header + state_.given);
  const std::uint64_t capacity = total_size(chain.writable);
  if (capacity < sizeof header + (data.empty() ? 0 : 1)) return Delivery::Broken;
  const std::size_t part = std::min<std::uint64_t>(data.size(), capacity - sizeof header);
  header.length = static_cast<std::uint32_t>(part);
  allowance.spend_chain(chain.writable.size());
  allowance.spend(sizeof header + part);
  if (!write_segments(memory_, chain.writable, std::as_bytes(std::span(&header, 1))))
    return Delivery::Broken;
  drop_first(chain.writable, sizeof header);
  const auto written = static_cast<std::uint32_t>(sizeof header + part);
  if (!write_segments(memory_, chain.writable, data.first(part)) ||
      !buffers.push(std::array{VirtioQueue::Used{chain.head, written}}))
    return Delivery::Broken;
  state_.given += header.length;
  if (part == data.size()) drop_packet();
  return Delivery::Done;
}

VirtioDevice::Delivery VirtioVsock::deliver_event(VirtioQueue& buffers, Allowance& allowance) {
  if (state_.forgot == 0) return Delivery::Nothing;
  VirtioChain chain;
  const VirtioQueue::Next next = buffers.pop(chain);
  if (next == VirtioQueue::Next::Empty) return Delivery::NoBuffers;
  constexpr std::uint32_t kSize = sizeof kTransportReset;
  if (next == VirtioQueue::Next::Broken || total_size(chain.writable) < kSize)
    return Delivery::Broken;
  allowance.spend_chain(chain.writable.size());
  if (!write_segments(memory_, chain.writable, std::as_bytes(std::span(&kTransportReset, 1))) ||
      !buffers.push(std::array{VirtioQueue::Used{chain.head, kSize}}))
    return Delivery::Broken;
  state_.forgot = 0;
  return Delivery::Done;
}

bool VirtioVsock::begin(unsigned, const VirtioChain& chain) {
  data_ = chain.readable;
  drop_empty(data_);
  return total_size(data_) >= sizeof(VsockHeader);
}

// A packet has a part of the work to itself, whether the sink was full before or not: how often a
// device worked is part of a moment's place in the run. Of one that has more data than any may have
// goes the header alone, which says so.
VirtioDevice::Progress VirtioVsock::go_on(Allowance& allowance) {
  const bool is_alone = allowance.is_whole();
  allowance.spend_all();
  if (!is_alone) return Progress::More;
  const std::uint64_t size = total_size(data_);
  std::vector<std::byte> packet(size <= kMaxPacket ? size : sizeof(VsockHeader));
  if (!read_segments(memory_, data_, packet)) return Progress::Broken;
  state_.in_use = 1;
  if (out_) out_(packet);
  data_.clear();
  return Progress::Over;
}

}  // namespace ringside::machine
