// The host code that was made from a block, as everybody but the translator sees it: where it
// begins, and which exits of other blocks lead to it. Owned by the translator, in memory that its
// code can reach; valid until all host code is thrown away.
#pragma once

#include <cstdint>

namespace ringside::soft {

// A place where host code leaves its block for another one of the same page. The code jumps to
// `target`; as long as no block is known there, that leads back to the run loop.
struct ExitSlot {
  const void* target = nullptr;
  const void* unlinked = nullptr;
  ExitSlot* next = nullptr;  // of those that lead to the same block
};

struct HostBlock {
  const void* entry = nullptr;
  std::uint64_t gpa_page = 0;
  const void* dropped = nullptr;  // what `entry` becomes when the guest's code has changed
  ExitSlot* incoming = nullptr;
  std::uint64_t breakpoint_stamp =
      0;  // of the block that it was made from: it has no room for both

  void link(ExitSlot& slot) {
    slot.target = entry;
    slot.next = incoming;
    incoming = &slot;
  }
  // Nobody enters it any more. Whoever is in it now leaves it at its next exit.
  void retire() {
    entry = dropped;
    for (ExitSlot* slot = incoming; slot != nullptr; slot = slot->next)
      slot->target = slot->unlinked;
    incoming = nullptr;
  }
};

}  // namespace ringside::soft
