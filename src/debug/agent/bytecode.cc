#include "debug/agent/bytecode.h"

#include <array>
#include <cstring>

#include "debug/agent/agent_printf.h"

namespace ringside::debug {
namespace {

enum Op : std::uint8_t {
  kAdd = 0x02,
  kSub = 0x03,
  kMul = 0x04,
  kDivSigned = 0x05,
  kDivUnsigned = 0x06,
  kRemSigned = 0x07,
  kRemUnsigned = 0x08,
  kLsh = 0x09,
  kRshSigned = 0x0a,
  kRshUnsigned = 0x0b,
  kTrace = 0x0c,
  kTraceQuick = 0x0d,
  kLogNot = 0x0e,
  kBitAnd = 0x0f,
  kBitOr = 0x10,
  kBitXor = 0x11,
  kBitNot = 0x12,
  kEqual = 0x13,
  kLessSigned = 0x14,
  kLessUnsigned = 0x15,
  kExt = 0x16,
  kRef8 = 0x17,
  kRef16 = 0x18,
  kRef32 = 0x19,
  kRef64 = 0x1a,
  kIfGoto = 0x20,
  kGoto = 0x21,
  kConst8 = 0x22,
  kConst16 = 0x23,
  kConst32 = 0x24,
  kConst64 = 0x25,
  kReg = 0x26,
  kEnd = 0x27,
  kDup = 0x28,
  kPop = 0x29,
  kZeroExt = 0x2a,
  kSwap = 0x2b,
  kGetv = 0x2c,
  kSetv = 0x2d,
  kTracev = 0x2e,
  kTracenz = 0x2f,
  kTrace16 = 0x30,
  kPick = 0x32,
  kRot = 0x33,
  kPrintf = 0x34,
};

tl::unexpected<Error> bad(const char* what) { return fail(ErrorCode::BadRequest, what); }

std::int64_t as_signed(std::uint64_t value) { return static_cast<std::int64_t>(value); }

// Its users check the bounds. Nothing is initialised: an expression uses a few of its entries, and
// is evaluated a million times a second.
class Stack {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void push(std::uint64_t value) { entries_[size_++] = value; }
  std::uint64_t pop() { return entries_[--size_]; }
  std::uint64_t& top() { return entries_[size_ - 1]; }
  std::uint64_t& from_top(std::size_t depth) { return entries_[size_ - 1 - depth]; }

 private:
  std::size_t size_ = 0;
  std::uint64_t entries_[kAgentStack];
};

class Machine {
 public:
  Machine(std::span<const std::byte> code, AgentContext& context, const AgentLimits& limits)
      : code_(code), context_(context), limits_(limits) {}

  unsigned steps() const { return steps_; }
  Result<std::uint64_t> run() {
    while (steps_ < limits_.steps) {
      ++steps_;
      if (pc_ >= code_.size()) return bad("an expression runs past its end");
      const auto op = std::to_integer<std::uint8_t>(code_[pc_++]);
      if (op == kEnd) return stack_.empty() ? 0 : stack_.top();
      TRY(execute(op));
    }
    return bad("an expression does not end");
  }

