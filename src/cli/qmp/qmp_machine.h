// The machine behind the machine protocol: the guest is held by a gate of its own between engine
// and debug server (hypervisor/holdable_vm.h), so that it runs only while neither this nor a
// debugger holds it, and neither has to know of the other. docs/decisions/0044 has the reasons.
//
// Owned by the program; main thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/folder.h"
#include "cli/qmp/guest_file.h"
#include "guests/core/core_stream.h"
#include "hypervisor/holdable_vm.h"
#include "machine/machine.h"
#include "platform/guest_ram.h"
#include "qmp/machine.h"
#include "qmp/session.h"
#include "ringside/debug_endpoint.h"
#include "ringside/event_loop.h"
#include "time/record/position.h"

namespace ringside::cli {

// What it reaches. All of it outlives it.
struct QmpSubjects {
  hypervisor::HoldableVm& vm;
  DebugEndpoint& debugger;
  const hypervisor::GuestRam& ram;
  const machine::Machine& machine;
  EventLoop& loop;
  bool uses_kvm = false;
  Folder& files;                        // that of --files
  std::function<Result<void>()> reset;  // while every vCPU is out of the guest
  std::function<Result<void>()> press_power_button;
  std::function<Result<void>()> wake_up;   // if it sleeps
  std::function<time::Position()> moment;  // in its run, at which the guest is
  std::function<guests::CoreSubject()> core;
  std::function<void(const qmp::Event&)> tell;  // of what happens here
};

class QmpMachine final : public qmp::Machine {
 public:
  explicit QmpMachine(QmpSubjects subjects);

  // After the debug server's turn: goes on with what takes long.
  void settle();
  // settle() has more to do, though nothing comes from outside.
  bool has_work() const;
  bool wants_vm_end() const { return quits_; }
  // A file is made of the guest, which nobody may change until it is written.
  bool is_writing() const { return writing_ && writing_->moment; }

  // ---- qmp::Machine
  qmp::RunState state() const override;
  unsigned vcpu_count() const override { return subjects_.vm.vcpu_count(); }
  int thread_of(unsigned vcpu) const override;
  bool uses_kvm() const override { return subjects_.uses_kvm; }
  bool has_kvm() const override { return has_kvm_; }
  std::string version() const override;
  qmp::DumpState dump_state() const override;
  std::unique_ptr<qmp::Task> stop() override;
  void cont() override;
  void quit() override;
  std::unique_ptr<qmp::Task> reset() override;
  std::unique_ptr<qmp::Task> power_down() override;
  std::unique_ptr<qmp::Task> wake_up() override;
  std::unique_ptr<qmp::Task> monitor(std::string line, unsigned vcpu) override;
  Result<std::unique_ptr<qmp::Task>> dump(qmp::DumpWish wish) override;
  Result<std::unique_ptr<qmp::Task>> save_memory(qmp::MemoryWish wish) override;

  const QmpSubjects& subjects() const { return subjects_; }
  bool is_stopped() const { return subjects_.vm.is_held() && subjects_.vm.all_out(); }

 private:
  // A file that is written while the guest stands for it.
  struct Writing {
    std::unique_ptr<GuestFile> file;
    std::shared_ptr<std::optional<Result<std::string>>> result;  // for who has asked
    bool is_dump = false;
    // Of which the file is. Nothing before every vCPU is out of the guest and no debugger is under
    // way to another one.
    std::optional<time::Position> moment;
  };
  std::unique_ptr<qmp::Task> write(std::unique_ptr<GuestFile> file, bool is_dump);
  void end_writing(const Result<void>& how);
  void hold_or_let_go();

  QmpSubjects subjects_;
  const bool has_kvm_;    // looked for at the start
  bool stopped_ = false;  // by `stop`
  bool quits_ = false;
  std::optional<Writing> writing_;
  qmp::DumpState dump_;
  // Of the dump that is written.
  std::function<std::pair<std::uint64_t, std::uint64_t>()> progress_;
};

}  // namespace ringside::cli
