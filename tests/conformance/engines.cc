#include "conformance/engines.h"

#include <ostream>
#include <stdexcept>

#include "engine/kvm/kvm_vm.h"
#include "engine/soft/soft_vm.h"
#include "support/host.h"

namespace ringside::testing {

namespace {

std::string kvm_lacks(Feature feature) {
  const kvm::Facts& facts = kvm::host_facts();
  switch (feature) {
    case Feature::Breakpoints:
      return facts.int3_exit || facts.int3_as_error ? "" : "this KVM does not intercept int3";
    case Feature::Steps:
      return facts.step ? "" : "this KVM does not step";
    case Feature::HardwareBreakpoints:
      return facts.execute_slot ? "" : "this KVM has no execution breakpoints";
    case Feature::Watchpoints:
      return facts.write_watch || facts.page_watch ? "" : "this KVM has no watchpoints";
    case Feature::WatchRegisters:
      return facts.write_watch ? "" : "this KVM's debug registers do not watch";
    case Feature::PageWatches:
      return facts.page_watch ? "" : "this KVM cannot watch pages";
    case Feature::EveryInstruction:
      return facts.hardware_ring0 ? "" : "this KVM interprets ring 0 and lacks some instructions";
    case Feature::SecondVcpu:
      return "";
    case Feature::FiveLevelPaging:
      return facts.five_level_paging ? "" : "this processor has no five-level paging";
    case Feature::HeldCounter:
      return facts.tsc_offset ? "" : "this KVM does not set a time-stamp counter back";
  }
  return "";
}

using Whose = kvm::Options::Controllers;

std::string no_kvm() { return host::no_engine("kvm", kvm::host_facts().reason); }

std::string kernel_controllers_missing() {
  const kvm::Facts& facts = kvm::host_facts();
  if (!facts.usable) return no_kvm();
  const bool there = facts.interrupt_controllers && facts.timer && facts.block_interrupts;
  return there ? "" : "this KVM has no interrupt controllers of its own";
}

std::string kernel_controllers_lack(Feature feature) {
  if (feature == Feature::SecondVcpu && !kvm::host_facts().starts_processors)
    return "this KVM's own local APIC starts no processors";
  return kvm_lacks(feature);
}

std::unique_ptr<hypervisor::Engine> create_kvm(Whose controllers, hypervisor::GuestRam& ram,
                                               machine::Machine& machine,
                                               const x86::CpuState& entry, unsigned vcpus) {
  auto engine = kvm::create(ram, machine, entry, {.vcpus = vcpus, .controllers = controllers});
  if (!engine) throw std::runtime_error(engine.error().text());
  machine.connect(**engine, (*engine)->controller_views());
  return *std::move(engine);
}

}  // namespace

const std::vector<EngineKind>& engine_kinds() {
  static const std::vector<EngineKind> kinds = {
      {"soft", [] { return std::string(); }, [](Feature) { return std::string(); },
       [](hypervisor::GuestRam& ram, machine::Machine& machine, const x86::CpuState& entry,
          unsigned vcpus) -> std::unique_ptr<hypervisor::Engine> {
         auto engine = soft::create(ram, machine, entry, {.vcpus = vcpus});
         machine.connect(*engine);
         return engine;
       }},
      {"kvm", no_kvm, kvm_lacks,
       [](auto&&... arguments) { return create_kvm(Whose::Machine, arguments...); }},
      {"kvm_irqchip", kernel_controllers_missing, kernel_controllers_lack,
       [](auto&&... arguments) { return create_kvm(Whose::Kernel, arguments...); }},
  };
  return kinds;
}

void PrintTo(const EngineKind& kind, std::ostream* out) { *out << kind.name; }

}  // namespace ringside::testing
