#include "cli/monitor/hash_command.h"

#include <fmt/format.h>

#include <memory>

#include "time/record/machine_hash.h"

namespace ringside::cli {
namespace {

class HashWork final : public debug::MonitorWork {
 public:
  HashWork(hypervisor::Recordable& engine, machine::Machine& machine,
           const hypervisor::GuestRam& ram)
      : instructions_(engine.total_instructions()), hash_(engine, machine, ram) {}
  std::optional<std::string> advance() override {
    if (!hash_.advance()) return std::nullopt;
    return fmt::format("{} instructions, hash {:016x}\n", instructions_.value, hash_.value());
  }
  std::string progress() const override {
    return fmt::format("hash: {} of {} MiB", hash_.done() >> 20, hash_.total() >> 20);
  }

 private:
  InsnCount instructions_;
  time::MachineHash hash_;
};

}  // namespace

debug::MonitorCommand hash_command(hypervisor::Recordable& engine, machine::Machine& machine,
                                   const hypervisor::GuestRam& ram) {
  debug::MonitorCommand command;
  command.name = "hash";
  command.help = "Shows how many instructions were run, and a hash of CPUs, devices and memory.";
  command.begin = [&engine, &machine, &ram](std::string_view) {
    return std::make_unique<HashWork>(engine, machine, ram);
  };
  return command;
}

}  // namespace ringside::cli
