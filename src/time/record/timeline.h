// Outside inputs and idle time: the two things by which the world reaches the guest. Every input
// goes through here, so that it can be recorded, and replayed at the same instruction. What a
// debugger changes comes from the engine, which tells of it.
//
// Idle virtual time follows the wall clock: while all vCPUs sleep, the main loop waits as long as
// the guest would, and what interrupts the wait finds virtual time where it should be. Main thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "machine/machine.h"
#include "platform/engine.h"
#include "platform/guest_ram.h"
#include "platform/recordable.h"
#include "time/record/checker.h"
#include "time/record/disk_failures.h"
#include "time/record/input_log.h"
#include "time/record/inputs.h"
#include "time/record/journal.h"
#include "time/record/pace.h"

namespace ringside::time {

// What is said to who wants to change the machine while it is in its past.
inline constexpr const char* kPastIsFixed =
    "the guest is in its past, which cannot be changed; 'monitor branch' drops what came after and "
    "goes on from here";

class Timeline final : private machine::DiskWitness {
 public:
  using Clock = std::chrono::steady_clock;

  // Instructions between two checks of a recording.
  static constexpr std::uint64_t kBetweenChecks = 64'000'000;

  Timeline(hypervisor::Engine& engine, machine::Machine& machine, Pace pace)
      : engine_(engine), machine_(machine), pace_(pace), recordable_(engine.recordable()) {
    if (recordable_ != nullptr) machine_.set_disk_witness(this);
  }
  ~Timeline() override;
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  // At most one of the two, before the first slice, and only if the engine is Recordable.
  void record(JournalWriter journal);
  // `restart` makes the machine as at power-on while vCPUs may be in the guest.
  void replay(JournalReader journal, std::function<Result<void>()> restart);
  // After one of the two: a recording has checks, and a replay is compared with those that it comes
  // to. RAM has what the run begins with; it and the engine outlive the timeline.
  void check_memory_too(const hypervisor::GuestRam& ram);
  // Outside input has no effect: it all comes from the journal.
  bool replaying() const { return reader_.has_value(); }
  bool recording() const { return writer_.has_value(); }

  // ---- For who goes back in the run. After record() or replay(), before the first slice: inputs
  // are kept in memory, those to come as well in a replay.
  void keep_log();
  InputLog& log() { return *log_; }
  Place place() const { return {position(), replaying() ? replayed_ : log_->end()}; }
  // What is in force for the run as it was recorded.
  const hypervisor::Supervision& supervision() const { return supervision_; }
  // The machine is in its past: what comes from outside waits until it is in the present again.
  void enter_past() { in_past_ = true; }
  Result<void> enter_present();
  bool in_past() const { return in_past_; }
  // In the past, since the last call: a disk could not do what it did then, so that this is another
  // run; and one had the machine wait for it.
  std::optional<Error> take_lost_disk() { return std::exchange(lost_disk_, std::nullopt); }
  bool take_disk_wait() { return std::exchange(disk_waits_, false); }
  // The past becomes the present: what came after so many inputs is forgotten.
  Result<void> branch(std::uint64_t inputs);
  // In the past: the supervision of this moment, and an input of the log.
  void supervise(const hypervisor::Supervision& supervision);
  Result<void> repeat(std::uint64_t number) { return apply(log_->input_of(number)); }

  // Applies an input now, and writes it to the journal.
  Result<void> input(const Input& input);
  // Only writes it; the caller applies it then. NotSupported in a replay.
  Result<void> note(const Input& input);
  // Before each slice: applies what the journal says is due, or writes what has changed about which
  // vCPUs may run.
  Result<void> prepare_slice();
  // After each slice in which the guest ran.
  Result<void> slice_over();
  // A replay is where something outside the guest ended the recorded run.
  bool recording_is_over() const { return over_; }
  // The run has ended in a state with this hash: written to the journal, or compared with it. An
  // error says how a replay differs; the text, why there was no end to compare with, if so.
  Result<std::optional<std::string>> finish(JournalEnd::By by, std::uint64_t hash);
  bool has_journal() const { return writer_ || reader_; }

  // After a slice with nothing to run: how long to wait for something from outside; nothing: for
  // ever. Zero when virtual time may run ahead, and then it has.
  std::optional<std::chrono::nanoseconds> begin_wait(Clock::time_point now);
  // After a slice in which the guest ran: how long to hold it back, because virtual time is ahead
  // of the wall clock. Nothing is held back in a replay or where time need not keep pace.
  std::chrono::nanoseconds lead(Clock::time_point now);
  // The wait is over, or something has come that must find virtual time up to date.
  void end_wait(Clock::time_point now);

 private:
  static constexpr std::size_t kFewFailures = 4096;
  struct Wait {
    Clock::time_point start;
    VirtualTime from, until;
  };
  enum class Moment { Ahead, Now };
  Position position() const;
  Result<Moment> approach(Position at);
  Result<void> approach_end();
  bool something_due() const;
  bool recorded_run_holds_all() const;
  bool all_dead() const;
  Result<void> append(const Input& input);
  Result<void> note_supervision();
  Result<void> apply(const Input& input);
  std::optional<std::uint64_t> failed_after(unsigned disk, std::uint64_t transfer) const override;
  void fails(const machine::DiskFailure& failure) override;
  void waits() override { disk_waits_ = true; }
  template <typename Each>
  void for_failures_of_log(std::uint64_t from, const Each& each) const;
  void hear_changes();
  void note_reset(const Input& input);
  Result<void> replay_due();
  Result<void> compare(const JournalCheck& recorded);
  tl::unexpected<Error> off_the_path(const std::string& why = {}) const;
  std::string unlike(const Check& recorded, const Check& now) const;

  hypervisor::Engine& engine_;
  machine::Machine& machine_;
  Pace pace_;
  std::optional<Wait> wait_;
  // The wall clock when virtual time was zero, as far as the two have kept pace since.
  std::optional<Clock::time_point> zero_;
  hypervisor::Recordable* recordable_;  // null: there is no journal
  std::optional<JournalWriter> writer_;
  std::optional<JournalReader> reader_;
  std::uint64_t replayed_ = 0;        // entries of the reader
  std::unique_ptr<Checker> checker_;  // null: there are no checks, and none is looked at
  std::uint64_t next_check_ = kBetweenChecks;
  InsnCount alike_;  // a replay was the recorded run up to there
  std::optional<InputLog> log_;
  DiskFailures disk_failures_;                // of the journal that is replayed, or of the log
  std::size_t most_failures_ = kFewFailures;  // then those go that the log has no more
  std::optional<Error> lost_disk_;
  bool disk_waits_ = false;
  bool in_past_ = false;
  std::vector<Input> waiting_;  // what came from outside meanwhile
  std::function<Result<void>()> restart_;
  hypervisor::Supervision supervision_;  // that the journal said last
  std::optional<Error> failure_;         // of writing what a debugger has changed
  bool over_ = false;
  bool stranded_ = false;  // a replay sleeps for ever, and the journal says nothing of it
};

}  // namespace ringside::time
