// A machine for tests of the protocol: it notes what it is asked for, and what takes time takes it
// until the test says so. Owned by the test; one thread.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "qmp/machine.h"

namespace ringside::qmp::testing {

class FakeMachine final : public Machine {
 public:
  RunState state() const override {
    if (is_stopped) return RunState::Paused;
    if (debugger_holds) return RunState::Debug;
    return sleeps ? RunState::Suspended : RunState::Running;
  }
  unsigned vcpu_count() const override { return 2; }
  int thread_of(unsigned vcpu) const override { return static_cast<int>(100 + vcpu); }
  bool uses_kvm() const override { return false; }
  bool has_kvm() const override { return true; }
  std::string version() const override { return "fake 1"; }
  DumpState dump_state() const override { return dump_now; }

  std::unique_ptr<Task> stop() override {
    is_stopped = true;
    return note("stop", "");
  }
  void cont() override {
    is_stopped = false;
    happened.push_back("cont");
  }
  void quit() override { happened.push_back("quit"); }
  std::unique_ptr<Task> reset() override { return note("reset", ""); }
  std::unique_ptr<Task> power_down() override { return note("power down", ""); }
  std::unique_ptr<Task> wake_up() override { return note("wake up", ""); }
  std::unique_ptr<Task> monitor(std::string line, unsigned vcpu) override {
    return note("monitor " + line + " on " + std::to_string(vcpu), "said: " + line + "\r\n");
  }
  Result<std::unique_ptr<Task>> dump(DumpWish wish) override {
    std::string what = wish.linear ? "dump linear" : "dump";
    if (wish.range) {
      what += " " + std::to_string(wish.range->begin) + "+" + std::to_string(wish.range->length);
    }
    if (const auto* file = std::get_if<FileName>(&wish.place)) {
      what += " to " + file->name;
    } else {
      received = std::move(std::get<Fd>(wish.place));
    }
    return note(std::move(what), "");
  }
  Result<std::unique_ptr<Task>> save_memory(MemoryWish wish) override {
    return note("save " + std::to_string(wish.address) + "+" + std::to_string(wish.size) +
                    (wish.vcpu ? " of vCPU " + std::to_string(*wish.vcpu) : "") + " to " +
                    wish.file,
                "");
  }

  std::vector<std::string> happened;
  bool is_stopped = false, debugger_holds = false, sleeps = false;
  bool takes_time = false;  // tasks are not done while it is set
  std::string fails;        // and then they fail with this, if it is not empty
  DumpState dump_now;
  Fd received;

 private:
  class FakeTask final : public Task {
   public:
    FakeTask(const FakeMachine& machine, std::string text)
        : machine_(machine), text_(std::move(text)) {}
    std::optional<Result<std::string>> advance() override {
      if (machine_.takes_time) return std::nullopt;
      if (!machine_.fails.empty())
        return Result<std::string>(fail(ErrorCode::BadRequest, machine_.fails));
      return text_;
    }

   private:
    const FakeMachine& machine_;
    std::string text_;
  };
  std::unique_ptr<Task> note(std::string what, std::string text) {
    happened.push_back(std::move(what));
    return std::make_unique<FakeTask>(*this, std::move(text));
  }
};

}  // namespace ringside::qmp::testing
