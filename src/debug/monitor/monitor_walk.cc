// monitor walk: every level of a translation in words.
#include <fmt/format.h>

#include "debug/monitor/monitor.h"
#include "x86/linear_address.h"
#include "x86/paging.h"

namespace ringside::debug {
namespace {

class EntryReader final : public x86::PhysicalReader {
 public:
  explicit EntryReader(hypervisor::Memory& memory) : memory_(memory) {}
  bool read_entry(Gpa address, unsigned size, std::uint64_t& value) override {
    return memory_.read_ram(address, std::as_writable_bytes(std::span(&value, 1)).first(size))
        .has_value();
  }

 private:
  hypervisor::Memory& memory_;
};

// The SDM's names for the tables, from the top (SDM 3A 4.2).
std::span<const std::string_view> level_names(x86::PagingMode mode) {
  static constexpr std::string_view kNames[] = {"PML5E", "PML4E", "PDPTE", "PDE", "PTE"};
  switch (mode) {
    case x86::PagingMode::Level5:
      return kNames;
    case x86::PagingMode::Level4:
      return std::span(kNames).subspan(1);
    case x86::PagingMode::Pae:
      return std::span(kNames).subspan(2);
    case x86::PagingMode::Bits32:
      return std::span(kNames).subspan(3);
    case x86::PagingMode::None:
      break;
  }
  return {};
}

std::string flags_of(std::uint64_t entry, unsigned size) {
  static constexpr std::pair<unsigned, std::string_view> kBits[] = {
      {0, "P"}, {1, "W"}, {2, "U"}, {3, "PWT"}, {4, "PCD"}, {5, "A"}, {6, "D"}, {7, "PS"}, {8, "G"},
  };
  std::string text;
  for (const auto& [bit, name] : kBits) {
    if ((entry >> bit & 1) != 0) text.append(text.empty() ? "" : " ").append(name);
  }
  if (size == 8 && entry >> 63 != 0) text += " NX";
  return text;
}

std::string_view outcome_of(const x86::PageWalk& walk) {
  switch (walk.outcome) {
    case x86::PageWalk::Outcome::Mapped:
      return "mapped";
    case x86::PageWalk::Outcome::NotPresent:
      return "not present";
    case x86::PageWalk::Outcome::ReservedBit:
      return "a reserved bit is set";
    case x86::PageWalk::Outcome::NonCanonical:
      return "the address is not canonical";
    case x86::PageWalk::Outcome::Unreadable:
      return "the entry lies outside memory";
  }
  return "";
}

// What the key of a user page lets the guest do there, beside the tables (SDM 3A 4.6.2).
std::string key_of(unsigned key, std::uint32_t pkru) {
  const std::uint32_t rights = pkru >> 2 * key & 3;
  const std::string_view text = (rights & 1) != 0   ? " (no access)"
                                : (rights & 2) != 0 ? " (no writes)"
                                                    : "";
  return fmt::format(", protection key {}{}", key, text);
}

}  // namespace

Result<std::string> Monitor::walk(Words words) {
  if (words.empty() || words.size() > 2)
    return fail(ErrorCode::BadRequest, "wrong number of arguments; see help walk");
  const std::uint64_t address = TRY(number(words[0]));
  const x86::CpuState state = TRY(current().state());
  x86::PagingState paging{state.cr0, state.cr3, state.cr4, state.efer};
  if (words.size() == 2) paging.cr3 = TRY(number(words[1]));

  EntryReader reader(target_.vm().memory());
  const x86::PageWalk found = x86::walk(paging, Gva{address}, reader);
  const auto names = level_names(x86::paging_mode(paging));
  std::string text;
  for (unsigned i = 0; i < found.levels; ++i) {
    const x86::PageEntry& entry = found.entries[i];
    text += fmt::format("{:<5} at {:#014x}: {:#0{}x} {}\n", i < names.size() ? names[i] : "?",
                        entry.address.value, entry.value, found.entry_size * 2 + 2,
                        flags_of(entry.value, found.entry_size));
  }
  if (found.outcome != x86::PageWalk::Outcome::Mapped)
    return text + fmt::format("{:#x}: {}\n", address, outcome_of(found));
  std::string key;
  if (found.user && (paging.cr4 & x86::cr4::PKE) != 0 && x86::in_long_mode(paging.efer))
    key = key_of(found.protection_key, state.pkru);
  return text + fmt::format("{:#x} -> {:#x}, page of {} KiB, {}{}{}{}\n", address, found.gpa.value,
                            found.page_size / 1024, found.writable ? "writable" : "read-only",
                            found.user ? ", user" : ", supervisor",
                            found.no_execute ? ", no execute" : "", key);
}

}  // namespace ringside::debug
