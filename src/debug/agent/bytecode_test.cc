#include "debug/agent/bytecode.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <map>

namespace ringside::debug {
namespace {

class FakeContext final : public AgentContext {
 public:
  Result<std::uint64_t> read_register(unsigned number) override {
    if (number > 99) return fail(ErrorCode::NotFound, "no such register");
    return 1000 + number;
  }
  Result<void> read_memory(Gva address, std::span<std::byte> out) override {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::uint64_t at = address.value + i;
      if (at < 0x1000 || at - 0x1000 >= memory.size())
        return fail(ErrorCode::BadAddress, "unmapped");
      out[i] = static_cast<std::byte>(memory[at - 0x1000]);
    }
    return {};
  }
  void print(std::string_view text) override { printed += text; }
  Result<std::int64_t> read_variable(unsigned number) override { return variables[number]; }
  Result<void> write_variable(unsigned number, std::int64_t value) override {
    variables[number] = value;
    return {};
  }
  Result<void> collect_memory(Gva address, std::uint64_t size) override {
    collected.emplace_back(address.value, size);
    return {};
  }
  Result<void> collect_variable(unsigned) override { return {}; }

  std::string memory = std::string("\x11\x22\x33\x44\x55\x66\x77\x88hello\0", 14);
  std::string printed;
  std::map<unsigned, std::int64_t> variables;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> collected;
};

Bytecode bytes(std::initializer_list<int> values) {
  Bytecode code;
  for (const int value : values)
    code.push_back(static_cast<std::byte>(value));
  return code;
}

std::optional<std::int64_t> value_of(std::initializer_list<int> code) {
  FakeContext context;
  const auto result = evaluate(bytes(code), context);
  if (!result) return std::nullopt;
  return static_cast<std::int64_t>(*result);
}

TEST(Bytecode, ComputesEveryOperation) {
  EXPECT_EQ(value_of({0x27}), 0);
  EXPECT_EQ(value_of({0x22, 7, 0x22, 5, 0x02, 0x27}), 12);
  EXPECT_EQ(value_of({0x22, 7, 0x22, 5, 0x03, 0x27}), 2);
  EXPECT_EQ(value_of({0x22, 7, 0x22, 5, 0x04, 0x27}), 35);
  EXPECT_EQ(value_of({0x22, 0xf9, 0x16, 8, 0x22, 2, 0x05, 0x27}), -3);
  EXPECT_EQ(value_of({0x22, 7, 0x22, 2, 0x06, 0x27}), 3);
  EXPECT_EQ(value_of({0x22, 0xf9, 0x16, 8, 0x22, 2, 0x07, 0x27}), -1);
  EXPECT_EQ(value_of({0x22, 7, 0x22, 4, 0x08, 0x27}), 3);
  EXPECT_EQ(value_of({0x22, 1, 0x22, 4, 0x09, 0x27}), 16);
  EXPECT_EQ(value_of({0x22, 1, 0x22, 64, 0x09, 0x27}), 0);
  EXPECT_EQ(value_of({0x22, 0xf0, 0x16, 8, 0x22, 2, 0x0a, 0x27}), -4);
  EXPECT_EQ(value_of({0x22, 0xf0, 0x22, 2, 0x0b, 0x27}), 60);
  EXPECT_EQ(value_of({0x22, 0, 0x0e, 0x27}), 1);
  EXPECT_EQ(value_of({0x22, 6, 0x22, 3, 0x0f, 0x27}), 2);
  EXPECT_EQ(value_of({0x22, 6, 0x22, 3, 0x10, 0x27}), 7);
  EXPECT_EQ(value_of({0x22, 6, 0x22, 3, 0x11, 0x27}), 5);
  EXPECT_EQ(value_of({0x22, 0, 0x12, 0x27}), -1);
  EXPECT_EQ(value_of({0x22, 3, 0x22, 3, 0x13, 0x27}), 1);
  EXPECT_EQ(value_of({0x22, 0xff, 0x16, 8, 0x22, 1, 0x14, 0x27}), 1);
  EXPECT_EQ(value_of({0x22, 0xff, 0x16, 8, 0x22, 1, 0x15, 0x27}), 0);
  EXPECT_EQ(value_of({0x24, 0x12, 0x34, 0x56, 0x78, 0x2a, 16, 0x27}), 0x5678);
  EXPECT_EQ(value_of({0x23, 0x10, 0x00, 0x17, 0x27}), 0x11);
  EXPECT_EQ(value_of({0x23, 0x10, 0x00, 0x18, 0x27}), 0x2211);
  EXPECT_EQ(value_of({0x23, 0x10, 0x00, 0x19, 0x27}), 0x44332211);
  EXPECT_EQ(value_of({0x23, 0x10, 0x00, 0x1a, 0x27}),
            static_cast<std::int64_t>(0x8877665544332211));
  EXPECT_EQ(value_of({0x26, 0, 16, 0x27}), 1016);
  EXPECT_EQ(value_of({0x22, 5, 0x28, 0x02, 0x27}), 10);
  EXPECT_EQ(value_of({0x22, 5, 0x22, 6, 0x29, 0x27}), 5);
  EXPECT_EQ(value_of({0x22, 5, 0x22, 6, 0x2b, 0x03, 0x27}), 1);
  EXPECT_EQ(value_of({0x22, 5, 0x22, 6, 0x32, 1, 0x27}), 5);
  // a b c -> c a b, so that c - (a - b) shows the order.
  EXPECT_EQ(value_of({0x22, 1, 0x22, 2, 0x22, 9, 0x33, 0x03, 0x03, 0x27}), 10);
  // if_goto over a constant
  EXPECT_EQ(value_of({0x22, 1, 0x20, 0, 8, 0x22, 3, 0x27, 0x22, 4, 0x27}), 4);
  EXPECT_EQ(value_of({0x22, 0, 0x20, 0, 8, 0x22, 3, 0x27, 0x22, 4, 0x27}), 3);
}

TEST(Bytecode, RefusesWhatCannotBe) {
  EXPECT_EQ(value_of({}), std::nullopt);
  EXPECT_EQ(value_of({0x02, 0x27}), std::nullopt);                    // empty stack
  EXPECT_EQ(value_of({0x22}), std::nullopt);                          // no operand
  EXPECT_EQ(value_of({0x22, 1, 0x22, 0, 0x05, 0x27}), std::nullopt);  // division by zero
  EXPECT_EQ(value_of({0x21, 0, 0}), std::nullopt);                    // a loop without end
  EXPECT_EQ(value_of({0x21, 0xff, 0xff}), std::nullopt);              // a jump outside
  EXPECT_EQ(value_of({0x22, 1, 0x21, 0, 0}), std::nullopt);           // a stack without end
  EXPECT_EQ(value_of({0x22, 1, 0x17, 0x27}), std::nullopt);           // unmapped memory
  EXPECT_EQ(value_of({0x26, 0xff, 0xff, 0x27}), std::nullopt);        // no such register
  EXPECT_EQ(value_of({0x1b, 0x27}), std::nullopt);                    // floating point
  EXPECT_EQ(value_of({0xff}), std::nullopt);
  EXPECT_EQ(value_of({0x32, 3, 0x27}), std::nullopt);
  EXPECT_EQ(value_of({0x33, 0x27}), std::nullopt);
  FakeContext context;
  Bytecode large(64 << 10, std::byte{0x28});
  large[0] = std::byte{0x22};
  EXPECT_FALSE(evaluate(large, context));
  // The quotient that does not fit in 64 bits does not trap.
  EXPECT_TRUE(value_of({0x25, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xff, 0x16, 8, 0x05, 0x27}));
}

TEST(Bytecode, PrintsLikeC) {
  FakeContext context;
  const std::string format = "x=%d %#lx %s|%5s|%-3d|%c%%\\n";
  Bytecode code;
  const auto constant = [&](int value) {
    for (const int b : {0x23, value >> 8, value & 0xff})
      code.push_back(static_cast<std::byte>(b));
  };
  for (const int value : {int{'!'}, 7, 0x1008, 0x1008, 255, 42})
    constant(value);  // last argument first
  constant(0);        // channel
  constant(0);        // function
  for (const int b : {0x34, 6, 0, static_cast<int>(format.size() + 1)}) {
    code.push_back(static_cast<std::byte>(b));
  }
  for (const char c : format)
    code.push_back(static_cast<std::byte>(c));
  code.push_back(std::byte{0});
  code.push_back(std::byte{0x27});
  const auto result = evaluate(code, context);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(context.printed, "x=42 0xff hello|hello|7  |!%\n");
}

TEST(Bytecode, KeepsVariablesAndCollects) {
  FakeContext context;
  EXPECT_TRUE(evaluate(bytes({0x22, 9, 0x2d, 0, 1, 0x29, 0x2c, 0, 1, 0x27}), context));
  EXPECT_EQ(context.variables[1], 9);
  EXPECT_TRUE(evaluate(bytes({0x23, 0x10, 0x08, 0x22, 20, 0x2f, 0x27}), context));
  EXPECT_TRUE(evaluate(bytes({0x23, 0x10, 0x00, 0x0d, 8, 0x27}), context));
  ASSERT_EQ(context.collected.size(), 2u);
  EXPECT_EQ(context.collected[0], (std::pair<std::uint64_t, std::uint64_t>(0x1008, 6)));
  EXPECT_EQ(context.collected[1], (std::pair<std::uint64_t, std::uint64_t>(0x1000, 8)));
}

RC_GTEST_PROP(Bytecode, AnyBytesEndAndHurtNothing, (std::vector<std::uint8_t> raw)) {
  FakeContext context;
  Bytecode code;
  for (const std::uint8_t value : raw)
    code.push_back(static_cast<std::byte>(value % 0x36));
  (void)evaluate(code, context, {1000, 256});
}

}  // namespace
}  // namespace ringside::debug
