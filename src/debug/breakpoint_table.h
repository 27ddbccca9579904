// Breakpoints in guest memory. What the client asked for is a Wish (a linear address); how it is
// realised is an Installation (an int3 at a guest-physical address, with the byte it hides). Wishes
// that reach the same byte, through an alias or another address space, share one installation, and
// removing a wish removes exactly what was installed for it, wherever the address leads by then.
//
// Owned by the server's target; used on its thread, while every vCPU is out of the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "hypervisor/vm.h"

namespace ringside::debug {

class BreakpointTable {
 public:
  explicit BreakpointTable(hypervisor::Memory& memory) : memory_(memory) {}

  struct Wish {
    Gva address;
    std::vector<Gpa> installed;  // one, or more if the mapping changed between two requests
  };

  bool empty() const { return installations_.empty(); }
  std::span<const Wish> wishes() const { return wishes_; }

  // Idempotent. `where` is what `address` translates to now. BadAddress unless it is RAM. True if a
  // byte was installed that was not before.
  Result<bool> insert(Gva address, Gpa where);
  // Idempotent. The bytes that went out.
  std::vector<Gpa> remove(Gva address);
  void remove_all();

  // An int3 of ours is in memory at this byte now: not lifted, and not overwritten by the guest.
  bool armed(Gpa where) const;
  bool installed(Gpa where) const { return installations_.contains(where); }

  // For people: how often it was hit.
  void count_hit(Gpa where) { ++installations_[where].hits; }
  std::uint64_t hits(Gpa where) const { return installations_.at(where).hits; }

  // Takes one installation out while a vCPU executes what is under it, and puts it back. The guest
  // may have changed the byte meanwhile.
  void lift(Gpa where);
  void restore(Gpa where);

  // Shadowing: the client reads and writes guest memory as if nothing of ours were in it.
  // Replaces our bytes in what was read from [where, where + data.size()).
  void hide(Gpa where, std::span<std::byte> data) const;
  // Replaces what would overwrite our bytes in data about to be written there, and remembers it as
  // what a removal has to put back. The caller then writes the data, to RAM that is known to be
  // there.
  void shadow(Gpa where, std::span<std::byte> data);

 private:
  struct Installation {
    std::byte hidden{};
    unsigned wishes = 0;
    bool lifted = false;
    std::uint64_t hits = 0;
  };

  Result<void> install(Gpa where);
  void release(Gpa where, std::vector<Gpa>* gone);
  bool ours(Gpa where, const Installation& installation) const;

  hypervisor::Memory& memory_;
  std::vector<Wish> wishes_;
  std::map<Gpa, Installation> installations_;
};

}  // namespace ringside::debug
