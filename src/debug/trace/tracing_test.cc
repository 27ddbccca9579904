#include "debug/trace/tracing.h"

#include <gtest/gtest.h>

#include <rapidcheck.h>

namespace ringside::debug::trace {
namespace {

constexpr std::size_t kRegisters = 16;

// Memory up to 0x10000, whose bytes are the low ones of their addresses.
class FakeGuest final : public Guest {
 public:
  Result<std::uint64_t> read_register(unsigned number) override {
    if (number > 3) return fail(ErrorCode::BadRequest, "there is no such register");
    return value + number;
  }
  Result<void> read_memory(Gva address, std::span<std::byte> out) override {
    if (address.value >= 0x10000 || out.size() > 0x10000 - address.value)
      return fail(ErrorCode::BadAddress, "there is no memory");
    for (std::byte& byte : out)
      byte = static_cast<std::byte>(address.value++);
    return {};
  }
  Result<void> read_registers(std::span<std::byte> out) override {
    std::fill(out.begin(), out.end(), static_cast<std::byte>(value));
    return {};
  }
  void print(std::string_view) override {}
  std::uint64_t value = 1;
};

Bytecode code(std::initializer_list<unsigned> bytes) {
  Bytecode result;
  for (const unsigned byte : bytes)
    result.push_back(static_cast<std::byte>(byte));
  return result;
}

Action expression(Bytecode bytecode) {
  Action action;
  action.kind = Action::Kind::Expression;
  action.code = std::move(bytecode);
  return action;
}

class TracingTest : public ::testing::Test {
 protected:
  void define(std::uint64_t steps = 0, std::uint64_t pass = 0) {
    Tracepoint tracepoint;
    tracepoint.number = 1;
    tracepoint.address = {0x100};
    tracepoint.steps = steps;
    tracepoint.pass = pass;
    ASSERT_TRUE(tracing.define(tracepoint));
  }
  void collect(Action action, bool stepping = false) {
    ASSERT_TRUE(tracing.add_actions(1, {0x100}, stepping, {std::move(action)}));
  }
  void hit(unsigned vcpu = 0) { tracing.hit({vcpu}, {0x100}, guest, work); }
  FrameReader frame(std::uint64_t index) {
    return tracing.reader(*tracing.buffer().frame(tracing.buffer().oldest() + index));
  }

