// Software breakpoints. What the client asked for is a Wish (a linear address, with conditions and
// commands); how it is realised is another thing:
//   an Installation at a guest-physical address, which is a breakpoint of the engine where that has
//     them, else an int3 in guest memory with the byte it hides;
//   a breakpoint of the engine at the linear address, where there is no memory yet.
// Wishes that reach the same byte, through an alias or another address space, share one
// installation, and removing a wish removes exactly what was installed for it, wherever the address
// leads by then.
//
// Owned by the server's target; changed on its thread while every vCPU is out of the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "debug/agent_program.h"
#include "debug/linear_breakpoints.h"
#include "debug/options.h"
#include "hypervisor/vm.h"

namespace ringside::debug {

class BreakpointTable {
 public:
  BreakpointTable(hypervisor::Vm& vm, LinearBreakpoints& linear, BreakpointMechanism mechanism)
      : vm_(vm), memory_(vm.memory()), linear_(linear), mechanism_(mechanism) {}
  BreakpointTable(const BreakpointTable&) = delete;
  BreakpointTable& operator=(const BreakpointTable&) = delete;

  struct Wish {
    Gva address;
    std::vector<Gpa> installed;  // more than one if the mapping changed between two requests
    bool linear = false;         // the engine looks out for the linear address
    AgentProgram program;
    HitCounts hits;
    // Nothing to hit yet: its address leads nowhere.
    bool pending() const { return installed.empty() && !linear; }
  };

  bool empty() const { return wishes_.empty(); }
  const std::map<Gva, Wish>& wishes() const { return wishes_; }
  std::size_t installations() const { return installations_.size(); }

  // Whether installations are the engine's breakpoints. If not they are int3, which needs the
  // capability BreakpointExit.
  bool engine_installs() const;
  // There are int3 of ours: the capability is needed now.
  bool has_bytes() const { return bytes_ > 0; }

  // All three are idempotent, and a repetition replaces conditions and commands.
  // `where` is what the address translates to now. BadAddress unless there is memory.
  Result<void> insert(Gva address, Gpa where, const AgentProgram& program);
  // By linear address; NotSupported where the engine cannot.
  Result<void> insert_linear(Gva address, const AgentProgram& program);
  // To be installed when it leads somewhere.
  Result<void> insert_pending(Gva address, const AgentProgram& program);

  struct Removed {
    std::vector<Gpa> installations;  // those that went, because nobody else wants them
    bool linear = false;
  };
  Removed remove(Gva address);
  // What a client leaves behind when it goes: only those whose commands persist, which stop nobody,
  // and only where no vCPU has to step over a byte of ours.
  void remove_all_but_persistent();

  // Those that a hit concerns.
  Wish* linear_wish(Gva address);
  std::span<Wish* const> wishes_at(Gpa where) const;
  bool installed(Gpa where) const { return installations_.contains(where); }

  // An int3 of ours is in memory at this byte now: not lifted, and not overwritten by the guest.
  bool has_byte(Gpa where) const;
  // It can be hit: such an int3, or a breakpoint of the engine.
  bool armed(Gpa where) const;

  // Takes one int3 out while a vCPU executes what is under it, and puts it back. The guest may have
  // changed the byte meanwhile.
  void lift(Gpa where);
  void restore(Gpa where);
  // Again where something has overwritten ours.
  void restore_all();

  // Shadowing: the client reads and writes guest memory as if nothing of ours were in it.
  // Replaces our bytes in what was read from [where, where + data.size()).
  void hide(Gpa where, std::span<std::byte> data) const;
  // Replaces what would overwrite our bytes in data about to be written there, and remembers it as
  // what a removal has to put back. The caller then writes the data, to RAM that is known to be
  // there.
  void shadow(Gpa where, std::span<std::byte> data);

 private:
  struct Installation {
    bool by_engine = false;
    std::byte hidden{};
    bool lifted = false;
    std::vector<Wish*> wishes;
  };

  Result<Wish*> wish(Gva address, const AgentProgram& program);
  void forget_if_new(Gva address, bool is_new);
  Result<void> install(Gpa where);
  bool release(Gpa where, const Wish* wish);
  bool ours(Gpa where, const Installation& installation) const;

  hypervisor::Vm& vm_;
  hypervisor::Memory& memory_;
  LinearBreakpoints& linear_;
  const BreakpointMechanism mechanism_;
  std::map<Gva, Wish> wishes_;
  std::map<Gpa, Installation> installations_;
  // Of those that were taken out: clients do that at every stop, and put them back.
  std::map<Gva, HitCounts> past_hits_;
  std::size_t bytes_ = 0;  // installations that are int3
};

}  // namespace ringside::debug
