#include "engine/kvm/watch/page_watch.h"

#include <sys/mman.h>

#include <algorithm>
#include <unordered_set>

#include "base/log.h"

namespace ringside::kvm {
namespace {

using hypervisor::WatchKind;
namespace exit = hypervisor::exit;

// Each takes a slot of KVM, and each change of one costs the guest its translations.
constexpr std::size_t kMostRuns = 256;
// Of one range: its pages are looked at one by one, and again at each resume.
constexpr std::uint64_t kMostBytes = 256u << 20;

bool counts(WatchKind kind, bool reads, bool writes) {
  return (writes && kind != WatchKind::Read) || (reads && kind != WatchKind::Write);
}

bool meet(std::uint64_t a, std::uint64_t a_size, std::uint64_t b, std::uint64_t b_size) {
  return a - b < b_size || b - a < a_size;
}

hypervisor::Exit exit_of(const PageWatches::Watch& watch, bool by_device) {
  if (watch.space == PageWatches::Space::Linear)
    return exit::Watchpoint{{watch.address}, watch.kind};
  return exit::PhysicalWatchpoint{{watch.address}, watch.kind, by_device};
}

void add_hit(const PageWatches::Watch& watch, bool by_device, PageWatches::Hits& hits) {
  const auto same = [&](const hypervisor::Exit& hit) {
    if (const auto* linear = std::get_if<exit::Watchpoint>(&hit))
      return watch.space == PageWatches::Space::Linear && linear->address.value == watch.address &&
             linear->kind == watch.kind;
    const auto* physical = std::get_if<exit::PhysicalWatchpoint>(&hit);
    return physical != nullptr && watch.space == PageWatches::Space::Physical &&
           physical->address.value == watch.address && physical->kind == watch.kind;
  };
  if (std::none_of(hits.begin(), hits.end(), same)) hits.push_back(exit_of(watch, by_device));
}

}  // namespace

// ---- The main thread

Result<void> PageWatches::insert(const Watch& watch, const std::vector<Translate>& vcpus) {
  if (watch.size == 0 || watch.address + watch.size - 1 < watch.address)
    return fail(ErrorCode::BadRequest, "a watched range is at least one byte and does not wrap");
  if (watch.size > kMostBytes) {
    return fail(ErrorCode::BadRequest,
                "on KVM a watched range has at most 256M; the software CPU (-e soft) watches any");
  }
  Entry entry{watch, locate(watch, vcpus)};
  {
    const std::lock_guard lock(lock_);
    entries_.push_back(std::move(entry));
  }
  Result<void> done = arrange();
  if (!done) (void)remove(watch);
  return done;
}

Result<void> PageWatches::remove(const Watch& watch) {
  {
    const std::lock_guard lock(lock_);
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& entry) { return entry.watch == watch; });
    if (found == entries_.end()) return fail(ErrorCode::NotFound, "there is no such watchpoint");
    entries_.erase(found);
  }
  return arrange();
}

bool PageWatches::has(const Watch& watch) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return entry.watch == watch; });
}

std::size_t PageWatches::pages_of(const Watch& watch) const {
  std::size_t pages = 0;
  for (const Entry& entry : entries_) {
    if (entry.watch == watch) pages = entry.memory.size();
  }
  return pages;
}

Result<void> PageWatches::follow(const std::vector<Translate>& vcpus) {
  bool moved = false;
  for (Entry& entry : entries_) {
    std::vector<Range> now = locate(entry.watch, vcpus);
    if (now == entry.memory) continue;
    const std::lock_guard lock(lock_);
    entry.memory = std::move(now);
    moved = true;
  }
  if (!moved) return {};
  return arrange();
}

// One range a page, and none twice.
std::vector<PageWatches::Range> PageWatches::locate(const Watch& watch,
                                                    const std::vector<Translate>& vcpus) {
  std::vector<Range> memory;
  std::unordered_set<std::uint64_t> known;
  for (std::uint64_t done = 0; done < watch.size;) {
    const std::uint64_t at = watch.address + done;
    const std::uint64_t part = std::min(watch.size - done, kPageSize - at % kPageSize);
    const auto add = [&](std::uint64_t physical) {
      if (known.insert(physical).second) memory.push_back({physical, part});
    };
    if (watch.space == Space::Physical) {
      add(at);
    } else {
      for (const Translate& translate : vcpus) {
        if (const std::optional<Gpa> gpa = translate({at})) add(gpa->value);
      }
    }
    done += part;
  }
  return memory;
}

PageWatches::Run* PageWatches::run_of(std::uint64_t page) {
  for (Run& run : runs_) {
    if (page - run.base < run.size) return &run;
  }
  return nullptr;
}

