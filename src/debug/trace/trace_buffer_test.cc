#include "debug/trace/trace_buffer.h"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include <cstring>
#include <deque>

#include "debug/trace/trace_frame.h"

namespace ringside::debug::trace {
namespace {

using WhenFull = TraceBuffer::WhenFull;

std::vector<std::byte> filled(std::size_t size, unsigned value) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

TEST(TraceBuffer, RefusesWhatDoesNotFit) {
  TraceBuffer buffer(3 * (kFrameHeader + 10));
  for (unsigned i = 0; i < 3; ++i)
    EXPECT_TRUE(buffer.add(1, filled(10, i), WhenFull::Refuse));
  EXPECT_FALSE(buffer.add(1, filled(0, 0), WhenFull::Refuse));
  EXPECT_EQ(buffer.count(), 3u);
  EXPECT_EQ(buffer.used(), buffer.capacity());
  EXPECT_EQ(buffer.frame(2)->blocks[0], std::byte{2});
}

TEST(TraceBuffer, DropsTheOldestWhereItMay) {
  TraceBuffer buffer(3 * (kFrameHeader + 10));
  for (unsigned i = 0; i < 8; ++i)
    EXPECT_TRUE(buffer.add(1, filled(10, i), WhenFull::DropOldest));
  EXPECT_EQ(buffer.count(), 3u);
  EXPECT_EQ(buffer.created(), 8u);
  EXPECT_FALSE(buffer.frame(4));
  EXPECT_EQ(buffer.frame(5)->blocks[0], std::byte{5});
  EXPECT_EQ(buffer.frame(7)->blocks[0], std::byte{7});
  EXPECT_FALSE(buffer.frame(8));
}

TEST(TraceBuffer, AFrameThatIsLongerThanAllOfItDropsNothing) {
  TraceBuffer buffer(100);
  EXPECT_TRUE(buffer.add(1, filled(10, 1), WhenFull::DropOldest));
  EXPECT_FALSE(buffer.add(1, filled(100, 2), WhenFull::DropOldest));
  EXPECT_EQ(buffer.count(), 1u);
}

TEST(TraceBuffer, AnEmptiedOneHasNoneOfTheOldNumbers) {
  TraceBuffer buffer(100);
  EXPECT_TRUE(buffer.add(1, {}, WhenFull::Refuse));
  buffer.clear();
  EXPECT_EQ(buffer.created(), 0u);
  EXPECT_TRUE(buffer.add(2, {}, WhenFull::Refuse));
  EXPECT_FALSE(buffer.frame(0));
  EXPECT_EQ(buffer.frame(1)->tracepoint, 2u);
}

// Against a list of frames from which the oldest are taken: the ring has a suffix of that list, no
// byte more than its capacity, and what is read from it is those frames one after another.
TEST(TraceBuffer, IsASuffixOfWhatWasRecorded) {
  rc::check([](const std::vector<std::pair<std::uint8_t, bool>>& frames) {
    const auto capacity = *rc::gen::inRange<std::size_t>(1, 600);
    TraceBuffer buffer(capacity);
    std::deque<std::vector<std::byte>> all;
    std::uint16_t number = 0;
    for (const auto& [size, drop] : frames) {
      ++number;
      const auto blocks = filled(size, number);
      const bool added = buffer.add(number, blocks, drop ? WhenFull::DropOldest : WhenFull::Refuse);
      if (drop) RC_ASSERT(added == (kFrameHeader + size <= capacity));
      if (!added) continue;
      std::vector<std::byte> bytes(kFrameHeader);
      const auto length = static_cast<std::uint32_t>(size);
      std::memcpy(bytes.data(), &number, 2);
      std::memcpy(bytes.data() + 2, &length, 4);
      bytes.insert(bytes.end(), blocks.begin(), blocks.end());
      all.push_back(std::move(bytes));
      RC_ASSERT(buffer.count() >= 1u);
      RC_ASSERT(buffer.count() <= all.size());
      RC_ASSERT(buffer.used() <= capacity);
      std::vector<std::byte> expected;
      for (std::size_t i = all.size() - buffer.count(); i < all.size(); ++i) {
        const auto frame = buffer.frame(i);
        RC_ASSERT(frame.has_value());
        RC_ASSERT(std::equal(frame->blocks.begin(), frame->blocks.end(),
                             all[i].begin() + kFrameHeader, all[i].end()));
        expected.insert(expected.end(), all[i].begin(), all[i].end());
      }
      RC_ASSERT(buffer.created() == all.size());
      RC_ASSERT(buffer.used() == expected.size());
      RC_ASSERT(buffer.read(0, ~std::uint64_t{0}) == expected);
      const auto offset = *rc::gen::inRange<std::size_t>(0, expected.size() + 2);
      const auto piece = buffer.read(offset, 7);
      const auto from = std::min(offset, expected.size());
      RC_ASSERT(piece.size() == std::min<std::size_t>(7, expected.size() - from));
      RC_ASSERT(std::equal(piece.begin(), piece.end(),
                           expected.begin() + static_cast<std::ptrdiff_t>(from)));
    }
  });
}

TEST(TraceFrame, IsReadAsItWasWritten) {
  FrameWriter writer;
  writer.begin();
  const auto registers = writer.registers(4);
  std::fill(registers.begin(), registers.end(), std::byte{7});
  auto memory = writer.memory({0x1000}, 4);
  std::fill(memory.begin(), memory.end(), std::byte{1});
  writer.memory({0x5000}, 9);
  writer.drop_memory();
  memory = writer.memory({0x1004}, 2);
  std::fill(memory.begin(), memory.end(), std::byte{2});
  writer.variable(3, -5);
  const FrameReader reader(writer.blocks(), 4);
  EXPECT_EQ(reader.registers().size(), 4u);
  EXPECT_EQ(reader.registers()[3], std::byte{7});
  EXPECT_EQ(reader.memory().size(), 2u);
  EXPECT_EQ(reader.read({0x1002}, 100),
            (std::vector{std::byte{1}, std::byte{1}, std::byte{2}, std::byte{2}}));
  EXPECT_TRUE(reader.read({0x1006}, 1).empty());
  EXPECT_TRUE(reader.read({0xfff}, 1).empty());
  EXPECT_EQ(reader.variable(3), -5);
  EXPECT_FALSE(reader.variable(4));
  EXPECT_NE(reader.describe().find("<memory start=\"0x1004\" length=\"0x2\"/>\n<tvar id=\"0x3\"/>"),
            std::string::npos);
}

// Bytes of any kind: the sanitizers see the rest.
TEST(TraceFrame, IsReadWithinItsBounds) {
  rc::check([](const std::vector<std::uint8_t>& bytes, bool plausible) {
    std::vector<std::byte> blocks;
    for (const std::uint8_t byte : bytes)
      blocks.push_back(
          static_cast<std::byte>(plausible && byte % 3 == 0 ? "RMV"[byte / 3 % 3] : byte));
    const FrameReader reader(blocks, 3);
    (void)reader.describe();
    for (const MemoryBlock& block : reader.memory())
      RC_ASSERT(block.bytes.size() <= blocks.size());
  });
}

}  // namespace
}  // namespace ringside::debug::trace
