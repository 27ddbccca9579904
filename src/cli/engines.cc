#include "cli/engines.h"

#include <fmt/format.h>

#include "cli/notice.h"
#include "engine/kvm/probe.h"

namespace ringside::cli {
namespace {

// The KVM engine is not there yet, only its probe.
constexpr std::string_view kNoKvm = "the KVM engine is not available in this version";

}  // namespace

Result<StartedEngine> start_engine(const Options& options, hypervisor::GuestRam& ram,
                                   hypervisor::Platform& platform, const x86::CpuState& entry) {
  if (options.engine == EngineChoice::Kvm) {
    return fail(ErrorCode::NotSupported, fmt::format("--engine kvm: {}", kNoKvm));
  }
  if (options.engine == EngineChoice::Auto) notice("engine: soft, because {}", kNoKvm);
  std::unique_ptr<soft::SoftEngine> engine =
      soft::create(ram, platform, entry, soft::Options{options.cpus});
  StartedEngine started;
  started.soft = engine.get();
  started.cpus = engine.get();
  started.engine = std::move(engine);
  return started;
}

std::string describe_engines() {
  std::string text =
      "soft: the deterministic software CPU; works on every host, with exact breakpoints, "
      "watchpoints and stepping\n";
  for (const std::string& line : kvm::describe(kvm::probe()))
    text += line + "\n";
  return text + fmt::format("auto: takes soft, because {}\n", kNoKvm);
}

}  // namespace ringside::cli
