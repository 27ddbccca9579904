// What a client attached to a breakpoint or watchpoint: conditions and commands in agent bytecode,
// and how often it was come by. Plain data.
#pragma once

#include <cstdint>
#include <vector>

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
