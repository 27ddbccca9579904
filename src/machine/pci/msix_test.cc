#include "machine/pci/msix.h"

#include <gtest/gtest.h>

#include "machine/testing/fake_messages.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

using Gate = Msix::Gate;
using Sent = std::vector<std::pair<std::uint64_t, std::uint32_t>>;

struct MsixTest : ::testing::Test {
  testing::FakeMessages messages;
  Msix msix{messages, 3};

  void write(std::uint64_t offset, unsigned width, std::uint64_t value, Gate gate = Gate::Open) {
    msix.write({{}, offset, width}, value, gate);
  }
  std::uint64_t peek(std::uint64_t offset, unsigned width) const {
    return msix.peek({{}, offset, width});
  }
  void program(unsigned vector, std::uint32_t data) {
    write(16 * vector, 8, 0xfee01000);
    write(16 * vector + 8, 4, data);
    write(16 * vector + 12, 4, 0);
  }
};

TEST_F(MsixTest, StartsMasked) {
  for (unsigned vector = 0; vector < 3; ++vector)
    EXPECT_EQ(peek(16 * vector + 12, 4), 1u);
  EXPECT_EQ(peek(16 * 3 + 12, 4), 0u);
}

TEST_F(MsixTest, SendsWhatTheTableSays) {
  program(1, 0x31);
  EXPECT_EQ(peek(16, 4), 0xfee01000u);
  EXPECT_EQ(peek(16, 8), 0xfee01000u);
  EXPECT_EQ(peek(24, 8), 0x31u);
  msix.trigger(1, Gate::Open);
  EXPECT_EQ(messages.sent, (Sent{{0xfee01000, 0x31}}));
  EXPECT_EQ(peek(Msix::kPendingOffset, 8), 0u);
  msix.trigger(3, Gate::Open);  // there is no such vector
  msix.trigger(0xffff, Gate::Open);
  EXPECT_EQ(messages.sent.size(), 1u);
}

TEST_F(MsixTest, AMaskedVectorWaits) {
  program(2, 0x32);
  write(16 * 2 + 12, 4, ~0u);
  EXPECT_EQ(peek(16 * 2 + 12, 4), 1u);
  msix.trigger(2, Gate::Open);
  msix.trigger(2, Gate::Open);
  EXPECT_TRUE(messages.sent.empty());
  EXPECT_EQ(peek(Msix::kPendingOffset, 8), 4u);
  write(16 * 2 + 12, 4, 0);
  EXPECT_EQ(messages.sent, (Sent{{0xfee01000, 0x32}}));
}

TEST_F(MsixTest, AShutGateHoldsAllBack) {
  program(0, 0x30);
  program(1, 0x31);
  msix.trigger(0, Gate::Shut);
  msix.trigger(1, Gate::Shut);
  write(8, 4, 0x40, Gate::Shut);
  EXPECT_TRUE(messages.sent.empty());
  msix.open();
  EXPECT_EQ(messages.sent, (Sent{{0xfee01000, 0x40}, {0xfee01000, 0x31}}));
  msix.open();
  EXPECT_EQ(messages.sent.size(), 2u);
}

TEST_F(MsixTest, OddAccessesHaveNoEffect) {
  const std::vector<std::byte> before = testing::save(msix);
  write(0, 1, 0xff);
  write(0, 2, 0xffff);
  write(2, 4, ~0u);
  write(4, 8, ~0u);
  write(48, 4, ~0u);
  write(Msix::kPendingOffset, 8, ~std::uint64_t{0});
  write(Msix::kSize - 4, 4, ~0u);
  EXPECT_EQ(testing::save(msix), before);
  EXPECT_EQ(peek(2, 4), 0u);
}

TEST_F(MsixTest, StateMoves) {
  program(1, 0x31);
  msix.trigger(1, Gate::Shut);
  Msix other(messages, 3);
  std::vector<std::byte> saved = testing::save(msix);
  EXPECT_TRUE(testing::load(other, saved));
  EXPECT_EQ(testing::save(other), saved);
  saved[saved.size() - 8] |= std::byte{8};  // a vector that is none waits
  EXPECT_FALSE(testing::load(other, saved));
}

}  // namespace
}  // namespace ringside::machine