 private:
  Result<void> push(std::uint64_t value) {
    if (stack_.size() == kAgentStack) return bad("an expression's stack is full");
    stack_.push(value);
    return {};
  }
  Result<std::uint64_t> pop() {
    if (stack_.empty()) return bad("an expression's stack is empty");
    return stack_.pop();
  }
  // A big-endian operand in the code.
  Result<std::uint64_t> operand(unsigned size) {
    if (code_.size() - pc_ < size) return bad("an expression ends in an operand");
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i)
      value = value << 8 | std::to_integer<std::uint8_t>(code_[pc_++]);
    return value;
  }
  template <typename Function>
  Result<void> binary(Function function) {
    const std::uint64_t b = TRY(pop());
    const std::uint64_t a = TRY(pop());
    return push(function(a, b));
  }
  Result<void> divide(std::uint8_t op) {
    const std::uint64_t b = TRY(pop());
    const std::uint64_t a = TRY(pop());
    if (b == 0) return bad("an expression divides by zero");
    // The one signed quotient that does not fit: negation without the trap.
    const bool overflow = b == ~std::uint64_t{0};
    switch (op) {
      case kDivSigned:
        return push(overflow ? -a : static_cast<std::uint64_t>(as_signed(a) / as_signed(b)));
      case kRemSigned:
        return push(overflow ? 0 : static_cast<std::uint64_t>(as_signed(a) % as_signed(b)));
      case kDivUnsigned:
        return push(a / b);
      default:
        return push(a % b);
    }
  }
  Result<void> reference(unsigned size) {
    const std::uint64_t address = TRY(pop());
    std::array<std::byte, 8> bytes{};
    TRY(context_.read_memory({address}, std::span(bytes).first(size)));
    std::uint64_t value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return push(value);
  }
  Result<void> extend(std::uint8_t op) {
    const std::uint64_t bits = TRY(operand(1));
    const std::uint64_t value = TRY(pop());
    if (bits == 0 || bits >= 64) return push(value);
    const auto shift = static_cast<unsigned>(64 - bits);
    if (op == kZeroExt) return push(value << shift >> shift);
    return push(static_cast<std::uint64_t>(as_signed(value << shift) >> shift));
  }
  Result<void> jump(bool conditional) {
    const std::uint64_t target = TRY(operand(2));
    if (conditional) {
      const std::uint64_t value = TRY(pop());
      if (value == 0) return {};
    }
    if (target >= code_.size()) return bad("an expression jumps out of itself");
    pc_ = target;
    return {};
  }
  Result<void> print() {
    const std::uint64_t count = TRY(operand(1));
    const std::uint64_t length = TRY(operand(2));
    if (length == 0 || code_.size() - pc_ < length) return bad("a printf has no format");
    const auto* text = reinterpret_cast<const char*>(code_.data() + pc_);
    pc_ += length;
    if (text[length - 1] != '\0') return bad("a printf's format does not end");
    TRY(pop());  // function
    TRY(pop());  // channel
    std::vector<std::uint64_t> arguments;
    for (std::uint64_t i = 0; i < count; ++i)
      arguments.push_back(TRY(pop()));
    const std::string out =
        TRY(agent_printf({text, length - 1}, arguments, context_, limits_.text));
    context_.print(out);
    return {};
  }
  // Memory up to and including the first zero byte.
  Result<void> collect_string() {
    const std::uint64_t size = TRY(pop());
    const std::uint64_t address = TRY(pop());
    std::uint64_t length = 0;
    while (length < size) {
      std::array<std::byte, 1> byte;
      TRY(context_.read_memory({address + length}, byte));
      ++length;
      if (byte[0] == std::byte{0}) break;
      if (length > limits_.text) return bad("a collected string does not end");
    }
    return context_.collect_memory({address}, length);
  }

