#include "time/history.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "base/state_bytes.h"

namespace ringside::time {

History::History(HistorySubjects subjects, std::uint64_t limit)
    : subjects_(std::move(subjects)),
      recordable_(*subjects_.engine.recordable()),
      rewindable_(*subjects_.engine.rewindable()),
      limit_(limit) {
  rewindable_.keep_pages(*this);
  for (const auto& disk : subjects_.disks)
    disk->tell(this);
}

History::~History() {
  rewindable_.forget_keeper(*this);
  for (const auto& disk : subjects_.disks)
    disk->tell(nullptr);
}

std::uint64_t History::bytes() const {
  return pages_.pages() * (kPageSize + sizeof(KeptPage)) + sectors_ * sizeof(KeptSector) +
         state_bytes_;
}

std::uint8_t* History::memory_of(const KeptPage& page) const {
  return subjects_.ram.host(Gpa{page.number * kPageSize}, kPageSize);
}

// ---- Spans

void History::begin_interval() {
  rewindable_.begin_interval(*this);
  for (const auto& disk : subjects_.disks)
    disk->begin_interval();
}

// What nobody has written to is not looked at, because that would cost the host a fault for every
// page, and another one when it is written to.
void History::find_written() {
  written_.clear();
  constexpr std::uint64_t kBlock = 64 * kPageSize;
  for (const hypervisor::RamSlot& slot : subjects_.ram.slots()) {
    written_.resize(std::max(written_.size(), (slot.base.value + slot.size) / kPageSize));
    for (std::uint64_t at = 0; at < slot.size; at += kBlock) {
      const std::uint64_t size = std::min(kBlock, slot.size - at);
      const auto seen = subjects_.ram.view(slot.base + at, size);
      const auto* const in_place = reinterpret_cast<const std::byte*>(slot.host) + at;
      if (seen.size() == size && seen.data() != in_place) continue;
      for (std::uint64_t page = at; page < at + size; page += kPageSize)
        written_[(slot.base.value + page) / kPageSize] = true;
    }
  }
}

void History::keep(Gpa page, const std::uint8_t* content) {
  if (lost_) return;
  const std::uint64_t number = page.value / kPageSize;
  const bool was_written = written_[number];
  written_[number] = true;
  present_span().pages.push_back(
      {number, was_written ? pages_.keep(content) : pages_.keep_zeros()});
  if (!in_past_ && bytes() > limit_) shrink();
}

void History::keep(unsigned disk, std::uint64_t sector, const Sector& content) {
  if (lost_) return;
  present_span().sectors.push_back({disk, sector, content});
  ++sectors_;
  if (!in_past_ && bytes() > limit_) shrink();
}

// No page and no sector is in a span twice, so that their order does not matter.
void History::exchange(Span& span) {
  for (KeptPage& page : span.pages) {
    pages_.exchange(page.content, memory_of(page));
    rewindable_.page_replaced(Gpa{page.number * kPageSize});
  }
  for (KeptSector& kept : span.sectors)
    subjects_.disks[kept.disk]->exchange(kept.sector, kept.content);
}

void History::undo(Span& span) {
  exchange(span);
  release(span);
}

void History::release(Span& span) {
  for (const KeptPage& page : span.pages)
    pages_.release(page.content);
  sectors_ -= span.sectors.size();
  span = Span{};
}

void History::close(Span& span) {
  std::sort(span.pages.begin(), span.pages.end(),
            [](const KeptPage& a, const KeptPage& b) { return a.number < b.number; });
  std::sort(span.sectors.begin(), span.sectors.end(), [](const KeptSector& a, const KeptSector& b) {
    return std::tie(a.disk, a.sector) < std::tie(b.disk, b.sector);
  });
}

// ---- Marks

History::Mark History::make_mark(const Place& now,
                                 const hypervisor::Supervision& supervision) const {
  StateSaver saver;
  saver.saved.reserve(marks_.empty() ? 0 : marks_.back().state.size() * 5 / 4);
  recordable_.visit_processors(saver);
  subjects_.machine.visit_state(saver);
  Mark mark{now, supervision, std::move(saver.saved), {}};
  for (std::uint32_t i = 0; i < subjects_.engine.vcpu_count(); ++i)
    mark.steps.push_back(rewindable_.steps_of({i}));
  return mark;
}

void History::load(const Mark& mark) {
  StateLoader loader(mark.state);
  recordable_.visit_processors(loader);
  subjects_.machine.visit_state(loader);
  rewindable_.set_parts(mark.place.at.progress.parts);
  for (std::uint32_t i = 0; i < mark.steps.size(); ++i)
    rewindable_.set_steps({i}, mark.steps[i]);
  begin_interval();
}

void History::begin(const Place& now, const hypervisor::Supervision& supervision) {
  for (Span& span : spans_)
    release(span);
  marks_.clear();
  spans_.clear();
  state_bytes_ = 0;
  lost_ = false;
  find_written();
  add_mark(now, supervision);
}

void History::add_mark(const Place& now, const hypervisor::Supervision& supervision) {
  if (lost_) {
    begin(now, supervision);
    return;
  }
  if (!spans_.empty()) close(spans_.back());
  marks_.push_back(make_mark(now, supervision));
  state_bytes_ += marks_.back().state.size();
  spans_.emplace_back();
  base_ = marks_.size() - 1;
  begin_interval();
  shrink();
}

void History::go_to_mark(std::size_t index) {
  if (!in_past_) {
    in_past_ = true;
    for (const auto& disk : subjects_.disks)
      disk->enter_past();
  }
  for (; !cuts_.empty(); cuts_.pop_back())
    undo(cuts_.back().after);
  while (base_ > index)
    exchange(spans_[--base_]);
  while (base_ < index)
    exchange(spans_[base_++]);
  load(marks_[base_]);
  cuts_.push_back({marks_[base_], {}});
}

void History::leave_past() {
  go_to_mark(marks_.size() - 1);
  cuts_.clear();
  in_past_ = false;
  for (const auto& disk : subjects_.disks)
    disk->enter_present();
}

// The cuts' spans, joined, are what comes after the base.
bool History::forget_future(const Place& now, const hypervisor::Supervision& supervision) {
  for (const auto& disk : subjects_.disks) {
    if (!disk->write_back()) return false;
  }
  const std::size_t base = base_;
  for (std::size_t i = base; i < spans_.size(); ++i)
    release(spans_[i]);
  for (std::size_t i = base + 1; i < marks_.size(); ++i)
    state_bytes_ -= marks_[i].state.size();
  marks_.resize(base + 1);
  spans_.resize(base);
  for (Cut& cut : cuts_) {
    close(cut.after);
    spans_.push_back(std::move(cut.after));
    if (spans_.size() == base + 1) continue;
    marks_.push_back(marks_.back());  // join() takes it away again
    state_bytes_ += marks_.back().state.size();
    join(base + 1);
  }
  cuts_.clear();
  in_past_ = false;
  for (const auto& disk : subjects_.disks)
    disk->enter_present();
  add_mark(now, supervision);
  return true;
}

bool History::changed_after(std::size_t index, Gpa address, std::uint64_t size) const {
  const std::vector<KeptPage>& pages = spans_[index].pages;
  const auto found = std::lower_bound(
      pages.begin(), pages.end(), address.value / kPageSize,
      [](const KeptPage& page, std::uint64_t number) { return page.number < number; });
  return found != pages.end() && found->number <= (address.value + size - 1) / kPageSize;
}

// ---- Cuts

void History::add_cut(const Place& now, const hypervisor::Supervision& supervision) {
  cuts_.push_back({make_mark(now, supervision), {}});
  begin_interval();
}

void History::go_to_cut(std::size_t index) {
  while (cuts_.size() > index + 1) {
    undo(cuts_.back().after);
    cuts_.pop_back();
  }
  undo(cuts_.back().after);
  load(cuts_.back().mark);
}

// ---- The limit

// Marks far back may be far apart: what is gained by one less is little, and who goes there waits
// about as long as the machine needed.
void History::shrink() {
  while (bytes() > limit_ && !in_past_) {
    std::size_t best = 0;
    double least = std::numeric_limits<double>::max();
    constexpr std::size_t kFew = 8;
    for (std::size_t i = 1; i + 1 < marks_.size() && marks_.size() > kFew; ++i) {
      const auto at = [&](std::size_t mark) {
        return static_cast<double>(marks_[mark].place.at.progress.instructions.value);
      };
      const double age = at(marks_.size() - 1) - at(i - 1) + 1;
      const double price = (at(i + 1) - at(i - 1)) / age;
      if (price < least) std::tie(best, least) = std::tuple(i, price);
    }
    if (best != 0) {
      join(best);
    } else if (marks_.size() > 1) {
      drop_front();
    } else {
      release(spans_.back());
      lost_ = true;
      return;
    }
  }
}

void History::drop_front() {
  release(spans_.front());
  state_bytes_ -= marks_.front().state.size();
  spans_.erase(spans_.begin());
  marks_.erase(marks_.begin());
  base_ = marks_.size() - 1;
}

// Takes the mark away, and joins the spans on both sides of it. What was first counts.
void History::join(std::size_t index) {
  Span& first = spans_[index - 1];
  Span& second = spans_[index];
  Span joined;
  auto a = first.pages.begin();
  for (const KeptPage& page : second.pages) {
    while (a != first.pages.end() && a->number < page.number)
      joined.pages.push_back(*a++);
    if (a != first.pages.end() && a->number == page.number) {
      pages_.release(page.content);
    } else {
      joined.pages.push_back(page);
    }
  }
  joined.pages.insert(joined.pages.end(), a, first.pages.end());
  const auto key = [](const KeptSector& kept) { return std::tie(kept.disk, kept.sector); };
  auto s = first.sectors.begin();
  for (const KeptSector& kept : second.sectors) {
    while (s != first.sectors.end() && key(*s) < key(kept))
      joined.sectors.push_back(*s++);
    if (s != first.sectors.end() && key(*s) == key(kept)) {
      --sectors_;
    } else {
      joined.sectors.push_back(kept);
    }
  }
  joined.sectors.insert(joined.sectors.end(), s, first.sectors.end());
  first = std::move(joined);
  state_bytes_ -= marks_[index].state.size();
  spans_.erase(spans_.begin() + static_cast<std::ptrdiff_t>(index));
  marks_.erase(marks_.begin() + static_cast<std::ptrdiff_t>(index));
  base_ = marks_.size() - 1;
}

}  // namespace ringside::time
