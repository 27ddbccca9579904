// An engine's breakpoints and watchpoints for unit tests: records what is asked of it, and offers
// as much as the test says. Owned by the test; one thread.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hypervisor/testing/fake_vm.h"
#include "ringside/vm.h"

namespace ringside::debug::testing {

class FakeStoppoints : public hypervisor::Breakpoints,
                       public hypervisor::PhysicalBreakpoints,
                       public hypervisor::SpareBreakpoints,
                       public hypervisor::Watchpoints,
                       public hypervisor::PhysicalWatchpoints,
                       public hypervisor::FilteredStops {
 public:
  bool physical_supported = false;
  bool filters = false;
  std::optional<unsigned> to_lend;

  // From here on `vm` has what was set above.
  void give_to(hypervisor::testing::FakeVm& vm) {
    vm.offer = {this,
                physical_supported ? this : nullptr,
                to_lend ? this : nullptr,
                this,
                this,
                filters ? this : nullptr,
                nullptr};
  }

  void set_filter(hypervisor::StopFilter* new_filter) override { filter = new_filter; }
  Result<void> insert_physical_breakpoint(Gpa address) override {
    physical.insert(address.value);
    return {};
  }
  Result<void> remove_physical_breakpoint(Gpa address) override {
    physical.erase(address.value);
    return {};
  }
  Result<void> insert_breakpoint(Gva address) override {
    linear.insert(address.value);
    return log("+b", address, 0);
  }
  Result<void> remove_breakpoint(Gva address) override {
    linear.erase(address.value);
    return log("-b", address, 0);
  }
  unsigned count_spare_breakpoints() override { return *to_lend; }
  Result<void> insert_spare_breakpoint(Gva address) override { return insert_breakpoint(address); }
  Result<void> insert_watchpoint(Gva address, std::uint64_t size,
                                 hypervisor::WatchKind kind) override {
    watches.push_back({address, size, kind});
    return log("+w", address, size);
  }
  Result<void> remove_watchpoint(Gva address, std::uint64_t size,
                                 hypervisor::WatchKind kind) override {
    std::erase(watches, Watch{address, size, kind});
    return log("-w", address, size);
  }

  Result<void> insert_physical_watchpoint(Gpa address, std::uint64_t size,
                                          hypervisor::WatchKind kind) override {
    physical_watches.push_back({Gva{address.value}, size, kind});
    return log("+p", Gva{address.value}, size);
  }
  Result<void> remove_physical_watchpoint(Gpa address, std::uint64_t size,
                                          hypervisor::WatchKind kind) override {
    std::erase(physical_watches, Watch{Gva{address.value}, size, kind});
    return log("-p", Gva{address.value}, size);
  }

  hypervisor::StopFilter* filter = nullptr;
  std::set<std::uint64_t> physical, linear;
  struct Watch {
    Gva address;
    std::uint64_t size = 0;
    hypervisor::WatchKind kind = hypervisor::WatchKind::Write;
    friend bool operator==(const Watch&, const Watch&) = default;
  };
  std::vector<Watch> watches, physical_watches;
  std::vector<std::string> calls;

 private:
  Result<void> log(const char* what, Gva address, std::uint64_t size) {
    calls.push_back(what + std::to_string(address.value) + "/" + std::to_string(size));
    return {};
  }
};

// The first base of a fixture whose engine has them: the engine outlives the server, which takes
// its filter back when it ends.
struct HasStoppoints {
  FakeStoppoints engine;
};

}  // namespace ringside::debug::testing
