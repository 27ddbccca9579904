// The network's own code, without libslirp: its option as it is typed, fragments as a guest sends
// them, and packets cut into fragments that come in any order. What is taken of an option can be
// written and is taken again the same; what comes out of fragments is one packet with the right
// lengths and checksum, and what was cut is the same again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "choices.h"
#include "network/options.h"
#include "network/reassembly.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kEthernet = 14, kHeader = 20;

void option(std::string_view text) {
  const auto options = network::parse_network(text);
  if (!options) {
    check(options.error().text().starts_with("--net: "));
    fuzz::check_sentence(options.error().text(), 1 + 3 * text.size());
    return;
  }
  const std::string written = network::to_string(*options);
  const auto again = network::parse_network(written);
  check(again && *again == *options && network::to_string(*again) == written);
  if (!*options) return;
  check((*options)->forwards.size() <= network::kMaxForwards);
  for (const network::Forward& forward : (*options)->forwards)
    check(forward.port != 0 && forward.guest_port != 0 && !forward.address.empty());
}

unsigned word(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]) << 8 | std::to_integer<unsigned>(bytes[at + 1]);
}
void put(std::span<std::byte> bytes, std::size_t at, unsigned value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value);
}
unsigned sum_of(std::span<const std::byte> header) {
  unsigned sum = 0;
  for (std::size_t at = 0; at + 1 < header.size(); at += 2)
    sum += word(header, at);
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

void check_packet(const Bytes& frame) {
  check(frame.size() > kEthernet + kHeader);
  const auto packet = std::span(frame).subspan(kEthernet);
  const std::size_t header = 4 * (std::to_integer<std::size_t>(packet[0]) & 15);
  check(std::to_integer<unsigned>(packet[0]) >> 4 == 4 && header >= kHeader);
  check(word(packet, 2) == packet.size() && packet.size() > header);
  check(word(packet, 6) == 0 && sum_of(packet.first(header)) == 0xffff);
}

// With `fragment` in the field of flags and offset, and a right checksum.
Bytes frame_of(std::span<const std::byte> data, unsigned words, unsigned number,
               unsigned fragment) {
  const std::size_t header = 4 * static_cast<std::size_t>(words);
  Bytes frame(kEthernet + header);
  const auto packet = std::span(frame).subspan(kEthernet);
  packet[0] = static_cast<std::byte>(0x40 | words);
  put(packet, 2, static_cast<unsigned>(header + data.size()));
  put(packet, 4, number);
  put(packet, 6, fragment);
  put(packet, 8, 0x4011);
  put(packet, 10, 0);
  put(packet, 10, ~sum_of(packet) & 0xffff);
  frame.insert(frame.end(), data.begin(), data.end());
  return frame;
}

// Fragments of a few packets, that may overlap, miss, or be no packets at all.
void fragments(Choices& choices) {
  network::Reassembly reassembly;
  for (unsigned count = 0; count < 200 && !choices.is_over(); ++count) {
    const unsigned words = choices.once_in(4) ? 5 + choices.below(11) : 5;
    const unsigned number = choices.below(20);
    const unsigned offset =
        choices.once_in(8) ? choices.number<std::uint16_t>() & 0x1fff : choices.below(8);
    const unsigned more = choices.below(2) == 0 ? 0x2000 : 0;
    const std::size_t blocks =
        choices.once_in(16) ? choices.number<std::uint16_t>() % 8191u : choices.below(4);
    const Bytes data(8 * blocks + (choices.once_in(4) ? choices.below(8) : 0), std::byte{0x5a});
    Bytes frame = frame_of(data, words, number, more | offset);
    if (choices.once_in(8) && !frame.empty())
      frame[choices.number<std::uint16_t>() % std::min<std::size_t>(frame.size(), 40)] ^=
          static_cast<std::byte>(choices.below(256));
    if (choices.once_in(16)) frame.resize(choices.number<std::uint16_t>() % (frame.size() + 1));
    if (const auto whole = reassembly.add(frame)) check_packet(*whole);
  }
}

// One packet, cut where the input says and sent in the order that it says.
void cut(Choices& choices) {
  const unsigned number = choices.number<std::uint16_t>();
  Bytes data(9 + choices.number<std::uint16_t>() % 4000u);
  for (std::size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<std::byte>(i * 31 + i / 256);
  std::vector<Bytes> parts;
  for (std::size_t first = 0; first < data.size();) {
    std::size_t size = 8 * static_cast<std::size_t>(1 + choices.below(64));
    // Of one part there would be no fragment.
    if (first == 0) size = std::min(size, (data.size() - 1) / 8 * 8);
    size = std::min(size, data.size() - first);
    const bool is_last = first + size == data.size();
    const unsigned field = static_cast<unsigned>(first / 8) | (is_last ? 0u : 0x2000u);
    parts.push_back(frame_of(std::span(data).subspan(first, size), 5, number, field));
    first += size;
  }
  for (std::size_t i = parts.size(); i > 1; --i)
    std::swap(parts[i - 1], parts[choices.number<std::uint16_t>() % i]);
  network::Reassembly reassembly;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto whole = reassembly.add(parts[i]);
    check(whole.has_value() == (i + 1 == parts.size()));
    if (!whole) continue;
    check_packet(*whole);
    check(std::equal(whole->begin() + kEthernet + kHeader, whole->end(), data.begin(), data.end()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 4096) return 0;
  Choices choices(data, size);
  switch (choices.below(3)) {
    case 0:
      option(choices.text(size));
      break;
    case 1:
      fragments(choices);
      break;
    default:
      cut(choices);
      break;
  }
  return 0;
}
