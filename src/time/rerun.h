// A recorded run again, for who compares it with another: forward to places of it, and back to one
// that was remembered. Nobody sees what the guest puts out, and no end stops it.
//
// It is in its past from the first instruction on (History), because there the engine tells of
// nothing and the guest cannot end. Owned by who compares; main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "time/course.h"
#include "time/history.h"
#include "time/record/checker.h"
#include "time/record/journal.h"
#include "time/record/timeline.h"

namespace ringside::time {

class Rerun final : private hypervisor::HitListener, private hypervisor::PageKeeper {
 public:
  // The machine is as at power-on, and loaded; nothing of it is the world's, disks neither. `name`
  // is for errors. `restart` makes it so again, and may change RAM without telling of it.
  Rerun(std::string name, HistorySubjects subjects, JournalReader journal,
        std::function<Result<void>()> restart);
  ~Rerun() override;

  const std::string& name() const { return name_; }
  const JournalReader& journal() const { return journal_; }
  // The last place that the journal knows of.
  const Place& end() const { return end_; }
  Place place_of(InsnCount count) const { return course_.place_of(count); }
  Place here() const { return course_.here(); }
  // To a place that is not behind. An error: the run is not the recorded one.
  Result<void> go_to(const Place& place);

  // The place that go_back() comes to. What was before is forgotten.
  void remember();
  void go_back();
  // Numbers of pages of RAM that may have another content than there.
  const std::vector<std::uint64_t>& changed_pages();

  hypervisor::Engine& engine() { return subjects_.engine; }
  machine::Machine& machine() { return subjects_.machine; }
  const hypervisor::GuestRam& ram() const { return subjects_.ram; }

 private:
  Answer hit(VcpuId, const hypervisor::Exit&, hypervisor::Progress) override {
    return Answer::GoOn;
  }
  void keep(Gpa page, const std::uint8_t* content) override;
  Result<void> advance(const Place& place);
  Result<void> compare(const JournalCheck& recorded);
  Result<void> restart_again();
  static Place end_of(const JournalReader& journal);

  const std::string name_;
  HistorySubjects subjects_;
  JournalReader journal_;
  std::function<Result<void>()> restart_;
  Place end_;
  Timeline timeline_;
  History history_;
  Course course_;
  Checker checker_;
  std::size_t next_check_ = 0;
  InsnCount alike_;  // it was the recorded run up to there
  std::vector<std::uint64_t> changed_;
};

}  // namespace ringside::time
