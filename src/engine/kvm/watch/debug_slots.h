// The four debug registers (SDM 3B 17.2): what the debugger wants watched becomes slots, and slots
// become DR0..DR3 and DR7 of each vCPU, together with what the guest itself uses them for. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "ringside/exit.h"
#include "ringside/types.h"

namespace ringside::kvm {

inline constexpr unsigned kSlotCount = 4;

struct DebugSlot {
  enum class Owner : std::uint8_t { Nobody, Debugger, Guest, Step };
  enum class Access : std::uint8_t { Execute = 0, Write = 1, ReadWrite = 3 };  // R/W of DR7
  Owner owner = Owner::Nobody;
  Access access = Access::Execute;
  std::uint8_t length = 1;  // 1, 2, 4 or 8
  Gva address;
  // Debugger: what it named. Guest: the number of its register.
  Gva wished;
  hypervisor::WatchKind kind = hypervisor::WatchKind::Write;
  std::uint8_t guest_number = 0;
};

// DR0..DR3 of one vCPU.
class DebugSlots {
 public:
  // False when all are taken.
  bool add(const DebugSlot& slot);
  // Adds what the guest has enabled; each keeps its number if that is free.
  void add_guests(const std::array<std::uint64_t, 4>& addresses, std::uint64_t dr7);
  const DebugSlot& operator[](unsigned number) const { return slots_[number]; }
  unsigned free() const;
  std::uint64_t dr7() const;

 private:
  std::array<DebugSlot, kSlotCount> slots_;
};

// The debugger's stoppoints, the same on all vCPUs, as the debug server, their master, has inserted
// them. The slots of each vCPU are made from these before it enters the guest.
class Stoppoints {
 public:
  Result<void> insert_breakpoint(Gva address);
  // One that has what others leave, the guest's own included.
  Result<void> insert_spare_breakpoint(Gva address);
  Result<void> remove_breakpoint(Gva address);
  // Split into aligned pieces, as many slots as it takes.
  Result<void> insert_watchpoint(Gva address, std::uint64_t size, hypervisor::WatchKind kind);
  Result<void> remove_watchpoint(Gva address, std::uint64_t size, hypervisor::WatchKind kind);
  bool empty() const { return wishes_.empty(); }
  bool has_breakpoint(Gva address) const;
  enum class Which { All, WithoutBreakpoints };
  // All but the spare ones.
  DebugSlots slots(Which which) const;
  void add_spares(DebugSlots& slots) const;

 private:
  enum class Kind : std::uint8_t { Watch, Breakpoint, SpareBreakpoint };
  struct Wish {
    Kind what = Kind::Watch;
    Gva address;
    std::uint64_t size = 1;
    hypervisor::WatchKind kind = hypervisor::WatchKind::Write;
    friend bool operator==(const Wish&, const Wish&) = default;
  };
  static std::vector<DebugSlot> pieces(const Wish& wish);
  Result<void> insert(const Wish& wish);
  Result<void> remove(const Wish& wish);
  std::vector<Wish> wishes_;
};

}  // namespace ringside::kvm
