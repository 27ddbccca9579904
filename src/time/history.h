// What the machine was: marks, at which all of its state is known, and between two of them what RAM
// and disks had before it was changed.
//
// The machine's memory is always that of one moment. To go from one mark to another, what is kept
// between them changes places with what the memory has: before the machine's place the spans hold
// what was before them, behind it what comes after. From a mark the machine may run on (Travels
// does that); what it changes then is kept in spans of its own, between cuts, and undone before it
// goes to another mark.
//
// Owned by the program; main thread, between two slices, except for keep(), which the engine calls
// in a slice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "machine/machine.h"
#include "platform/engine.h"
#include "platform/guest_ram.h"
#include "time/page_store.h"
#include "time/past_disk.h"
#include "time/record/position.h"

namespace ringside::time {

struct HistorySubjects {
  hypervisor::Engine& engine;  // Recordable and Rewindable
  machine::Machine& machine;
  hypervisor::GuestRam& ram;
  std::vector<std::shared_ptr<PastDisk>> disks;
};

class History final : public hypervisor::PageKeeper, public SectorKeeper {
 public:
  struct Mark {
    Place place;
    hypervisor::Supervision supervision;  // that is in force there
    std::vector<std::byte> state;         // of CPUs and devices
    std::vector<std::uint64_t> steps;     // Rewindable::steps_of each vCPU
  };

  // `limit`: bytes, of all that is kept.
  History(HistorySubjects subjects, std::uint64_t limit);
  ~History() override;

  // ---- In the present
  // There is no past before this moment. The supervision is what is in force from here on.
  void begin(const Place& now, const hypervisor::Supervision& supervision);
  // A mark at this moment.
  void add_mark(const Place& now, const hypervisor::Supervision& supervision);
  // What is kept no longer fits: the past begins at the next mark.
  bool is_lost() const { return lost_; }

  // ---- Marks. The first is the beginning, the last the present, once there has been a journey.
  std::size_t marks() const { return marks_.size(); }
  const Mark& mark(std::size_t index) const { return marks_[index]; }
  // The machine is as it was there. From the present on it is in the past, also at the last mark.
  void go_to_mark(std::size_t index);
  std::size_t base() const { return base_; }  // the mark that the machine came to last
  // In the past: nothing is in it any more. The machine is at the last mark.
  void leave_past();
  bool in_past() const { return in_past_; }
  // In the past: where the machine is becomes the present, and what came after is forgotten. False:
  // a disk's image cannot be written, and the machine stays in its past.
  [[nodiscard]] bool forget_future(const Place& now, const hypervisor::Supervision& supervision);
  // Whether RAM in [address, address + size) was changed between a mark and the next one.
  bool changed_after(std::size_t index, Gpa address, std::uint64_t size) const;

  // ---- Cuts, between the base and the mark behind it. The first is the base itself.
  std::size_t cuts() const { return cuts_.size(); }
  const Mark& cut(std::size_t index) const { return cuts_[index].mark; }
  void add_cut(const Place& now, const hypervisor::Supervision& supervision);
  // Later ones go.
  void go_to_cut(std::size_t index);

  std::uint64_t bytes() const;  // in use
  std::uint64_t limit() const { return limit_; }
  // What a span has, for who shows it.
  std::size_t pages_after(std::size_t index) const { return spans_[index].pages.size(); }

  void keep(Gpa page, const std::uint8_t* content) override;
  void keep(unsigned disk, std::uint64_t sector, const Sector& content) override;

 private:
  struct KeptPage {
    std::uint64_t number = 0;  // address / kPageSize
    PageStore::Content content = nullptr;
  };
  struct KeptSector {
    unsigned disk = 0;
    std::uint64_t sector = 0;
    std::optional<Sector> content;  // nothing: what the image has
  };
  // What changed between two moments.
  struct Span {
    std::vector<KeptPage> pages;  // by number, once it is closed
    std::vector<KeptSector> sectors;
  };
  struct Cut {
    Mark mark;
    Span after;  // what it was before what has changed since
  };

  Mark make_mark(const Place& now, const hypervisor::Supervision& supervision) const;
  void load(const Mark& mark);
  void begin_interval();
  void find_written();
  void exchange(Span& span);
  void undo(Span& span);
  void release(Span& span);
  void close(Span& span);
  void shrink();
  void drop_front();
  void join(std::size_t index);
  Span& present_span() { return cuts_.empty() ? spans_.back() : cuts_.back().after; }
  std::uint8_t* memory_of(const KeptPage& page) const;

  HistorySubjects subjects_;
  hypervisor::Recordable& recordable_;
  hypervisor::Rewindable& rewindable_;
  const std::uint64_t limit_;
  PageStore pages_;
  // By page number: it may have another content than zeros, which it had at power-on.
  std::vector<bool> written_;
  std::uint64_t sectors_ = 0, state_bytes_ = 0;
  std::vector<Mark> marks_;
  std::vector<Span> spans_;  // each after the mark of the same number
  std::vector<Cut> cuts_;    // while in the past
  std::size_t base_ = 0;
  bool in_past_ = false;
  bool lost_ = false;
};

}  // namespace ringside::time
