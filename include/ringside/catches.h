// Stops for what a vCPU does, wherever it does it: exceptions, interrupts, MSRs, ports and so on.
// An ability that an engine may have or not, and of some kinds only.
//
// Called on the thread that serves the debugger, while every vCPU is out of the guest. Catches are
// on all vCPUs. Equal ones may be inserted, and each removal takes one of them out. A hit is
// exit::Caught, one for each thing that is done, however many catches are for it. What the guest
// does and finds must be the same with and without them.
#pragma once

#include <cstdint>

#include "ringside/exit.h"
#include "ringside/result.h"

namespace ringside::hypervisor {

struct Catch {
  CatchKind kind = CatchKind::Exception;
  // exit::Caught::number within [first, last]. Ports: any port of the access.
  std::uint32_t first = 0, last = ~std::uint32_t{0};
  // Of MSRs and ports.
  bool reads = true, writes = true;
  friend bool operator==(const Catch&, const Catch&) = default;

  bool is_for(const exit::Caught& what) const {
    if (kind != what.kind) return false;
    const bool has_direction = kind == CatchKind::Msr || kind == CatchKind::Port;
    if (has_direction && !(what.is_write ? writes : reads)) return false;
    const std::uint32_t end =
        kind == CatchKind::Port ? what.number + (what.width - 1u) : what.number;
    return what.number <= last && first <= end;
  }
};

class Catches {
 public:
  virtual ~Catches() = default;
  virtual bool offers(CatchKind kind) = 0;
  // NotSupported for a kind that it does not offer.
  virtual Result<void> insert_catch(const Catch& wanted) = 0;
  virtual Result<void> remove_catch(const Catch& wanted) = 0;
};

}  // namespace ringside::hypervisor
