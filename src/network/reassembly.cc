#include "network/reassembly.h"

#include <algorithm>

#include "machine/network/checksum.h"
#include "machine/network/frame.h"

namespace ringside::network {
namespace {

constexpr std::size_t kIp = machine::kEthernetHeader;
constexpr std::size_t kMinHeader = 20;
constexpr std::size_t kBlock = 8;  // in which fragments are counted
constexpr std::size_t kMaxPacket = 65535;

// Of the header of IP, RFC 791 3.1.
constexpr std::size_t kTotalLength = 2, kNumber = 4, kFragment = 6, kProtocol = 9, kChecksum = 10,
                      kFrom = 12, kTo = 16;
constexpr unsigned kMoreFragments = 0x2000, kOffset = 0x1fff;

unsigned word(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]) << 8 | std::to_integer<unsigned>(bytes[at + 1]);
}
std::uint32_t address(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint32_t>(word(bytes, at)) << 16 | word(bytes, at + 2);
}
void put(std::span<std::byte> bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value);
}

// Of a whole header, its checksum among it: right, if the words' sum is all ones.
bool adds_up(std::span<const std::byte> header) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < header.size(); at += 2)
    sum += word(header, at);
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

}  // namespace

std::optional<Reassembly::Fragment> Reassembly::parse(std::span<const std::byte> frame) {
  if (frame.size() < kIp + kMinHeader) return std::nullopt;
  const std::span<const std::byte> packet = frame.subspan(kIp);
  const auto first = std::to_integer<unsigned>(packet[0]);
  const std::size_t header = std::size_t{4} * (first & 0xf);
  const std::size_t total = word(packet, kTotalLength);
  if (first >> 4 != 4 || header < kMinHeader || total < header || total > packet.size() ||
      !adds_up(packet.first(header)))
    return std::nullopt;
  Fragment fragment;
  fragment.name = {address(packet, kFrom), address(packet, kTo),
                   static_cast<std::uint16_t>(word(packet, kNumber)),
                   std::to_integer<std::uint8_t>(packet[kProtocol])};
  fragment.head = frame.first(kIp + header);
  fragment.data = packet.subspan(header, total - header);
  fragment.offset = kBlock * (word(packet, kFragment) & kOffset);
  fragment.is_last = (word(packet, kFragment) & kMoreFragments) == 0;
  const bool is_whole_blocks = fragment.data.size() % kBlock == 0;
  if (fragment.data.empty() || (!fragment.is_last && !is_whole_blocks)) return std::nullopt;
  return fragment;
}

bool Reassembly::take(Packet& packet, const Fragment& fragment) {
  const std::size_t end = fragment.offset + fragment.data.size();
  if (end > kMaxPacket - kMinHeader) return false;
  if (fragment.is_last) {
    if (packet.size || packet.data.size() > end) return false;
    packet.size = end;
  }
  if (packet.size && end > *packet.size) return false;
  if (packet.data.size() < end) {
    packet.data.resize(end);
    packet.blocks.resize((end + kBlock - 1) / kBlock);
  }
  for (std::size_t at = fragment.offset; at < end; at += kBlock) {
    if (packet.blocks[at / kBlock]) return false;
    packet.blocks[at / kBlock] = true;
  }
  std::copy(fragment.data.begin(), fragment.data.end(),
            packet.data.begin() + static_cast<std::ptrdiff_t>(fragment.offset));
  packet.present += fragment.data.size();
  if (fragment.offset == 0) packet.head.assign(fragment.head.begin(), fragment.head.end());
  return true;
}

std::vector<std::byte> Reassembly::whole(const Packet& packet) {
  std::vector<std::byte> frame = packet.head;
  const std::span<std::byte> header = std::span(frame).subspan(kIp);
  put(header, kTotalLength, header.size() + packet.data.size());
  put(header, kFragment, 0);
  put(header, kChecksum, 0);
  machine::fill_in_checksum(frame, kIp, kChecksum);
  frame.insert(frame.end(), packet.data.begin(), packet.data.end());
  return frame;
}

std::optional<std::vector<std::byte>> Reassembly::add(std::span<const std::byte> frame) {
  const std::optional<Fragment> fragment = parse(frame);
  if (!fragment) return std::nullopt;
  auto packet = std::find_if(packets_.begin(), packets_.end(),
                             [&](const Packet& each) { return each.name == fragment->name; });
  if (packet == packets_.end()) {
    if (packets_.size() == kPackets) packets_.erase(packets_.begin());
    packet = packets_.insert(packets_.end(), Packet{fragment->name, {}, {}, {}, 0, {}});
  }
  std::optional<std::vector<std::byte>> result;
  if (take(*packet, *fragment)) {
    if (packet->size != packet->present) return std::nullopt;
    if (packet->head.size() - kIp + packet->data.size() <= kMaxPacket) result = whole(*packet);
  }
  packets_.erase(packet);
  return result;
}

}  // namespace ringside::network
