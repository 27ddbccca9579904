// The software engine: deterministic, all vCPUs in turn on the caller's thread.
#pragma once

#include <memory>
#include <optional>

#include "base/result.h"
#include "base/state_visitor.h"
#include "engine/soft/translate/host_code_listener.h"
#include "platform/engine.h"
#include "platform/guest_ram.h"
#include "platform/observable.h"
#include "platform/platform.h"
#include "platform/processor.h"
#include "platform/recordable.h"
#include "platform/rewindable.h"

namespace ringside::soft {

// How the CPUs execute: every instruction by its handler, or blocks that run often by host code
// made from them. The guest cannot tell.
struct TranslatorOptions {
  enum class Mode : std::uint8_t { Off, On };
  Mode mode = Mode::On;
  unsigned threshold = 16;            // a block is translated when it has run so often
  std::size_t code_bytes = 32 << 20;  // of host code and what it needs; all of it goes when full
  std::shared_ptr<HostCodeListener> listener = nullptr;  // is told of host code; or null
};

struct Options {
  unsigned vcpus = 1;
  std::uint64_t seed = 0;  // of what RDRAND gives
  hypervisor::Processor processor = hypervisor::Processor::V2;
  TranslatorOptions translator{};
};

// Whether this host lets the software CPU translate; the error says why not. Where it does not,
// every instruction is interpreted, and a warning says so once.
Result<void> can_translate();

// An Engine that is also the CpuPort for the machine's devices.
class SoftEngine : public hypervisor::Engine,
                   public hypervisor::CpuPort,
                   public hypervisor::Recordable,
                   public hypervisor::Rewindable,
                   public hypervisor::Observable {
 public:
  // Visits CPUs, engine and RAM (not the machine). For snapshots and the determinism hash.
  virtual void visit_state(StateVisitor& visitor) = 0;
  std::string_view name() const override { return "soft"; }
  hypervisor::CpuPort& cpus() override { return *this; }
  Recordable* recordable() override { return this; }
  Rewindable* rewindable() override { return this; }
  Observable* observable() override { return this; }
  VirtualTime now() const override = 0;
};

// `ram` and `platform` must outlive the engine. The boot processor starts in `entry`, in the guest
// as soon as it is resumed.
std::unique_ptr<SoftEngine> create(hypervisor::GuestRam& ram, hypervisor::Platform& platform,
                                   const x86::CpuState& entry, const Options& options);

}  // namespace ringside::soft
