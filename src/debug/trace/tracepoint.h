// What a client has defined: tracepoints, and trace state variables. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "debug/agent/bytecode.h"
#include "ringside/types.h"

namespace ringside::debug::trace {

struct Action {
  enum class Kind : std::uint8_t { Registers, Memory, Expression };
  Kind kind = Kind::Registers;
  std::optional<std::uint64_t> base;  // Memory: the register, by GDB's number, that is added
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  Bytecode code;  // Expression
};

// What the user has typed for it, which another client shows.
struct Source {
  std::string type;
  std::uint64_t start = 0;
  std::uint64_t total = 0;
  std::string text;
};

// A number may have several places; each is a tracepoint here.
struct Tracepoint {
  std::uint64_t number = 0;
  Gva address;
  bool enabled = true;
  std::uint64_t steps = 0;                   // so many are recorded after each hit
  std::uint64_t pass = 0;                    // so many hits end the trace; 0: none does
  std::optional<std::uint64_t> fast_length;  // as the client has it; the same thing here
  std::optional<Bytecode> condition;
  std::vector<Action> actions;
  std::vector<Action> step_actions;
  bool has_step_actions = false;  // what is added now belongs to the steps
  std::vector<Source> sources;
  // In the trace that runs, or ran last.
  std::uint64_t hits = 0;   // with a true condition
  std::uint64_t usage = 0;  // bytes that were recorded for it
};

struct Variable {
  std::uint64_t number = 0;
  std::int64_t initial = 0;
  bool builtin = false;
  std::string name;
  std::int64_t value = 0;
};

}  // namespace ringside::debug::trace
