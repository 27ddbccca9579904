// What a profile and a trace of calls want to know of the code in the guest. Whoever knows the
// guest's system implements it; the profiler itself knows none.
//
// On the thread that runs the guest, between two instructions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ringside/types.h"

namespace ringside::profile {

class GuestCode {
 public:
  virtual ~GuestCode() = default;

  // Before the others are asked, at each sample and each event: the system may have come meanwhile.
  virtual void look(InsnCount /*now*/) {}

  struct Place {
    std::string name;  // of the function, without blanks
    Gva start;         // its first instruction
    std::string module;
  };
  virtual std::optional<Place> place_of(Gva /*address*/) { return std::nullopt; }
  // Code that place_of() knows all functions of, so that what is on a stack can be judged by it.
  virtual bool is_known_code(Gva /*address*/) { return false; }
  // Where the system's own stack ends that this address is in.
  virtual std::optional<Gva> stack_end(Gva /*address*/) { return std::nullopt; }

  struct Task {
    std::string name;
    std::uint32_t number = 0;
  };
  virtual std::optional<Task> task_of(VcpuId /*vcpu*/) { return std::nullopt; }
};

}  // namespace ringside::profile
