// Arbitrary bytes as an agent expression, against memory of which every other page is there. It
// must end within its limits, and print no more than they allow.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "debug/agent/bytecode.h"

namespace {

using namespace ringside;

constexpr debug::AgentLimits kLimits{20'000, 512};

class Context final : public debug::AgentContext {
 public:
  Result<std::uint64_t> read_register(unsigned number) override {
    if (number > 100) return fail(ErrorCode::BadRequest, "no such register");
    return number * 0x0101010101010101u;
  }
  Result<void> read_memory(Gva address, std::span<std::byte> out) override {
    if (out.empty() || out.size() > 8) std::abort();
    if ((address.value & kPageSize) != 0) return fail(ErrorCode::BadAddress, "not mapped");
    for (std::byte& byte : out)
      byte = static_cast<std::byte>(address.value++ % 251);
    return {};
  }
  void print(std::string_view text) override {
    if (text.size() > kLimits.text) std::abort();
  }
  Result<std::int64_t> read_variable(unsigned number) override { return number; }
  Result<void> write_variable(unsigned, std::int64_t) override { return {}; }
  Result<void> collect_memory(Gva, std::uint64_t) override { return {}; }
  Result<void> collect_variable(unsigned) override { return {}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Context context;
  std::uint64_t steps = 0;
  (void)debug::evaluate(std::as_bytes(std::span(data, size)), context, kLimits, &steps);
  if (steps > kLimits.steps) std::abort();
  return 0;
}
