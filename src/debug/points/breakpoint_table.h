// Software breakpoints. What the client asked for is a Wish: a linear address, with conditions and
// commands. Whoever is about to execute there hits it, in any address space, and so does whoever
// executes the byte that the address leads to, through an alias. How that is realised is another
// thing:
//   a breakpoint of the engine at the linear address, before anything is fetched from it;
//   an Installation at a guest-physical address, which is a breakpoint of the engine where that has
//     them, else an int3 in guest memory with the byte it hides.
// The wishes are the master: nowhere else is it kept that the client wants a software breakpoint.
// The installations and what LinearBreakpoints counts for this table are derived from them.
// A tracepoint is realised in the same way, by the wish of its address, which nobody need want as a
// breakpoint then. Wishes that reach the same byte share one installation, and removing a wish
// removes exactly what was installed for it, wherever the address leads by then.
// docs/decisions/0006 has the reasons.
//
// Owned by the server's target; changed on its thread while every vCPU is out of the guest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "debug/agent/agent_program.h"
#include "debug/points/linear_breakpoints.h"
#include "ringside/options.h"
#include "ringside/types.h"
#include "ringside/vm.h"

namespace ringside::debug {

class BreakpointTable {
 public:
  BreakpointTable(hypervisor::Vm& vm, LinearBreakpoints& linear, BreakpointMechanism mechanism)
      : vm_(vm), memory_(vm.memory()), linear_(linear), mechanism_(mechanism) {}
  BreakpointTable(const BreakpointTable&) = delete;
  BreakpointTable& operator=(const BreakpointTable&) = delete;

  // The memory that an address leads to, and by which table.
  struct Sight {
    Gpa where;
    std::optional<std::uint64_t> space;  // as in CR3; nothing while paging is off
  };
  // What was found there when the address was last seen to lead there: the instruction, or what of
  // it lies in this page.
  struct Code {
    std::array<std::byte, 15> bytes{};
    std::uint8_t size = 0;
    friend bool operator==(const Code&, const Code&) = default;
  };
  struct Place {
    Sight sight;
    Code code;
  };
  // Whether the engine looks out for a wish's linear address.
  enum class ByAddress : std::uint8_t {
    No,
    Yes,
    // Until somebody else needs the engine's breakpoint more.
    Spare,
  };
  struct Wish {
    Gva address;
    std::vector<Place> places;  // where it is installed
    ByAddress by_address = ByAddress::No;
    AgentProgram program;
    HitCounts hits;
    bool wanted = true;   // as a breakpoint. Otherwise only a tracepoint is here
    bool traced = false;  // a tracepoint of the trace that runs is here
    // Nothing to hit yet: its address leads nowhere.
    bool pending() const { return places.empty() && by_address == ByAddress::No; }
    bool is_at(Gpa where) const;
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
  // `sight` is what the address leads to now. BadAddress unless there is memory.
  Result<void> insert(Gva address, const Sight& sight, const AgentProgram& program);
  // By linear address; NotSupported where the engine cannot.
  Result<void> insert_linear(Gva address, const AgentProgram& program);
  // To be installed when it leads somewhere.
  Result<void> insert_pending(Gva address, const AgentProgram& program);
  // One of the engine's breakpoints by linear address, until drop_linear().
  Result<void> give_spare(Gva address);
  void drop_linear(Gva address);

  // Looks again where the address leads, `sights` being what was found now: it is installed there,
  // and armed again where the guest has overwritten it. It is taken out of pages that have been
  // given away. The places that are new.
  std::vector<Gpa> follow(Gva address, std::span<const Sight> sights);

  struct Removed {
    std::vector<Gpa> installations;  // those that went, because nobody else wants them
  };
  Removed remove(Gva address);
  // The same where a tracepoint stays.
  void stop_wanting(Wish& wish);
  // What a client leaves behind when it goes: only those whose commands persist, which stop nobody,
  // and only where no vCPU has to step over a byte of ours.
  void remove_all_but_persistent();

