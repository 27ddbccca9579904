#include "cli/start/engines.h"

#include <fmt/format.h>

#include <cstdlib>

#include "cli/start/perf_map.h"
#include "cli/terminal/notice.h"
#include "engine/kvm/host/probe.h"
#include "engine/kvm/kvm_vm.h"
#include "engine/soft/soft_vm.h"
#include "sandbox/sandbox.h"

namespace ringside::cli {
namespace {

using StartedEngine = std::unique_ptr<hypervisor::Engine>;

// Empty if `auto` takes KVM.
std::string why_not_kvm(const kvm::Facts& facts) {
  if (!facts.usable) return facts.reason;
  if (!facts.hardware_ring0) {
    return fmt::format("this host's KVM interprets ring 0 ({:.0f} MIPS)", facts.ring0_mips);
  }
  if (!facts.int3_exit) return "this host's KVM does not intercept breakpoints";
  if (!facts.step) return "this host's KVM does not single-step";
  return "";
}

Result<StartedEngine> start_soft(const Options& options, hypervisor::GuestRam& ram,
                                 hypervisor::Platform& platform, const x86::CpuState& entry,
                                 const time::RunStart& start) {
  soft::Options soft_options{options.cpus, start.seed, start.processor};
  if (options.translate == Translate::Off)
    soft_options.translator.mode = soft::TranslatorOptions::Mode::Off;
  if (options.perf_map) {
    soft_options.translator.listener =
        std::make_shared<PerfMap>(TRY(PerfMap::create(PerfMap::usual_path())));
  }
  return soft::create(ram, platform, entry, soft_options);
}

// RINGSIDE_KVM_IRQCHIP, in the environment because it is for looking into trouble.
Result<kvm::Options::Controllers> whose_controllers() {
  const char* const text = std::getenv("RINGSIDE_KVM_IRQCHIP");
  const std::string_view value = text == nullptr ? "" : text;
  if (value.empty()) return kvm::Options::Controllers::Best;
  if (value == "on") return kvm::Options::Controllers::Kernel;
  if (value == "off") return kvm::Options::Controllers::Machine;
  return fail(ErrorCode::BadRequest,
              fmt::format("RINGSIDE_KVM_IRQCHIP is on or off, not \"{}\"", value));
}

Result<StartedEngine> start_kvm(const Options& options, hypervisor::GuestRam& ram,
                                hypervisor::Platform& platform, const x86::CpuState& entry) {
  kvm::Options kvm_options;
  kvm_options.vcpus = options.cpus;
  kvm_options.controllers = TRY(whose_controllers());
  return TRY(kvm::create(ram, platform, entry, kvm_options));
}

// What only the software CPU can do.
std::string_view needs_soft(const Options& options) {
  if (!options.record.empty() || !options.replay.empty()) return "a journal needs it";
  if (!options.save.empty()) return "--save needs it";
  if (options.processor) return "--cpu chooses its processor";
  return options.perf_map ? "--perf-map needs it" : "";
}

}  // namespace

Result<StartedEngine> start_engine(const Options& options, hypervisor::GuestRam& ram,
                                   hypervisor::Platform& platform, const x86::CpuState& entry,
                                   const time::RunStart& start) {
  if (options.engine == EngineChoice::Soft) return start_soft(options, ram, platform, entry, start);
  if (options.engine == EngineChoice::Kvm) {
    Result<StartedEngine> started = start_kvm(options, ram, platform, entry);
    if (started) return started;
    return fail(
        started.error().code(),
        fmt::format("--engine kvm: {}; --engine soft works on every host", started.error().text()));
  }
  std::string why(needs_soft(options));
  if (why.empty()) why = why_not_kvm(kvm::host_facts());
  if (why.empty()) {
    Result<StartedEngine> started = start_kvm(options, ram, platform, entry);
    if (started) {
      notice("engine: kvm, because it runs the guest on hardware and breakpoints and steps work");
      return started;
    }
    why = started.error().text();
  }
  notice("engine: soft, because {}", why);
  return start_soft(options, ram, platform, entry, start);
}

std::string describe_engines() {
  std::string text =
      "soft: the deterministic software CPU; works on every host, with exact breakpoints, "
      "watchpoints and stepping\n";
  const Result<void> translation = soft::can_translate();
  text += translation
              ? "soft: translates hot code to host code\n"
              : fmt::format("soft: interprets every instruction: {}\n", translation.error().text());
  const kvm::Facts& facts = kvm::host_facts();
  for (const std::string& line : kvm::describe(facts))
    text += line + "\n";
  text += sandbox::describe();
  const std::string why = why_not_kvm(facts);
  if (!why.empty()) return text + fmt::format("auto: takes soft, because {}\n", why);
  return text +
         "auto: takes kvm, because it runs the guest on hardware and breakpoints and steps "
         "work\n";
}

}  // namespace ringside::cli
