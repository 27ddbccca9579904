#include "conformance/engines.h"

#include <ostream>

#include "engine/soft/soft_vm.h"

namespace ringside::testing {

const std::vector<EngineKind>& engine_kinds() {
  static const std::vector<EngineKind> kinds = {
      {"soft", [] { return std::string(); },
       [](hypervisor::GuestRam& ram, machine::Machine& machine, const x86::CpuState& entry,
          unsigned vcpus) -> std::unique_ptr<hypervisor::Engine> {
         auto engine = soft::create(ram, machine, entry, {.vcpus = vcpus});
         machine.connect(*engine);
         return engine;
       }},
  };
  return kinds;
}

void PrintTo(const EngineKind& kind, std::ostream* out) { *out << kind.name; }

}  // namespace ringside::testing
