// What all vCPUs of one machine share. Owned by the engine; each member says who may use it.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "engine/kvm/host/exit_queue.h"
#include "engine/kvm/host/guest_clock.h"
#include "engine/kvm/host/kernel_controllers.h"
#include "engine/kvm/host/memory_slots.h"
#include "engine/kvm/host/probe.h"
#include "engine/kvm/watch/debug_slots.h"
#include "engine/kvm/watch/page_watch.h"
#include "platform/guest_ram.h"
#include "platform/platform.h"
#include "ringside/vm.h"

namespace ringside::kvm {

class KvmVcpu;

// Keeps all vCPUs but one out of the guest for the moments in which there are bytes in guest memory
// that are meant for that one alone; or all of them, while somebody looks at what only a vCPU that
// is out shows. Any thread, but not one that holds the machine's lock: a vCPU that steps may need
// that before it opens.
class RunGate {
 public:
  // Waits until every vCPU but `owner` is out of KVM_RUN, and keeps them out until open(). An owner
  // that is no vCPU keeps out all. Whoever has closed it may do so again.
  void close(const void* owner, const std::vector<KvmVcpu*>& all);
  void open();
  bool closed_to(const KvmVcpu& vcpu) const {
    const void* owner = owner_.load();
    return owner != nullptr && owner != &vcpu;
  }
  bool closed() const { return owner_.load() != nullptr; }
  void wait_until_open(const KvmVcpu& vcpu);
  // Whether somebody has had to wait since the last call. Who closes it again and again, and opens
  // it for moments only, gives the others time then.
  bool has_kept_somebody() { return kept_somebody_.exchange(false); }
  // For so long nobody else closes it, so that what stands in guest memory stays.
  std::unique_lock<std::recursive_mutex> keep(const KvmVcpu& vcpu) {
    if (owner_ == &vcpu) return {};
    return std::unique_lock(one_at_a_time_);
  }

 private:
  std::recursive_mutex one_at_a_time_;  // who keeps it may close it
  std::atomic<const void*> owner_{nullptr};
  unsigned times_closed_ = 0;  // by the owner
  std::atomic<bool> kept_somebody_{false};
};

struct System {
  System(hypervisor::GuestRam& guest_ram, hypervisor::Platform& machine, const Facts& host)
      : ram(guest_ram), platform(machine), facts(host) {}

  hypervisor::GuestRam& ram;
  // Takes its own lock. It calls back (CpuPort) with that lock held; so nobody may call it while
  // holding a lock of the engine.
  hypervisor::Platform& platform;
  const Facts& facts;
  Fd kvm, vm;
  // KVM's own, if it has them and is to use them; otherwise they are the machine's.
  std::optional<KernelControllers> controllers;
  MemorySlots slots{vm};
  PageWatches pages{ram, slots};
  std::vector<KvmVcpu*> vcpus;  // fixed before the first thread starts
  GuestClock clock;
  ExitQueue events;
  RunGate gate;

  std::atomic<hypervisor::StopFilter*> filter{nullptr};
  std::mutex stoppoints_lock;
  Stoppoints stoppoints;
  std::atomic<unsigned> stoppoints_generation{0};  // counts their changes

  // What devices have written that is watched, on no vCPU's thread: the first vCPU that sees it
  // reports it.
  std::mutex device_hits_lock;
  PageWatches::Hits device_hits;
  std::atomic<bool> device_hits_waiting{false};

  std::atomic<bool> ended{false};  // no vCPU enters the guest any more
  std::atomic<bool> stop_instead_of_death{false};
  // Any thread.
  std::function<void(hypervisor::VmEnd)> end;
  std::function<void()> clock_changed;  // the clock was started or stopped
  std::function<void()> halted;         // a vCPU sleeps with interrupts off
};

// While there is one, no vCPU is in KVM_RUN. Also for a vCPU's own thread, when it is out.
class EverybodyOut {
 public:
  explicit EverybodyOut(System& system);
  ~EverybodyOut() { gate_.open(); }
  EverybodyOut(const EverybodyOut&) = delete;

 private:
  RunGate& gate_;
};

}  // namespace ringside::kvm
