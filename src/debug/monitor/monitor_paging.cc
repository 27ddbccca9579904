// monitor info mem and info tlb: everything that the present page tables map, in QEMU's layout. The
// tables are read as they lie in memory; what a processor has cached of them is not in it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "debug/monitor/monitor.h"
#include "x86/paging.h"

namespace ringside::debug {
namespace {

constexpr std::uint64_t kPresent = 1, kWritable = 2, kUser = 4, kLarge = 0x80;
// Tables can form loops that map the same for ever; a listing is for people.
constexpr unsigned kMostTables = 100'000, kTablesPerSlice = 200;
constexpr std::size_t kMostText = 1u << 20;

struct Leaf {
  std::uint64_t address = 0, size = 0;
  std::uint64_t entry = 0;    // the last level's
  std::uint64_t allowed = 0;  // kWritable and kUser of all levels together
};

// Calls `found` for each page that overlaps [start, end], in ascending order, until it says false.
template <typename Found>
class Tables {
 public:
  enum class End { All, Enough, Later };
  Tables(hypervisor::Memory& memory, const x86::CpuState& state, std::uint64_t start,
         std::uint64_t end, Found found)
      : memory_(memory), state_(state), start_(start), end_(end), found_(found) {}

  // Enough: `found` has said so. Later: there are more tables than kTablesPerSlice, and
  // stopped_at() is where to go on.
  End run() { return all() ? End::All : stopped_at_ ? End::Later : End::Enough; }
  std::uint64_t stopped_at() const { return *stopped_at_; }

 private:
  static constexpr std::uint64_t kFrame = 0x000f'ffff'ffff'f000;

  bool all() {
    const x86::PagingState paging{state_.cr0, state_.cr3, state_.cr4, state_.efer};
    switch (x86::paging_mode(paging)) {
      case x86::PagingMode::Level5:
        return table(state_.cr3 & kFrame, 48, 9, 0, kWritable | kUser);
      case x86::PagingMode::Level4:
        return table(state_.cr3 & kFrame, 39, 9, 0, kWritable | kUser);
      case x86::PagingMode::Pae:
        return table(state_.cr3 & 0xffffffe0, 30, 2, 0, kWritable | kUser);
      case x86::PagingMode::Bits32:
        entry_size_ = 4;
        return table(state_.cr3 & 0xfffff000, 22, 10, 0, kWritable | kUser);
      case x86::PagingMode::None:
        break;
    }
    return true;
  }

  // The table that bits shift to shift + bits - 1 of an address index.
  bool table(std::uint64_t at, unsigned shift, unsigned bits, std::uint64_t base,
             std::uint64_t allowed) {
    if (++tables_ > kTablesPerSlice) {
      stopped_at_ = base;
      return false;
    }
    for (std::uint64_t i = 0; i < std::uint64_t{1} << bits; ++i) {
      const std::uint64_t address = canonical(base | i << shift, shift + bits);
      const std::uint64_t last = address + ((std::uint64_t{1} << shift) - 1);
      if (last < start_ || address > end_) continue;
      const std::optional<std::uint64_t> entry = read(at + i * entry_size_);
      if (!entry) return true;  // the table lies outside memory
      if ((*entry & kPresent) == 0) continue;
      // PAE's top entries have no permissions (SDM 3A table 4-8).
      const bool pae_top = bits == 2;
      const std::uint64_t both = pae_top ? allowed : allowed & *entry;
      if (is_page(*entry, shift, bits)) {
        if (!found_(Leaf{address, std::uint64_t{1} << shift, *entry, both})) return false;
      } else if (!table(*entry & frame(), shift - next_bits(), next_bits(), address, both)) {
        return false;
      }
    }
    return true;
  }
  bool is_page(std::uint64_t entry, unsigned shift, unsigned bits) const {
    if (shift == 12) return true;
    if ((entry & kLarge) == 0 || bits == 2) return false;
    if (entry_size_ == 4) return (state_.cr4 & x86::cr4::PSE) != 0;
    return shift == 21 || shift == 30;
  }
  unsigned next_bits() const { return entry_size_ == 4 ? 10 : 9; }
  std::uint64_t frame() const { return entry_size_ == 4 ? 0xfffff000 : kFrame; }
  std::uint64_t canonical(std::uint64_t address, unsigned width) {
    if (top_ == 0) top_ = width;
    if (top_ < 48 || (address >> (top_ - 1) & 1) == 0) return address;
    return address | ~std::uint64_t{0} << (top_ - 1);
  }
  std::optional<std::uint64_t> read(std::uint64_t at) {
    std::uint64_t value = 0;
    const auto bytes = std::as_writable_bytes(std::span(&value, 1)).first(entry_size_);
    if (!memory_.read_ram(Gpa{at}, bytes)) return std::nullopt;
    return value;
  }

