// The engines that the suite runs on. To add one: a row in engines.cc.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "machine/machine.h"
#include "platform/engine.h"

namespace ringside::testing {

// What a test needs beyond running and stopping.
enum class Feature {
  Breakpoints,
  Steps,
  HardwareBreakpoints,
  Watchpoints,
  WatchRegisters,    // in debug registers, or without limit
  PageWatches,       // any number, length and kind; physical ones too
  EveryInstruction,  // ring 0 is executed, not interpreted by half
  FiveLevelPaging,
  HeldCounter,  // the time-stamp counter stands still while the guest does
  SecondVcpu,
};

struct EngineKind {
  std::string name;
  // Why it cannot be used on this host; empty if it can.
  std::function<std::string()> missing;
  // The same of one feature.
  std::function<std::string(Feature)> lacks;
  // An engine with the machine connected to it; nothing runs yet.
  std::function<std::unique_ptr<hypervisor::Engine>(hypervisor::GuestRam&, machine::Machine&,
                                                    const x86::CpuState& entry, unsigned vcpus)>
      create;
};

const std::vector<EngineKind>& engine_kinds();
void PrintTo(const EngineKind& kind, std::ostream* out);  // for gtest

}  // namespace ringside::testing
