// An engine's breakpoints and watchpoints for unit tests: records what is asked of it, and offers
// as much as the test says. Owned by the test; one thread.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hypervisor/vm.h"

namespace ringside::debug::testing {

class FakeStoppoints : public hypervisor::Stoppoints {
 public:
  bool physical_supported = false;
  bool filters = false;
  std::optional<unsigned> to_lend;

  bool set_filter(hypervisor::StopFilter* new_filter) override {
    if (filters) filter = new_filter;
    return filters;
  }
  bool has_physical_breakpoints() const override { return physical_supported; }
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
  std::optional<unsigned> spare_breakpoints() override { return to_lend; }
  Result<void> insert_watchpoint(Gva address, std::uint64_t size, hypervisor::WatchKind) override {
    return log("+w", address, size);
  }
  Result<void> remove_watchpoint(Gva address, std::uint64_t size, hypervisor::WatchKind) override {
    return log("-w", address, size);
  }

  Result<void> insert_physical_watchpoint(Gpa address, std::uint64_t size,
                                          hypervisor::WatchKind) override {
    return log("+p", Gva{address.value}, size);
  }
  Result<void> remove_physical_watchpoint(Gpa address, std::uint64_t size,
                                          hypervisor::WatchKind) override {
    return log("-p", Gva{address.value}, size);
  }

  hypervisor::StopFilter* filter = nullptr;
  std::set<std::uint64_t> physical, linear;
  std::vector<std::string> calls;

 private:
  Result<void> log(const char* what, Gva address, std::uint64_t size) {
    calls.push_back(what + std::to_string(address.value) + "/" + std::to_string(size));
    return {};
  }
};

}  // namespace ringside::debug::testing
