// The software engine: deterministic, all vCPUs in turn on the caller's thread.
#pragma once

#include <memory>
#include <optional>

#include "base/state_visitor.h"
#include "platform/engine.h"
#include "platform/guest_ram.h"
#include "platform/platform.h"

namespace ringside::soft {

struct Options {
  unsigned vcpus = 1;
  std::uint64_t seed = 0;  // of what RDRAND gives
};

// An Engine that is also the CpuPort for the machine's devices.
class SoftEngine : public hypervisor::Engine, public hypervisor::CpuPort {
 public:
  // Visits CPUs, engine and RAM (not the machine). For snapshots and the determinism hash.
  virtual void visit_state(StateVisitor& visitor) = 0;
  // The same without RAM, for who saves or hashes RAM in another way.
  virtual void visit_processors(StateVisitor& visitor) = 0;
  // Retired by all vCPUs together.
  virtual InsnCount total_instructions() const = 0;
  // run_slice stops exactly when this many instructions are retired (a replayed input is due, or a
  // test wants the state there). Nothing: no such limit.
  virtual void stop_at(std::optional<InsnCount> total) = 0;
  VirtualTime now() const override = 0;
};

// `ram` and `platform` must outlive the engine. The boot processor starts in `entry`, in the guest
// as soon as it is resumed.
std::unique_ptr<SoftEngine> create(hypervisor::GuestRam& ram, hypervisor::Platform& platform,
                                   const x86::CpuState& entry, const Options& options);

}  // namespace ringside::soft