  hypervisor::Memory& memory_;
  const x86::CpuState& state_;
  std::uint64_t start_, end_;
  Found found_;
  unsigned entry_size_ = 8;
  unsigned top_ = 0;  // bits of a linear address
  unsigned tables_ = 0;
  std::optional<std::uint64_t> stopped_at_;
};

std::string letters(std::uint64_t entry) {
  static constexpr std::pair<unsigned, char> kBits[] = {
      {63, 'X'}, {8, 'G'}, {7, 'P'}, {6, 'D'}, {5, 'A'}, {4, 'C'}, {3, 'T'}, {2, 'U'}, {1, 'W'}};
  std::string text;
  for (const auto& [bit, letter] : kBits)
    text += (entry >> bit & 1) != 0 ? letter : '-';
  return text;
}

constexpr std::string_view kTooMuch = "... and more: give START and END\n";

// One of the two listings, a slice at a time.
class Listing final : public MonitorWork {
 public:
  enum class Form { Pages, Ranges };
  Listing(Form form, hypervisor::Memory& memory, const x86::CpuState& state, std::uint64_t start,
          std::uint64_t end)
      : form_(form), memory_(memory), state_(state), next_(start), end_(end) {}

  std::optional<std::string> advance() override {
    const auto found = [this](const Leaf& leaf) { return add(leaf); };
    Tables tables(memory_, state_, next_, end_, found);
    using End = typename decltype(tables)::End;
    const End end = tables.run();
    if (end == End::Later) {
      next_ = tables.stopped_at();
      tables_ += kTablesPerSlice;
      if (tables_ < kMostTables) return std::nullopt;
    }
    flush();
    if (end != End::All) text_ += kTooMuch;
    return std::move(text_);
  }
  std::string progress() const override { return fmt::format("at {:#x}", next_); }

 private:
  bool add(const Leaf& leaf) {
    if (form_ == Form::Pages) {
      const std::uint64_t frame = leaf.entry & 0x000f'ffff'ffff'f000 & ~(leaf.size - 1);
      // Bit 7 of a 4 KiB entry is PAT, not the page size.
      const std::uint64_t flags = leaf.size == kPageSize ? leaf.entry & ~kLarge : leaf.entry;
      text_ += fmt::format("{:016x}: {:016x} {}\n", leaf.address, frame, letters(flags));
    } else if (run_ && run_->allowed == leaf.allowed &&
               run_->address + run_->size == leaf.address) {
      run_->size += leaf.size;
    } else {
      flush();
      run_ = leaf;
    }
    return text_.size() < kMostText;
  }
  void flush() {
    if (!run_) return;
    text_ += fmt::format(
        "{:016x}-{:016x} {:016x} {}r{}\n", run_->address, run_->address + run_->size, run_->size,
        (run_->allowed & kUser) != 0 ? 'u' : '-', (run_->allowed & kWritable) != 0 ? 'w' : '-');
    run_.reset();
  }

  const Form form_;
  hypervisor::Memory& memory_;
  const x86::CpuState state_;
  std::uint64_t next_, end_;
  std::string text_;
  std::optional<Leaf> run_;  // neighbours with the same rights
  unsigned tables_ = 0;
};

}  // namespace

Result<Monitor::PagingRange> Monitor::paging_range(Words words) {
  if (words.size() > 2) return fail(ErrorCode::BadRequest, "wrong number of arguments; see help");
  PagingRange range;
  if (!words.empty()) range.start = TRY(number(words[0]));
  if (words.size() == 2) range.end = TRY(number(words[1]));
  return range;
}

Result<std::string> Monitor::tlb(Words words) {
  const PagingRange range = TRY(paging_range(words));
  const x86::CpuState state = TRY(current().state());
  if ((state.cr0 & x86::cr0::PG) == 0) return "PG disabled\n";
  work_ = std::make_unique<Listing>(Listing::Form::Pages, target_.vm().memory(), state, range.start,
                                    range.end);
  return {};
}

Result<std::string> Monitor::mem(Words words) {
  const PagingRange range = TRY(paging_range(words));
  const x86::CpuState state = TRY(current().state());
  if ((state.cr0 & x86::cr0::PG) == 0) return "PG disabled\n";
  work_ = std::make_unique<Listing>(Listing::Form::Ranges, target_.vm().memory(), state,
                                    range.start, range.end);
  return {};
}

}  // namespace ringside::debug
