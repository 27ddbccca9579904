// Going back and forth in a run: what a debugger asks for (hypervisor::TimeTravel), and what the
// monitor's commands do. It takes marks while the guest runs, and looks for places afterwards.
//
// Owned by the program; main thread. A journey is done in steps of at most a slice.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "platform/rewindable.h"
#include "ringside/time_travel.h"
#include "time/course.h"
#include "time/history.h"
#include "time/record/timeline.h"

namespace ringside::time {

// A hit on a journey, and where the machine has to be for it to come next.
struct Hit {
  Place before;
  VcpuId vcpu;
  hypervisor::Exit exit;
};

class Travels final : public hypervisor::TimeTravel, private hypervisor::HitListener {
 public:
  // Instructions between two marks in the present, at most.
  static constexpr std::uint64_t kBetweenMarks = 24'000'000;

  Travels(hypervisor::Engine& engine, Timeline& timeline, History& history,
          std::uint64_t between_marks = kBetweenMarks);
  ~Travels() override;

  // ---- The present
  void begin();       // before the first slice, and after a reset: there is no past before it
  void slice_over();  // after each slice
  bool busy() const { return task_ != nullptr || in_past(); }  // the main loop runs no slice

  // ---- TimeTravel
  bool in_past() const override { return history_.in_past(); }
  std::optional<std::string> why_fixed() const override;
  bool is_at_end() const override { return !in_past() && timeline_.recording_is_over(); }
  Result<void> set_out(const hypervisor::Journey& journey) override;
  std::optional<Result<hypervisor::Arrival>> advance() override;
  hypervisor::Arrival give_up() override;
  Result<void> return_to_present() override;

  // ---- For the monitor: advance() works on these as well
  Place here() const { return course_.here(); }
  Place present() const;
  Place beginning() const { return history_.mark(0).place; }
  InsnCount count() const { return here().at.progress.instructions; }
  Place place_of(InsnCount count) const { return course_.place_of(count); }
  void set_out_to(const Place& place);
  // Before the last write to RAM at these physical addresses, by whomever; Begin if there was none.
  void set_out_to_last_write(Gpa address, std::uint64_t size);
  // From there: this vCPU has executed what makes the write.
  void set_out_past_write(VcpuId vcpu);
  // What came after is forgotten.
  Result<void> branch();
  const History& history() const { return history_; }

 private:
  friend class Journeys;  // their tasks

  // What a journey does, a step at a time: whether it is over.
  class Task {
   public:
    virtual ~Task() = default;
    virtual Result<bool> step() = 0;
    hypervisor::Arrival arrival;  // where it has come to, at its end
  };
  // What becomes of hits meanwhile.
  enum class Hits : std::uint8_t { Ignored, Noted, Stop };

  void mark_present();
  void start(std::unique_ptr<Task> task);
  void end_journey();
  hypervisor::Arrival arrived(hypervisor::Arrival arrival);
  Result<void> leave_past();

  bool is_own(const hypervisor::Exit& exit) override;
  Answer hit(VcpuId vcpu, const hypervisor::Exit& exit, hypervisor::Progress before) override;

  hypervisor::Engine& engine_;
  hypervisor::Recordable& recordable_;
  hypervisor::Rewindable& rewindable_;
  Timeline& timeline_;
  History& history_;
  const std::uint64_t between_marks_;
  Course course_;
  std::unique_ptr<Task> task_;
  Hits hits_ = Hits::Ignored;
  std::optional<Gpa> own_watch_;
  std::optional<Hit> noted_;  // the last one
  std::uint64_t next_mark_ = 0;
  std::chrono::steady_clock::time_point marked_{};  // when the last mark was made
  // The places of the last stretch that was gone through part by part, for steps that follow.
  struct Part {
    Place before;
    std::optional<VcpuId> mover;  // whose part it was
    std::optional<Hit> hit;       // that it made, with a watchpoint
  };
  std::vector<Part> parts_;
  std::vector<std::uint64_t> parts_steps_;  // what each vCPU had done where they begin
};

}  // namespace ringside::time