// Gives the pages of [base, end), which lie in one slot, a mapping where they have none.
Result<void> PageWatches::make_runs(std::uint64_t base, std::uint64_t end) {
  for (std::uint64_t at = base; at < end;) {
    if (const Run* run = run_of(at)) {
      at = run->base + run->size;
      continue;
    }
    std::uint64_t stop = at;
    while (stop < end && run_of(stop) == nullptr)
      stop += kPageSize;
    if (runs_.size() >= kMostRuns)
      return fail(ErrorCode::Busy, "too many separate pages have been watched");
    std::uint8_t* mapping = TRY(ram_.map_again({at}, stop - at));
    TRY(slots_.move({at}, stop - at, mapping));
    runs_.push_back({at, stop - at, mapping, {}});
    runs_.back().needs.resize((stop - at) / kPageSize);
    at = stop;
  }
  return {};
}

Result<void> PageWatches::arrange() {
  std::vector<Range> pages;  // neighbours joined, so that a long watch is one run
  for (const Entry& entry : entries_) {
    for (const Range& range : entry.memory) {
      const std::uint64_t page = range.base & kPageMask;
      if (ram_.find({page}, kPageSize) == nullptr) continue;  // a device's, or nobody's
      const bool neighbour = !pages.empty() && pages.back().base + pages.back().size == page &&
                             ram_.find({pages.back().base}, pages.back().size + kPageSize);
      if (neighbour) {
        pages.back().size += kPageSize;
      } else {
        pages.push_back({page, kPageSize});
      }
    }
  }
  for (const Range& range : pages)
    TRY(make_runs(range.base, range.base + range.size));
  for (Run& run : runs_)
    std::fill(run.needs.begin(), run.needs.end(), Need::None);
  for (const Entry& entry : entries_) {
    const Need need = entry.watch.kind == WatchKind::Write ? Need::Write : Need::All;
    for (const Range& range : entry.memory) {
      const std::uint64_t page = range.base & kPageMask;
      if (Run* run = run_of(page)) {
        Need& at = run->needs[(page - run->base) / kPageSize];
        at = std::max(at, need);
      }
    }
  }
  any_ = !entries_.empty();
  close();
  return {};
}

// ---- Any thread

void PageWatches::device_wrote(Gpa address, std::uint64_t size, Hits& hits) const {
  const std::lock_guard lock(lock_);
  for (const Entry& entry : entries_) {
    const Watch& watch = entry.watch;
    if (watch.space == Space::Physical && counts(watch.kind, false, true) &&
        meet(address.value, size, watch.address, watch.size))
      add_hit(watch, true, hits);
  }
}

// ---- vCPU threads

void PageWatches::accessed(Gpa address, std::uint64_t size, bool write, Hits& hits) const {
  for (const Entry& entry : entries_) {
    const auto met = [&](const Range& range) {
      return meet(address.value, size, range.base, range.size);
    };
    if (counts(entry.watch.kind, !write, write) &&
        std::any_of(entry.memory.begin(), entry.memory.end(), met))
      add_hit(entry.watch, false, hits);
  }
}

void PageWatches::accessed(const std::vector<MemoryAccess>& all, const Translate& translate,
                           Hits& hits) const {
  for (const MemoryAccess& access : all) {
    for (const Entry& entry : entries_) {
      const Watch& watch = entry.watch;
      if (!counts(watch.kind, access.reads, access.writes)) continue;
      if (watch.space == Space::Linear) {
        if (meet(access.address.value, access.size, watch.address, watch.size))
          add_hit(watch, false, hits);
        continue;
      }
      for (std::uint64_t done = 0; done < access.size;) {
        const Gva at = access.address + done;
        const std::uint64_t part = std::min(access.size - done, kPageSize - at.value % kPageSize);
        const std::optional<Gpa> gpa = translate(at);
        if (gpa && meet(gpa->value, part, watch.address, watch.size)) add_hit(watch, false, hits);
        done += part;
      }
    }
  }
}

void PageWatches::protect(const Run& run, bool open) {
  const auto rights = [&](std::size_t page) {
    if (open || run.needs[page] == Need::None) return PROT_READ | PROT_WRITE;
    return run.needs[page] == Need::Write ? PROT_READ : PROT_NONE;
  };
  for (std::size_t first = 0; first < run.needs.size();) {
    std::size_t last = first;
    while (last < run.needs.size() && rights(last) == rights(first))
      ++last;
    if (::mprotect(run.mapping + first * kPageSize, (last - first) * kPageSize, rights(first)) != 0)
      log::error("the pages of a watchpoint cannot be protected");
    first = last;
  }
}

void PageWatches::open() {
  for (const Run& run : runs_)
    protect(run, true);
}

void PageWatches::close() {
  for (const Run& run : runs_)
    protect(run, false);
}

}  // namespace ringside::kvm
