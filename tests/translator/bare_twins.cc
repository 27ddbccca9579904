#include "translator/bare_twins.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/state_bytes.h"

namespace ringside::testing {
namespace {

namespace exit = hypervisor::exit;

struct ExitWords {
  std::string operator()(const exit::Dead& dead) const { return "dead: " + dead.reason; }
  std::string operator()(const exit::HardwareBreakpoint& hit) const {
    return fmt::format("breakpoint at {:x}", hit.address.value);
  }
  std::string operator()(const exit::Watchpoint& hit) const {
    return fmt::format("watchpoint {:x} kind {}", hit.address.value, static_cast<int>(hit.kind));
  }
  std::string operator()(const exit::PhysicalWatchpoint& hit) const {
    return fmt::format("physical watchpoint {:x} kind {}{}", hit.address.value,
                       static_cast<int>(hit.kind), hit.by_device ? " by a device" : "");
  }
  std::string operator()(const exit::Caught& hit) const {
    return fmt::format("caught kind {} number {:x}", static_cast<int>(hit.kind), hit.number);
  }
  std::string operator()(const exit::Breakpoint&) const { return "int3"; }
  std::string operator()(const exit::Started&) const { return "started"; }
  std::string operator()(const exit::GuestPanic&) const { return "panic"; }
  std::string operator()(const exit::Parked&) const { return "parked"; }
  std::string operator()(const exit::MonitorTrap&) const { return "step"; }
};

hypervisor::GuestRam filled(const std::vector<std::uint8_t>& memory) {
  static constexpr std::array<std::uint8_t, kPageSize> kZeros{};
  hypervisor::GuestRam ram = hypervisor::GuestRam::create(memory.size()).value();
  for (std::uint64_t at = 0; at < memory.size(); at += kPageSize) {
    std::uint8_t* const page = ram.host({at}, kPageSize);
    if (page != nullptr && std::memcmp(&memory[at], kZeros.data(), kPageSize) != 0)
      std::memcpy(page, &memory[at], kPageSize);
  }
  return ram;
}

void compare_words(const std::vector<std::string>& one, const std::vector<std::string>& other,
                   std::string_view what, std::string& text) {
  const auto [a, b] = std::mismatch(one.begin(), one.end(), other.begin(), other.end());
  if (a == one.end() && b == other.end()) return;
  text += fmt::format("  {} {}: interpreted {}, translated {}\n", what, a - one.begin(),
                      a == one.end() ? "none" : *a, b == other.end() ? "none" : *b);
}

}  // namespace

BareMachine::BareMachine(const Scene& scene, const soft::TranslatorOptions& options)
    : ram_(filled(scene.memory)), platform_(scene) {
  soft::Options engine;
  engine.translator = options;
  engine.processor = scene.processor;
  engine_ = soft::create(ram_, platform_, scene.entry, engine);
  platform_.connect(*engine_, ram_);
  engine_->stop_instead_of_death(true);
  engine_->resume({0});
}

BareMachine::Stop BareMachine::run(InsnCount total) {
  constexpr unsigned kMostIdle = 10'000;
  engine_->stop_at(total);
  for (unsigned idle = 0; engine_->total_instructions() < total;) {
    if (const auto event = engine_->take_event()) {
      if (std::holds_alternative<exit::MonitorTrap>(event->exit)) return Stop::AtStep;
      events_.push_back(fmt::format("{} instructions: {}", engine_->total_instructions().value,
                                    std::visit(ExitWords{}, event->exit)));
      if (std::holds_alternative<exit::Dead>(event->exit)) return Stop::Never;
      engine_->resume(event->vcpu);
    } else if (engine_->ended()) {
      events_.push_back("ended: " + engine_->ended()->reason);
      return Stop::Never;
    } else if (!engine_->run_slice()) {
      const auto until = engine_->idle_until();
      if (!until || *until == kNever || ++idle == kMostIdle) return Stop::Never;
      engine_->advance_to(*until);
    }
  }
  return Stop::AtCount;
}

bool BareMachine::run_to(InsnCount total) { return run(total) == Stop::AtCount; }

bool BareMachine::step(Interrupts interrupts) {
  hypervisor::Vcpu& vcpu = engine_->vcpu({0});
  engine_->suspend({0});
  while (const auto event = engine_->take_event()) {
    if (!std::holds_alternative<exit::Parked>(event->exit))
      events_.push_back(fmt::format("{} instructions: {}", engine_->total_instructions().value,
                                    std::visit(ExitWords{}, event->exit)));
    if (std::holds_alternative<exit::Dead>(event->exit)) return false;
  }
  const bool masks = interrupts == Interrupts::Masked;
  (void)vcpu.set_capability(hypervisor::Capability::MonitorTrap, true);
  (void)vcpu.set_capability(hypervisor::Capability::MaskInterrupts, masks);
  engine_->resume({0});
  const Stop stop = run({~std::uint64_t{0}});
  (void)vcpu.set_capability(hypervisor::Capability::MonitorTrap, false);
  (void)vcpu.set_capability(hypervisor::Capability::MaskInterrupts, false);
  if (stop == Stop::AtStep) engine_->resume({0});
  return stop == Stop::AtStep;
}

BareMachine::Saved BareMachine::save() {
  StateSaver saver;
  engine_->visit_state(saver);
  return {std::move(saver.saved), platform_};
}

void BareMachine::load(const Saved& saved) {
  StateLoader loader(saved.engine);
  engine_->visit_state(loader);
  platform_ = saved.platform;
  platform_.connect(*engine_, ram_);
  engine_->resume({0});  // it may have died meanwhile
}

BareTwins::BareTwins(const Scene& scene, const soft::TranslatorOptions& options) {
  machines_ = {std::make_unique<BareMachine>(scene, interpreted()),
               std::make_unique<BareMachine>(scene, options)};
}

void BareTwins::run_to(InsnCount total) {
  for (const auto& machine : machines_)
    machine->run_to(total);
}

std::string BareTwins::difference(Depth depth) {
  return machine_difference(machine(Side::Interpreted), machine(Side::Translated), depth);
}

std::string machine_difference(BareMachine& one, BareMachine& other, Twins::Depth depth) {
  std::string text = processor_difference(one.engine(), other.engine());
  if (depth == Twins::Depth::Everything) text += memory_difference(one.ram(), other.ram());
  compare_words(one.events(), other.events(), "event", text);
  compare_words(one.platform().accesses(), other.platform().accesses(), "access", text);
  return text;
}

}  // namespace ringside::testing
