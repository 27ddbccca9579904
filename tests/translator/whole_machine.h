// A whole machine as the program would make it from its command line, without sockets: kernel or
// firmware, devices, vCPUs, and a journal's inputs, if there is one. Owned by one test or tool; one
// thread. Disks are read from their files and written to in memory only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/options/options.h"
#include "cli/start/files.h"
#include "engine/soft/soft_vm.h"
#include "machine/boot/boot.h"
#include "machine/machine.h"
#include "platform/guest_ram.h"
#include "time/record/journal.h"
#include "translator/twins.h"

namespace ringside::testing {

class CopiedDisk;

class WholeMachine {
 public:
  static Result<std::unique_ptr<WholeMachine>> create(const cli::Options& options,
                                                      const soft::TranslatorOptions& translator);
  ~WholeMachine();

  // Runs until so many instructions have retired in all, or until the guest has ended, sleeps for
  // ever, or the journal is over. An error: the run has left the journal's path.
  Result<void> run_to(InsnCount total);

  soft::SoftEngine& engine() { return *engine_; }
  machine::Machine& machine() { return *machine_; }
  const hypervisor::GuestRam& ram() const { return ram_; }
  const std::string& output() const { return output_; }  // on COM1 and the debug port
  std::string end() const;                               // how it ended; empty: it goes on
  std::uint64_t writes_to_disks() const;                 // a figure of all of them
  // Whether this is the state in which the recorded run ended; nothing: the journal does not say,
  // or the run is not there.
  std::optional<bool> is_as_recorded();

 private:
  explicit WholeMachine(hypervisor::GuestRam ram) : ram_(std::move(ram)) {}
  Result<void> load(const cli::Options& options);
  Result<void> power_on();
  Result<void> open_journal(const std::string& path);
  Result<void> restart();
  Result<bool> prepare_slice(InsnCount total);
  bool sleep();

  hypervisor::GuestRam ram_;
  bool is_firmware_ = false;
  cli::FileContent image_;
  std::vector<cli::FileContent> modules_;
  machine::BootRequest request_;
  x86::CpuState entry_;
  std::vector<std::shared_ptr<CopiedDisk>> disks_;
  std::string output_;
  std::optional<time::JournalReader> journal_;
  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<soft::SoftEngine> engine_;
  unsigned idle_ = 0;  // sleeps since an instruction retired
  bool is_over_ = false;
};

class WholeTwins final : public Twins {
 public:
  // Throws std::runtime_error where the machine cannot be made.
  WholeTwins(const cli::Options& options, const soft::TranslatorOptions& translator);

  WholeMachine& machine(Side side) { return *machines_[static_cast<std::size_t>(side)]; }
  soft::SoftEngine& engine(Side side) override { return machine(side).engine(); }
  void run_to(InsnCount total) override;
  std::string difference(Depth depth = Depth::Everything) override;

 private:
  std::unique_ptr<WholeMachine> machines_[2];
  std::string errors_[2];
};

}  // namespace ringside::testing
