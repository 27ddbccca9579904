// An engine that can catch what vCPUs do, but for task switches, for unit tests: keeps what is
// asked of it. Owned by the test; one thread.
#pragma once

#include <algorithm>
#include <vector>

#include "ringside/vm.h"

namespace ringside::debug::testing {

class FakeCatches final : public hypervisor::Catches {
 public:
  bool offers(hypervisor::CatchKind kind) override {
    return kind != hypervisor::CatchKind::TaskSwitch;
  }
  Result<void> insert_catch(const hypervisor::Catch& wanted) override {
    all.push_back(wanted);
    return {};
  }
  Result<void> remove_catch(const hypervisor::Catch& wanted) override {
    const auto found = std::find(all.begin(), all.end(), wanted);
    if (found == all.end()) return fail(ErrorCode::NotFound, "no such catch");
    all.erase(found);
    return {};
  }
  std::vector<hypervisor::Catch> all;
};

// A vCPU's write to a port.
inline hypervisor::exit::Caught port_write(std::uint32_t port, std::uint64_t value) {
  hypervisor::exit::Caught what;
  what.kind = hypervisor::CatchKind::Port;
  what.number = port;
  what.is_write = true;
  what.value = value;
  return what;
}

}  // namespace ringside::debug::testing
