#include "machine/network/virtio_net.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "machine/network/checksum.h"
#include "machine/virtio/segments.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kFeatureChecksum = 1 << 0, kFeatureMtu = 1 << 3, kFeatureAddress = 1 << 5,
                        kFeatureMergeable = 1 << 15, kFeatureStatus = 1 << 16;
constexpr std::uint16_t kLinkUp = 1;

// Of the configuration (5.1.4).
constexpr std::size_t kStatus = 6, kMtuField = 10;

// In front of each frame (5.1.6).
struct Header {
  std::uint8_t flags = 0;
  std::uint8_t segmentation = 0;
  std::uint16_t header_length = 0;
  std::uint16_t segment_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  std::uint16_t buffers = 0;
};
static_assert(sizeof(Header) == 12);
constexpr std::uint8_t kNeedsChecksum = 1;

// Of frames that wait for the guest. One of any size still fits while there are fewer.
constexpr std::size_t kEnoughBytes = 192u << 10, kMostFrames = 256;

}  // namespace

VirtioNet::VirtioNet(const MacAddress& address, ByteSink out, std::function<void()> room_again,
                     DmaMemory memory)
    : out_(std::move(out)), room_again_(std::move(room_again)), memory_(memory) {
  std::memcpy(configuration_.data(), address.data(), address.size());
  std::memcpy(configuration_.data() + kStatus, &kLinkUp, sizeof kLinkUp);
  std::memcpy(configuration_.data() + kMtuField, &kMtu, sizeof kMtu);
}

std::uint64_t VirtioNet::features() const {
  return kFeatureChecksum | kFeatureMtu | kFeatureAddress | kFeatureMergeable | kFeatureStatus;
}

void VirtioNet::reset() {
  waiting_.clear();
  sizes_.clear();
  data_.clear();
}

void VirtioNet::visit_state(StateVisitor& visitor) {
  visitor.container(waiting_);
  visitor.container(sizes_);
  std::uint64_t size = 0;
  for (const std::uint32_t frame : sizes_)
    size += frame;
  visitor.expect(size == waiting_.size() && sizes_.size() <= kMostFrames &&
                 size <= kEnoughBytes + kMaxFrame);
}

void VirtioNet::visit_request(StateVisitor& visitor) {
  visitor.container(data_);
  visitor.expect(data_.size() <= VirtioQueue::kMaxSegments);
}

bool VirtioNet::has_room() const {
  return sizes_.size() < kMostFrames && waiting_.size() < kEnoughBytes;
}

void VirtioNet::receive(std::span<const std::byte> frame) {
  if (!has_room() || frame.size() > kMaxFrame) return;
  waiting_.insert(waiting_.end(), frame.begin(), frame.end());
  sizes_.push_back(static_cast<std::uint32_t>(frame.size()));
}

std::span<const std::byte> VirtioNet::first() const {
  return std::span(waiting_).first(sizes_.front());
}

void VirtioNet::drop_frame() {
  const bool had_room = has_room();
  waiting_.erase(waiting_.begin(), waiting_.begin() + sizes_.front());
  sizes_.erase(sizes_.begin());
  if (!had_room && room_again_) room_again_();
}

// A driver that takes merged buffers (5.1.6.4) gives small ones, and a frame fills as many as it
// takes. Every other one gives buffers that are large enough for what it expects; a frame that is
// larger than its buffer is lost, as on any wire.
VirtioDevice::Delivery VirtioNet::deliver(unsigned, VirtioQueue& buffers,
                                          std::uint64_t drivers_features, Allowance& allowance) {
  const std::size_t most = (drivers_features & kFeatureMergeable) != 0 ? VirtioQueue::kMaxSize : 1;
  while (!sizes_.empty()) {
    const std::span<const std::byte> frame = first();
    const std::uint64_t needed = sizeof(Header) + frame.size();
    std::vector<VirtioSegment> space;
    std::vector<VirtioQueue::Used> used;
    std::uint64_t size = 0;
    while (size < needed && used.size() < most) {
      VirtioChain chain;
      const VirtioQueue::Next next = buffers.pop(chain);
      if (next == VirtioQueue::Next::Broken) return Delivery::Broken;
      if (next == VirtioQueue::Next::Empty) {
        buffers.put_back(static_cast<std::uint16_t>(used.size()));
        return Delivery::NoBuffers;
      }
      const std::uint64_t capacity = total_size(chain.writable);
      used.push_back({chain.head, static_cast<std::uint32_t>(std::min(capacity, needed - size))});
      size += capacity;
      space.insert(space.end(), chain.writable.begin(), chain.writable.end());
    }
    allowance.spend_chain(space.size());
    allowance.spend(needed);
    if (size < needed) {
      buffers.put_back(static_cast<std::uint16_t>(used.size()));
      drop_frame();
      continue;
    }
    const Header header{.buffers = static_cast<std::uint16_t>(used.size())};
    if (!write_segments(memory_, space, std::as_bytes(std::span(&header, 1))))
      return Delivery::Broken;
    drop_first(space, sizeof header);
    if (!write_segments(memory_, space, frame) || !buffers.push(used)) return Delivery::Broken;
    drop_frame();
    return Delivery::Done;
  }
  return Delivery::Nothing;
}

bool VirtioNet::begin(unsigned, const VirtioChain& chain) {
  data_ = chain.readable;
  return total_size(data_) >= sizeof(Header);
}

VirtioDevice::Progress VirtioNet::go_on(Allowance& allowance) {
  const std::uint64_t size = total_size(data_);
  // What is longer than any frame is lost.
  if (size <= sizeof(Header) + kMaxFrame) {
    allowance.spend(size);
    std::vector<std::byte> bytes(size);
    if (!read_segments(memory_, data_, bytes)) return Progress::Broken;
    send(bytes);
  }
  data_.clear();
  return Progress::Over;
}

// A frame with a header that makes no sense is lost.
void VirtioNet::send(std::span<std::byte> bytes) {
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::span<std::byte> frame = bytes.subspan(sizeof header);
  if (header.segmentation != 0) return;
  if ((header.flags & kNeedsChecksum) != 0 &&
      !fill_in_checksum(frame, header.checksum_start, header.checksum_offset))
    return;
  if (out_) out_(frame);
}

}  // namespace ringside::machine
