// Packets of IPv4 whose fragments come one by one (RFC 791 3.2). libslirp has this, too; but there
// a guest's fragments can write over its memory, and as many as come are kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ringside::network {

class Reassembly {
 public:
  // So many packets are incomplete at a time; of more, the oldest is lost.
  static constexpr std::size_t kPackets = 16;

  // Of a fragment in an Ethernet frame: the frame with the whole packet, once that is complete.
  // What makes no sense is lost, and so is a packet with fragments that overlap: senders make none.
  std::optional<std::vector<std::byte>> add(std::span<const std::byte> frame);

 private:
  struct Name {
    std::uint32_t from = 0, to = 0;
    std::uint16_t number = 0;
    std::uint8_t protocol = 0;
    friend bool operator==(const Name&, const Name&) = default;
  };
  struct Fragment {
    Name name;
    std::span<const std::byte> head;  // of Ethernet and IP
    std::span<const std::byte> data;
    std::size_t offset = 0;
    bool is_last = false;
  };
  struct Packet {
    Name name;
    std::vector<std::byte> head;  // of the first fragment; empty: that is not there yet
    std::vector<std::byte> data;
    std::vector<bool> blocks;         // of 8 bytes each: whether they are there
    std::size_t present = 0;          // bytes
    std::optional<std::size_t> size;  // bytes; known by the last fragment
  };
  static std::optional<Fragment> parse(std::span<const std::byte> frame);
  // False: the packet makes no sense with it.
  static bool take(Packet& packet, const Fragment& fragment);
  static std::vector<std::byte> whole(const Packet& packet);

  std::vector<Packet> packets_;  // the oldest first
};

}  // namespace ringside::network
