#include "network/reassembly.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>

#include "network/testing/packets.h"

namespace ringside::network {
namespace {

using namespace testing;

constexpr Ipv4 kHeader{IPPROTO_UDP, 0x0a00020f, 0x0a000202};

Bytes numbered(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
  return bytes;
}

Bytes fragment(const Bytes& data, std::size_t first, std::size_t size, More more,
               unsigned number = 1) {
  return testing::fragment(kHeader, data, first, size, more, number);
}

void expect_whole(const std::optional<Bytes>& frame, const Bytes& data) {
  ASSERT_TRUE(frame);
  EXPECT_TRUE(see_ipv4(*frame)) << "lengths or checksums are wrong";
  EXPECT_EQ(Reader(*frame).u16(14 + 2), 20 + data.size());
  EXPECT_EQ(Reader(*frame).u16(14 + 6), 0u) << "it is still a fragment";
  EXPECT_EQ(checksum(std::span(*frame).subspan(14, 20)), 0u);
  EXPECT_EQ(Bytes(frame->begin() + 34, frame->end()), data);
}

// With the checksum that see_ipv4() looks for.
Bytes datagram(std::size_t size) {
  const Bytes packet = udp(kHeader, {1, 2}, numbered(size));
  return {packet.begin() + 20, packet.end()};
}

TEST(ReassemblyTest, AnOrderIsAsGoodAsAnother) {
  const Bytes data = datagram(3000);
  std::vector<Bytes> parts;
  for (std::size_t first = 0; first < data.size(); first += 800)
    parts.push_back(fragment(data, first, std::min<std::size_t>(800, data.size() - first),
                             first + 800 < data.size() ? More::Yes : More::No));
  std::sort(parts.begin(), parts.end());
  do {
    Reassembly reassembly;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i)
      EXPECT_FALSE(reassembly.add(parts[i]));
    expect_whole(reassembly.add(parts.back()), data);
    EXPECT_FALSE(reassembly.add(parts.back())) << "the packet is complete and gone";
  } while (std::next_permutation(parts.begin(), parts.end()));
}

TEST(ReassemblyTest, PacketsDoNotMix) {
  Reassembly reassembly;
  const Bytes one = datagram(1000), two = datagram(1001);
  EXPECT_FALSE(reassembly.add(fragment(one, 0, 800, More::Yes, 1)));
  EXPECT_FALSE(reassembly.add(fragment(two, 0, 800, More::Yes, 2)));
  expect_whole(reassembly.add(fragment(one, 800, one.size() - 800, More::No, 1)), one);
  expect_whole(reassembly.add(fragment(two, 800, two.size() - 800, More::No, 2)), two);
}

TEST(ReassemblyTest, TheLongestPacketIsTaken) {
  const Bytes data = datagram(65535 - 20 - 8);
  Reassembly reassembly;
  EXPECT_FALSE(reassembly.add(fragment(data, 0, 32768, More::Yes)));
  expect_whole(reassembly.add(fragment(data, 32768, data.size() - 32768, More::No)), data);
}

TEST(ReassemblyTest, OverlapsLoseThePacket) {
  const Bytes data = datagram(1600);
  for (const auto& [first, size] : {std::pair{0u, 800u}, {792u, 808u}, {0u, 8u}, {400u, 1200u}}) {
    Reassembly reassembly;
    EXPECT_FALSE(reassembly.add(fragment(data, 0, 800, More::Yes)));
    EXPECT_FALSE(reassembly.add(fragment(data, first, size, More::Yes)));
    EXPECT_FALSE(reassembly.add(fragment(data, 800, data.size() - 800, More::No)));
  }
}

TEST(ReassemblyTest, ThereIsNothingBehindTheLastFragment) {
  const Bytes data = datagram(1600);
  Reassembly reassembly;
  EXPECT_FALSE(reassembly.add(fragment(data, 800, 16, More::No)));
  EXPECT_FALSE(reassembly.add(fragment(data, 816, 16, More::Yes)));
  EXPECT_FALSE(reassembly.add(fragment(data, 0, 800, More::Yes)));
  EXPECT_FALSE(reassembly.add(fragment(data, 0, 800, More::Yes, 2)));
  EXPECT_FALSE(reassembly.add(fragment(data, 784, 8, More::No, 2)));
  EXPECT_FALSE(reassembly.add(fragment(data, 800, 16, More::No, 2)));
}

TEST(ReassemblyTest, WhatMakesNoSenseIsLost) {
  const Bytes data = datagram(1600);
  Reassembly reassembly;
  const Bytes right = fragment(data, 0, 800, More::Yes);
  for (std::size_t size = 0; size < 34; ++size)
    EXPECT_FALSE(reassembly.add(std::span(right).first(size)));
  EXPECT_FALSE(reassembly.add(std::span(right).first(700))) << "shorter than it says";
  for (const std::size_t at : {14u, 16u, 24u}) {
    Bytes wrong = right;
    wrong[at] ^= std::byte{0x0f};
    EXPECT_FALSE(reassembly.add(wrong)) << at;
  }
  EXPECT_FALSE(reassembly.add(fragment(data, 0, 801, More::Yes))) << "no multiple of 8";
  EXPECT_FALSE(reassembly.add(fragment(data, 800, 0, More::No))) << "nothing in it";
  EXPECT_FALSE(reassembly.add(right));
  expect_whole(reassembly.add(fragment(data, 800, data.size() - 800, More::No)), data);
}

TEST(ReassemblyTest, TheOldestOfTooManyIsLost) {
  const Bytes data = datagram(1600);
  Reassembly reassembly;
  for (unsigned number = 0; number <= Reassembly::kPackets; ++number)
    EXPECT_FALSE(reassembly.add(fragment(data, 0, 800, More::Yes, number)));
  const auto rest = [&](unsigned number) {
    return reassembly.add(fragment(data, 800, data.size() - 800, More::No, number));
  };
  expect_whole(rest(1), data);
  EXPECT_FALSE(rest(0));
}

}  // namespace
}  // namespace ringside::network
