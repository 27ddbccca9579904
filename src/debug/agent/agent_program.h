// What a client attached to a breakpoint or watchpoint: conditions and commands in agent bytecode,
// and how often it was come by. Plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "debug/agent/bytecode.h"
#include "ringside/types.h"

namespace ringside::debug {

struct AgentProgram {
  // Several are OR; none is true; an error while one is evaluated counts as true.
  std::vector<Bytecode> conditions;
  // With any, a hit runs them and stops nobody.
  std::vector<Bytecode> commands;
  // The commands are to go on when the client is gone.
  bool persists = false;
  // It is not the client's, which does not know of it: it tells where libraries come and go.
  bool of_server = false;
  friend bool operator==(const AgentProgram&, const AgentProgram&) = default;
};

// What the programs of a list may have in all: a client has many breakpoints, and long programs,
// but not both.
class ProgramRoom {
 public:
  static constexpr std::size_t kMost = std::size_t{4} << 20;
  // A program takes the place of another, which may be empty.
  Result<void> exchange(const AgentProgram& before, const AgentProgram& after) {
    const std::size_t left = used_ - size_of(before), size = size_of(after);
    if (size > kMost - left) {
      return fail(
          ErrorCode::BadRequest,
          "conditions and commands have at most 4 MiB in all, and these would make it more");
    }
    used_ = left + size;
    return {};
  }
  void give_back(const AgentProgram& program) { used_ -= size_of(program); }

 private:
  static std::size_t size_of(const AgentProgram& program) {
    std::size_t size = 0;
    for (const auto* list : {&program.conditions, &program.commands}) {
      for (const Bytecode& code : *list)
        size += sizeof(Bytecode) + code.size();
    }
    return size;
  }
  std::size_t used_ = 0;
};

struct HitCounts {
  std::uint64_t reached = 0;           // by a vCPU
  std::uint64_t counted = 0;           // of these, with a true condition
  std::vector<std::uint64_t> by_vcpu;  // of those reached; may be short

  void reach(VcpuId vcpu) {
    ++reached;
    if (by_vcpu.size() <= vcpu.value) by_vcpu.resize(vcpu.value + 1);
    ++by_vcpu[vcpu.value];
  }
};

}  // namespace ringside::debug