  // The wish of this linear address.
  Wish* wish_at(Gva address);
  // Those that have an installation.
  std::span<Wish* const> wishes_at(Gpa where) const;
  bool installed(Gpa where) const { return installations_.contains(where); }
  // Calls `visit` with each wish that is hit by this vCPU, which is about to execute at `address`,
  // where `where` is the byte that this leads to. Usable on the vCPU's own thread.
  template <typename Visit>
  void for_each_hit(VcpuId vcpu, Gva address, const std::optional<Gpa>& where, Visit visit) {
    if (Wish* wish = wish_at(address)) visit(*wish);
    if (!where) return;
    for (Wish* wish : wishes_at(*where)) {
      if (wish->address != address && is_there(*wish, *where, vcpu)) visit(*wish);
    }
  }
  // Whether the byte at `where`, to which the wish's address has led, is still that one: the
  // address leads there now, as the vCPU sees it or by the table of then, or the instruction is
  // unchanged. If not the page has been given to somebody else. Nobody named: as any vCPU sees it,
  // while all are out of the guest.
  bool is_there(const Wish& wish, Gpa where, std::optional<VcpuId> vcpu = std::nullopt) const;

  // An int3 of ours is in memory at this byte now: not lifted, and not overwritten by the guest.
  bool has_byte(Gpa where, std::optional<VcpuId> vcpu = std::nullopt) const;
  // It can be hit: such an int3, or a breakpoint of the engine.
  bool armed(Gpa where) const;

  // Takes one int3 out while a vCPU executes what is under it, and puts it back. The guest may have
  // changed the byte meanwhile. `vcpu` as above.
  void lift(Gpa where, std::optional<VcpuId> vcpu = std::nullopt);
  void restore(Gpa where);
  // Again where something has overwritten ours, which is what a loader does at a reset.
  void restore_all();

  // Shadowing: the client reads and writes guest memory as if nothing of ours were in it.
  // Replaces our bytes in what was read from [where, where + data.size()), on a vCPU's own thread
  // by what that one knows.
  void hide(Gpa where, std::span<std::byte> data, std::optional<VcpuId> vcpu = std::nullopt) const;
  // Replaces what would overwrite our bytes in data about to be written there, and remembers it as
  // what a removal has to put back. The caller then writes the data, to RAM that is known to be
  // there, and says written().
  void shadow(Gpa where, std::span<std::byte> data);
  void written(Gpa where, std::uint64_t size);

 private:
  struct Installation {
    bool by_engine = false;
    std::byte hidden{};
    bool lifted = false;
    std::vector<Wish*> wishes;
  };

  Result<Wish*> wish(Gva address, const AgentProgram& program);
  void erase(std::map<Gva, Wish>::iterator wish);
  void forget_if_new(Gva address, bool is_new);
  Result<void> install(Gpa where);
  Result<void> add_place(Wish& wish, const Sight& sight);
  void renew(Place& place, const Sight& sight);
  Result<void> watch_address(Wish& wish, ByAddress how);
  bool release(Gpa where, const Wish* wish);
  void mask(Gpa where, std::span<std::byte> data) const;
  Code code_at(Gpa where) const;
  bool leads_there(const Wish& wish, const Place& place, VcpuId vcpu) const;
  bool given_away(Gpa where, const Installation& installation, std::optional<VcpuId> vcpu) const;
  bool ours(Gpa where, const Installation& installation, std::optional<VcpuId> vcpu) const;

  hypervisor::Vm& vm_;
  hypervisor::Memory& memory_;
  LinearBreakpoints& linear_;
  const BreakpointMechanism mechanism_;
  std::map<Gva, Wish> wishes_;
  std::map<Gpa, Installation> installations_;
  // Of those that were taken out: clients do that at every stop, and put them back.
  std::map<Gva, HitCounts> past_hits_;
  std::size_t bytes_ = 0;  // installations that are int3
  ProgramRoom room_;       // that the wishes' programs take
};

}  // namespace ringside::debug
