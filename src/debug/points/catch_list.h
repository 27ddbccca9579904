// What the client wants the machine caught at (ringside/catches.h): numbered as it set them, with a
// condition each, and the way to an engine that offers it. The entries are the master; what the
// engine has is derived from them.
//
// Owned by the server's target; changed on its thread while every vCPU is out of the guest. Hits
// are counted where conditions are evaluated, one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "debug/agent/agent_program.h"
#include "ringside/vm.h"

namespace ringside::debug {

// A register compared with a number, without signs. The instruction pointer is the register's
// value.
struct RegisterTest {
  enum class Comparison : std::uint8_t { Equal, NotEqual, Below, NotAbove, Above, NotBelow };
  x86::Register name = x86::Register::Rax;
  Comparison comparison = Comparison::Equal;
  std::uint64_t value = 0;

  bool holds(std::uint64_t current) const;
};

class CatchList {
 public:
  explicit CatchList(hypervisor::Vm& vm) : vm_(vm) {}

  struct Entry {
    unsigned number = 0;
    hypervisor::Catch wanted;
    std::optional<RegisterTest> condition;
    HitCounts hits;
  };

  std::span<const Entry> all() const { return list_; }
  bool empty() const { return list_.empty(); }
  // Whether an exit is for any of them still, whatever the conditions say.
  bool has(const hypervisor::exit::Caught& what) const;
  // Counts it where it is wanted. Whether one that is has no condition, or one that holds; a
  // register that cannot be read is no reason to go on.
  bool hit(VcpuId vcpu, const hypervisor::exit::Caught& what);

  // The number it gets.
  Result<unsigned> insert(const hypervisor::Catch& wanted,
                          const std::optional<RegisterTest>& condition);
  Result<void> remove(unsigned number);
  // The next one is number 1 again.
  void remove_all();

 private:
  Result<void> take_out(const Entry& entry);

  hypervisor::Vm& vm_;
  std::vector<Entry> list_;
  unsigned last_ = 0;
};

}  // namespace ringside::debug
