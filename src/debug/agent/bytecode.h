// GDB's agent expressions (GDB manual, appendix "The GDB Agent Expression Mechanism"): conditions
// and commands that the client compiles and the server evaluates where the breakpoint hits.
//
// Pure: registers, memory and output come through AgentContext. Bounded in steps, stack and output,
// so that no expression can hang or bloat the process. An engine may evaluate on a vCPU's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ringside/types.h"

namespace ringside::debug {

using Bytecode = std::vector<std::byte>;

// What an expression can see and do.
class AgentContext {
 public:
  virtual ~AgentContext() = default;
  // By GDB's register number.
  virtual Result<std::uint64_t> read_register(unsigned number) = 0;
  virtual Result<void> read_memory(Gva address, std::span<std::byte> out) = 0;
  virtual void print(std::string_view text) = 0;
  // Trace state variables; collection happens only while a tracepoint collects.
  virtual Result<std::int64_t> read_variable(unsigned number) = 0;
  virtual Result<void> write_variable(unsigned number, std::int64_t value) = 0;
  virtual Result<void> collect_memory(Gva address, std::uint64_t size) = 0;
  virtual Result<void> collect_variable(unsigned number) = 0;
};

inline constexpr std::size_t kAgentStack = 256;

struct AgentLimits {
  unsigned steps = 100'000;
  std::size_t text = 4096;  // bytes of one printf
};

// The value on top of the stack at `end` (0 for an empty stack). BadRequest for bytecode that is
// malformed, unknown or runs into a limit; the context's error where memory cannot be read. Adds
// the steps it took to `steps`. Without allocation, unless it prints or fails.
Result<std::uint64_t> evaluate(std::span<const std::byte> code, AgentContext& context,
                               const AgentLimits& limits = {}, std::uint64_t* steps = nullptr);

}  // namespace ringside::debug
