// Ethernet, ARP, IPv4, ICMP, UDP and TCP as far as a test of the network needs them: bytes to
// values and back, with right checksums.
#pragma once

#include <arpa/inet.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringside::network::testing {

using Bytes = std::vector<std::byte>;
using Mac = std::array<std::uint8_t, 6>;

inline constexpr Mac kOwnMac{0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
inline constexpr Mac kEverybody{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
inline constexpr std::uint16_t kIpv4 = 0x0800, kArp = 0x0806;

inline std::uint32_t ip(const char* text) {
  in_addr address{};
  ::inet_pton(AF_INET, text, &address);
  return ntohl(address.s_addr);
}

// Numbers with the most significant byte first, as networks have them.
class Writer {
 public:
  Writer& u8(unsigned value) {
    bytes_.push_back(static_cast<std::byte>(value));
    return *this;
  }
  Writer& u16(unsigned value) { return u8(value >> 8).u8(value); }
  Writer& u32(std::uint32_t value) { return u16(value >> 16).u16(value & 0xffff); }
  Writer& zeros(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  Writer& add(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Writer& add(const Mac& mac) { return add(std::as_bytes(std::span(mac))); }
  Writer& text(std::string_view text) { return add(std::as_bytes(std::span(text))); }
  void put_u16(std::size_t at, unsigned value) {
    bytes_.at(at) = static_cast<std::byte>(value >> 8);
    bytes_.at(at + 1) = static_cast<std::byte>(value);
  }
  const Bytes& bytes() const { return bytes_; }
  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

// What is beyond the end reads as zero.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  unsigned u8(std::size_t at) const {
    return at < bytes_.size() ? std::to_integer<unsigned>(bytes_[at]) : 0;
  }
  unsigned u16(std::size_t at) const { return u8(at) << 8 | u8(at + 1); }
  std::uint32_t u32(std::size_t at) const { return u16(at) << 16 | u16(at + 2); }
  std::span<const std::byte> from(std::size_t at) const {
    return bytes_.subspan(std::min(at, bytes_.size()));
  }

 private:
  std::span<const std::byte> bytes_;
};

// RFC 1071.
inline std::uint16_t checksum(std::span<const std::byte> bytes, std::uint32_t sum = 0) {
  const Reader reader(bytes);
  for (std::size_t i = 0; i < bytes.size(); i += 2)
    sum += reader.u16(i);
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

inline Bytes ethernet(const Mac& to, std::uint16_t type, std::span<const std::byte> payload) {
  return Writer().add(to).add(kOwnMac).u16(type).add(payload).take();
}

struct Ipv4 {
  std::uint8_t protocol = 0;
  std::uint32_t from = 0, to = 0;
};

inline Bytes ipv4(const Ipv4& header, std::span<const std::byte> payload) {
  Writer packet;
  packet.u16(0x4500).u16(static_cast<unsigned>(20 + payload.size())).u32(0);
  packet.u8(64).u8(header.protocol).u16(0).u32(header.from).u32(header.to);
  packet.put_u16(10, checksum(packet.bytes()));
  return packet.add(payload).take();
}

// Of UDP's and TCP's checksum: what they borrow from the header of IP (RFC 768, RFC 9293 3.1).
inline std::uint32_t pseudo_header(const Ipv4& header, std::size_t size) {
  return (header.from >> 16) + (header.from & 0xffff) + (header.to >> 16) + (header.to & 0xffff) +
         header.protocol + static_cast<std::uint32_t>(size);
}

enum class More : bool { No, Yes };

// A part of what IP carries, in a frame. `first` is a multiple of 8.
inline Bytes fragment(const Ipv4& header, std::span<const std::byte> data, std::size_t first,
                      std::size_t size, More more, unsigned number = 1) {
  Writer packet;
  packet.add(ipv4(header, data.subspan(first, size)));
  packet.put_u16(4, number);
  packet.put_u16(6, static_cast<unsigned>(first / 8) | (more == More::Yes ? 0x2000u : 0));
  packet.put_u16(10, 0);
  packet.put_u16(10, checksum(std::span(packet.bytes()).first(20)));
  return ethernet(kEverybody, kIpv4, packet.bytes());
}

struct Udp {
  std::uint16_t from = 0, to = 0;
};

inline Bytes udp(const Ipv4& header, const Udp& ports, std::span<const std::byte> payload) {
  Writer datagram;
  datagram.u16(ports.from).u16(ports.to).u16(static_cast<unsigned>(8 + payload.size())).u16(0);
  datagram.add(payload);
  datagram.put_u16(6, checksum(datagram.bytes(), pseudo_header(header, datagram.bytes().size())));
  return ipv4(header, datagram.bytes());
}

struct Tcp {
  static constexpr unsigned kFin = 1, kSyn = 2, kReset = 4, kPush = 8, kAck = 16;
  std::uint16_t from = 0, to = 0;
  std::uint32_t sequence = 0, acknowledged = 0;
  unsigned flags = 0;
  unsigned window = 0xffff;
};

inline Bytes tcp(const Ipv4& header, const Tcp& tcp, std::span<const std::byte> payload) {
  Writer segment;
  segment.u16(tcp.from).u16(tcp.to).u32(tcp.sequence).u32(tcp.acknowledged);
  segment.u8(5 << 4).u8(tcp.flags).u16(tcp.window).u32(0).add(payload);
  segment.put_u16(16, checksum(segment.bytes(), pseudo_header(header, segment.bytes().size())));
  return ipv4(header, segment.bytes());
}

// A packet of IPv4 in a frame, taken apart; its checksums are right.
struct Seen {
  Ipv4 header;
  Bytes payload;  // of IP

  Udp udp_ports() const {
    const Reader reader(payload);
    return {static_cast<std::uint16_t>(reader.u16(0)), static_cast<std::uint16_t>(reader.u16(2))};
  }
  Tcp tcp_header() const {
    const Reader reader(payload);
    return {static_cast<std::uint16_t>(reader.u16(0)),
            static_cast<std::uint16_t>(reader.u16(2)),
            reader.u32(4),
            reader.u32(8),
            reader.u8(13),
            reader.u16(14)};
  }
  std::string text() const {
    const Reader reader(payload);
    const std::size_t skipped =
        header.protocol == IPPROTO_TCP ? 4 * static_cast<std::size_t>(reader.u8(12) >> 4) : 8;
    const auto rest = reader.from(skipped);
    return {reinterpret_cast<const char*>(rest.data()), rest.size()};
  }
};

inline std::optional<Seen> see_ipv4(std::span<const std::byte> frame) {
  const Reader reader(frame);
  constexpr std::size_t kStart = 14;
  if (reader.u16(12) != kIpv4 || reader.u8(kStart) >> 4 != 4) return std::nullopt;
  const std::size_t header_size = 4 * static_cast<std::size_t>(reader.u8(kStart) & 15);
  const std::size_t size = reader.u16(kStart + 2);
  if (size < header_size || frame.size() < kStart + size) return std::nullopt;
  if (checksum(frame.subspan(kStart, header_size)) != 0) return std::nullopt;
  const auto payload = frame.subspan(kStart + header_size, size - header_size);
  Seen seen{{static_cast<std::uint8_t>(reader.u8(kStart + 9)), reader.u32(kStart + 12),
             reader.u32(kStart + 16)},
            Bytes(payload.begin(), payload.end())};
  const bool has_ports = seen.header.protocol == IPPROTO_TCP || seen.header.protocol == IPPROTO_UDP;
  if (checksum(payload, has_ports ? pseudo_header(seen.header, payload.size()) : 0) != 0)
    return std::nullopt;
  return seen;
}

}  // namespace ringside::network::testing
