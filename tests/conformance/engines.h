// The engines that the suite runs on. To add one: a row in engines.cc.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "hypervisor/vm.h"
#include "machine/machine.h"

namespace ringside::testing {

struct EngineKind {
  std::string name;
  // Why it cannot be used on this host; empty if it can.
  std::function<std::string()> missing;
  // An engine with the machine connected to it; nothing runs yet.
  std::function<std::unique_ptr<hypervisor::Engine>(hypervisor::GuestRam&, machine::Machine&,
                                                    const x86::CpuState& entry, unsigned vcpus)>
      create;
};

const std::vector<EngineKind>& engine_kinds();
void PrintTo(const EngineKind& kind, std::ostream* out);  // for gtest

}  // namespace ringside::testing