  Tracing tracing{kRegisters};
  FakeGuest guest;
  std::uint64_t work = 0;
};

// Each of the operations that trace, with the memory or the variable that it leaves in the frame.
TEST_F(TracingTest, OperationsThatCollect) {
  define();
  ASSERT_TRUE(tracing.define_variable({7, 5, false, "v", 0}));
  collect(expression(code({0x23, 0x10, 0x00, 0x22, 4, 0x0c, 0x27})));  // trace
  collect(expression(code({0x23, 0x20, 0x00, 0x0d, 2, 0x27})));        // trace_quick
  collect(expression(code({0x23, 0x30, 0x00, 0x30, 1, 0, 0x27})));     // trace16
  collect(expression(code({0x23, 0x40, 0xfe, 0x22, 9, 0x2f, 0x27})));  // tracenz: up to the zero
  collect(expression(code({0x2c, 0, 7, 0x22, 1, 0x02, 0x2d, 0, 7, 0x2e, 0, 7, 0x27})));
  ASSERT_TRUE(tracing.start());
  hit();
  EXPECT_EQ(frame(0).read({0x1000}, 99).size(), 4u);
  EXPECT_EQ(frame(0).read({0x2000}, 99).size(), 2u);
  EXPECT_EQ(frame(0).read({0x3000}, 9999).size(), 0x100u);
  EXPECT_EQ(frame(0).read({0x40fe}, 99).size(), 3u);
  EXPECT_EQ(frame(0).variable(7), 6);
  hit();
  EXPECT_EQ(frame(1).variable(7), 7);
  EXPECT_EQ(frame(0).variable(7), 6);
  EXPECT_TRUE(frame(0).registers().empty());
}

TEST_F(TracingTest, VariablesBeginAnewWithEachTrace) {
  define();
  ASSERT_TRUE(tracing.define_variable({7, 5, false, "v", 0}));
  collect(expression(code({0x22, 1, 0x2d, 0, 7, 0x27})));
  ASSERT_TRUE(tracing.start());
  hit();
  EXPECT_EQ(*tracing.read_variable(7), 1);
  tracing.stop();
  ASSERT_TRUE(tracing.start());
  EXPECT_EQ(*tracing.read_variable(7), 5);
  EXPECT_EQ(tracing.find(1, {0x100})->hits, 0u);
}

TEST_F(TracingTest, AMemoryActionMayBeginAtARegister) {
  define();
  Action action;
  action.kind = Action::Kind::Memory;
  action.base = 2;
  action.offset = ~std::uint64_t{0};  // -1
  action.length = 3;
  collect(action);
  ASSERT_TRUE(tracing.start());
  guest.value = 0x500;
  hit();
  EXPECT_EQ(frame(0).memory().at(0).address, Gva{0x501});
}

// A loop that would collect without end.
TEST_F(TracingTest, AFrameHasABound) {
  define();
  collect(expression(code({0x23, 0x10, 0x00, 0x30, 0xe0, 0x00, 0x29, 0x21, 0, 0})));
  ASSERT_TRUE(tracing.start());
  hit();
  EXPECT_FALSE(tracing.running());
  EXPECT_EQ(tracing.status().why, Tracing::Status::Why::Error);
  EXPECT_NE(tracing.status().text.find("1 MiB"), std::string::npos);
  EXPECT_EQ(tracing.buffer().count(), 0u);
}

// 2^64 bytes, of which none, or the first few blocks, can be read.
TEST_F(TracingTest, AHugeLengthIsNotReadForEver) {
  define();
  Action action;
  action.kind = Action::Kind::Memory;
  action.length = ~std::uint64_t{0};
  collect(action);
  ASSERT_TRUE(tracing.start());
  hit();
  EXPECT_TRUE(tracing.running());
  EXPECT_EQ(frame(0).read({0}, 0x20000).size(), kLongestBlock);
}

TEST_F(TracingTest, StepsBelongToTheVcpuThatHit) {
  define(2, 1);
  collect({}, true);
  ASSERT_TRUE(tracing.start());
  hit(1);
  EXPECT_FALSE(tracing.steps({0}));
  EXPECT_TRUE(tracing.steps({1}));
  tracing.stepped({0}, guest, work);
  EXPECT_EQ(tracing.buffer().count(), 1u);
  tracing.stepped({1}, guest, work);
  EXPECT_TRUE(tracing.steps({1}));
  EXPECT_TRUE(tracing.running());
  tracing.stepped({1}, guest, work);
  EXPECT_FALSE(tracing.steps({1}));
  // The pass count ends it after the last step.
  EXPECT_EQ(tracing.status().why, Tracing::Status::Why::PassCount);
  EXPECT_EQ(tracing.buffer().count(), 3u);
  EXPECT_TRUE(frame(0).registers().empty());
  EXPECT_EQ(frame(2).registers().size(), kRegisters);
}

TEST_F(TracingTest, NothingIsDefinedWhileItRuns) {
  define();
  ASSERT_TRUE(tracing.start());
  EXPECT_FALSE(tracing.start());
  EXPECT_FALSE(tracing.define({}));
  EXPECT_FALSE(tracing.add_actions(1, {0x100}, false, {{}}));
  EXPECT_FALSE(tracing.define_variable({}));
  EXPECT_FALSE(tracing.set_size(100));
  EXPECT_TRUE(tracing.enable(1, {0x100}, false));
  hit();
  EXPECT_EQ(tracing.buffer().count(), 0u);
}

// Expressions of any bytes: no crash, and no more memory than the bounds allow.
TEST(AnyTracing, AnyBytesAreAnExpression) {
  rc::check([](const std::vector<std::uint8_t>& bytes) {
    Tracing any(kRegisters);
    FakeGuest guest;
    Tracepoint tracepoint;
    tracepoint.number = 1;
    RC_ASSERT(any.define(tracepoint).has_value());
    Bytecode bytecode;
    for (const std::uint8_t byte : bytes)
      bytecode.push_back(static_cast<std::byte>(byte % 0x36));
    RC_ASSERT(any.add_actions(1, {}, false, {expression(bytecode)}).has_value());
    RC_ASSERT(any.set_size(1000).has_value());
    RC_ASSERT(any.start().has_value());
    std::uint64_t work = 0;
    for (int i = 0; i < 3; ++i)
      any.hit({0}, {}, guest, work);
    RC_ASSERT(any.buffer().used() <= 1000u);
  });
}

}  // namespace
}  // namespace ringside::debug::trace