  Result<void> execute(std::uint8_t op) {
    switch (op) {
      case kAdd:
        return binary([](auto a, auto b) { return a + b; });
      case kSub:
        return binary([](auto a, auto b) { return a - b; });
      case kMul:
        return binary([](auto a, auto b) { return a * b; });
      case kDivSigned:
      case kDivUnsigned:
      case kRemSigned:
      case kRemUnsigned:
        return divide(op);
      case kLsh:
        return binary([](auto a, auto b) { return b < 64 ? a << b : 0; });
      case kRshUnsigned:
        return binary([](auto a, auto b) { return b < 64 ? a >> b : 0; });
      case kRshSigned:
        return binary([](auto a, auto b) {
          return static_cast<std::uint64_t>(as_signed(a) >> (b < 64 ? b : 63));
        });
      case kLogNot:
        return push(TRY(pop()) == 0);
      case kBitAnd:
        return binary([](auto a, auto b) { return a & b; });
      case kBitOr:
        return binary([](auto a, auto b) { return a | b; });
      case kBitXor:
        return binary([](auto a, auto b) { return a ^ b; });
      case kBitNot:
        return push(~TRY(pop()));
      case kEqual:
        return binary([](auto a, auto b) -> std::uint64_t { return a == b; });
      case kLessSigned:
        return binary([](auto a, auto b) -> std::uint64_t { return as_signed(a) < as_signed(b); });
      case kLessUnsigned:
        return binary([](auto a, auto b) -> std::uint64_t { return a < b; });
      case kExt:
      case kZeroExt:
        return extend(op);
      case kRef8:
        return reference(1);
      case kRef16:
        return reference(2);
      case kRef32:
        return reference(4);
      case kRef64:
        return reference(8);
      case kIfGoto:
        return jump(true);
      case kGoto:
        return jump(false);
      case kConst8:
        return push(TRY(operand(1)));
      case kConst16:
        return push(TRY(operand(2)));
      case kConst32:
        return push(TRY(operand(4)));
      case kConst64:
        return push(TRY(operand(8)));
      case kReg: {
        const std::uint64_t number = TRY(operand(2));
        return push(TRY(context_.read_register(static_cast<unsigned>(number))));
      }
      case kDup:
        return stack_.empty() ? bad("an expression's stack is empty") : push(stack_.top());
      case kPop:
        TRY(pop());
        return {};
      case kSwap:
        if (stack_.size() < 2) return bad("an expression's stack is empty");
        std::swap(stack_.from_top(0), stack_.from_top(1));
        return {};
      case kPick: {
        const std::uint64_t depth = TRY(operand(1));
        if (depth >= stack_.size()) return bad("an expression picks below its stack");
        return push(stack_.from_top(depth));
      }
      case kRot: {
        if (stack_.size() < 3) return bad("an expression's stack is empty");
        const std::uint64_t c = stack_.from_top(0);  // a b c becomes c a b
        stack_.from_top(0) = stack_.from_top(1);
        stack_.from_top(1) = stack_.from_top(2);
        stack_.from_top(2) = c;
        return {};
      }
      case kGetv: {
        const std::uint64_t number = TRY(operand(2));
        return push(
            static_cast<std::uint64_t>(TRY(context_.read_variable(static_cast<unsigned>(number)))));
      }
      case kSetv: {
        const std::uint64_t number = TRY(operand(2));
        if (stack_.empty()) return bad("an expression's stack is empty");
        return context_.write_variable(static_cast<unsigned>(number), as_signed(stack_.top()));
      }
      case kTracev:
        return context_.collect_variable(static_cast<unsigned>(TRY(operand(2))));
      case kTrace: {
        const std::uint64_t size = TRY(pop());
        const std::uint64_t address = TRY(pop());
        return context_.collect_memory({address}, size);
      }
      case kTraceQuick:
      case kTrace16: {
        const std::uint64_t size = TRY(operand(op == kTraceQuick ? 1 : 2));
        if (stack_.empty()) return bad("an expression's stack is empty");
        return context_.collect_memory({stack_.top()}, size);
      }
      case kTracenz:
        return collect_string();
      case kPrintf:
        return print();
      default:
        return bad("an expression has an operation that does not exist");
    }
  }

  std::span<const std::byte> code_;
  AgentContext& context_;
  const AgentLimits& limits_;
  std::size_t pc_ = 0;
  unsigned steps_ = 0;
  Stack stack_;
};

}  // namespace

Result<std::uint64_t> evaluate(std::span<const std::byte> code, AgentContext& context,
                               const AgentLimits& limits, std::uint64_t* steps) {
  Machine machine(code, context, limits);
  Result<std::uint64_t> value = machine.run();
  if (steps != nullptr) *steps += machine.steps();
  return value;
}

}  // namespace ringside::debug
