// The KVM engine: each vCPU on a thread of its own, at the speed of the hardware where there is
// any.
//
// The debugger's side (Engine) is the main thread's. The devices' side (CpuPort) is called by the
// machine on any thread, with the machine's lock held. The machine is entered from the vCPU
// threads, from a timer thread and from the main thread.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/kvm/host/probe.h"
#include "platform/engine.h"
#include "platform/guest_ram.h"
#include "platform/platform.h"

namespace ringside::kvm {

struct Options {
  unsigned vcpus = 1;
  // Instead of what the probe finds, to try what other hosts need; outlives the engine.
  const Facts* facts = nullptr;
  // Whose the interrupt controllers and the interval timer are. Where KVM has none that serve,
  // Kernel fails and Best takes the machine's.
  enum class Controllers : std::uint8_t { Machine, Kernel, Best };
  Controllers controllers = Controllers::Best;
};

class KvmEngine : public hypervisor::Engine, public hypervisor::CpuPort {
 public:
  std::string_view name() const override { return "kvm"; }
  hypervisor::CpuPort& cpus() override { return *this; }
  VirtualTime now() const override = 0;
};

// `ram` and `platform` must outlive the engine. The boot processor starts in `entry`, in the guest
// as soon as it is resumed. The error says in one sentence why this host cannot.
Result<std::unique_ptr<KvmEngine>> create(hypervisor::GuestRam& ram, hypervisor::Platform& platform,
                                          const x86::CpuState& entry, const Options& options);

}  // namespace ringside::kvm
