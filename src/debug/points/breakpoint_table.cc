#include "debug/points/breakpoint_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "hypervisor/guest_memory.h"

namespace ringside::debug {
namespace {

constexpr std::byte kInt3{0xcc};

// More than anybody sets; it bounds what a client can have us keep.
constexpr std::size_t kMostWishes = 20'000;
// Of one wish: address spaces that have a page of their own there, as far as they have been seen.
constexpr std::size_t kMostPlaces = 16;

}  // namespace

bool BreakpointTable::Wish::is_at(Gpa where) const {
  return std::any_of(places.begin(), places.end(),
                     [&](const Place& place) { return place.sight.where == where; });
}

bool BreakpointTable::engine_installs() const {
  return mechanism_ == BreakpointMechanism::BestOffered && vm_.physical_breakpoints() != nullptr;
}

Result<BreakpointTable::Wish*> BreakpointTable::wish(Gva address, const AgentProgram& program) {
  auto found = wishes_.find(address);
  if (found == wishes_.end()) {
    if (wishes_.size() >= kMostWishes) {
      return fail(ErrorCode::BadRequest,
                  fmt::format("there are {} breakpoints already, which is the most", kMostWishes));
    }
    TRY(room_.exchange({}, program));
    found = wishes_.emplace(address, Wish{address, {}, ByAddress::No, {}, {}, true, false}).first;
    if (const auto past = past_hits_.find(address); past != past_hits_.end())
      found->second.hits = std::move(past->second);
  } else {
    TRY(room_.exchange(found->second.program, program));
  }
  found->second.program = program;
  found->second.wanted = true;
  return &found->second;
}

// After a request that failed: a wish that began with it is not kept, an older one is.
void BreakpointTable::forget_if_new(Gva address, bool is_new) {
  if (is_new) erase(wishes_.find(address));
}

void BreakpointTable::erase(std::map<Gva, Wish>::iterator wish) {
  room_.give_back(wish->second.program);
  wishes_.erase(wish);
}

Result<void> BreakpointTable::insert(Gva address, const Sight& sight, const AgentProgram& program) {
  const bool is_new = !wishes_.contains(address);
  Wish& wish = *TRY(this->wish(address, program));
  for (Place& place : wish.places) {
    if (place.sight.where != sight.where) continue;
    renew(place, sight);
    return {};
  }
  Result<void> done = add_place(wish, sight);
  if (!done) forget_if_new(address, is_new);
  return done;
}

// The guest may have overwritten it since, as a loader does; asking again arms it again.
void BreakpointTable::renew(Place& place, const Sight& sight) {
  place.sight = sight;
  if (!armed(sight.where) && !installations_[sight.where].lifted) restore(sight.where);
  place.code = code_at(sight.where);
}

Result<void> BreakpointTable::add_place(Wish& wish, const Sight& sight) {
  const Code code = code_at(sight.where);
  if (!installed(sight.where)) TRY(install(sight.where));
  installations_[sight.where].wishes.push_back(&wish);
  wish.places.push_back({sight, code});
  return {};
}

Result<void> BreakpointTable::insert_linear(Gva address, const AgentProgram& program) {
  const bool is_new = !wishes_.contains(address);
  Wish& wish = *TRY(this->wish(address, program));
  Result<void> done = watch_address(wish, ByAddress::Yes);
  if (!done) forget_if_new(address, is_new);
  return done;
}

Result<void> BreakpointTable::give_spare(Gva address) {
  Wish* const wish = wish_at(address);
  if (wish == nullptr) return {};
  return watch_address(*wish, ByAddress::Spare);
}

Result<void> BreakpointTable::watch_address(Wish& wish, ByAddress how) {
  if (wish.by_address != ByAddress::No) return {};
  TRY(how == ByAddress::Spare ? linear_.add_spare(wish.address) : linear_.add(wish.address));
  wish.by_address = how;
  return {};
}

void BreakpointTable::drop_linear(Gva address) {
  Wish* const wish = wish_at(address);
  if (wish == nullptr || wish->by_address == ByAddress::No) return;
  wish->by_address = ByAddress::No;
  const Result<void> done = linear_.drop(address);
  if (!done) log::warning("a breakpoint stays behind: {}", done.error().text());
}

Result<void> BreakpointTable::insert_pending(Gva address, const AgentProgram& program) {
  TRY(this->wish(address, program));
  return {};
}

Result<void> BreakpointTable::install(Gpa where) {
  const hypervisor::MemoryKind kind = memory_.kind(where);
  if (kind != hypervisor::MemoryKind::Ram && kind != hypervisor::MemoryKind::Rom)
    return fail(ErrorCode::BadAddress, "a breakpoint needs memory");
  Installation installation;
  if (engine_installs()) {
    TRY(vm_.physical_breakpoints()->insert_physical_breakpoint(where));
    installation.by_engine = true;
  } else {
    TRY(memory_.read_ram(where, std::span(&installation.hidden, 1)));
    TRY(memory_.write_ram(where, std::span(&kInt3, 1)));
    ++bytes_;
  }
  installations_.emplace(where, std::move(installation));
  return {};
}

std::vector<Gpa> BreakpointTable::follow(Gva address, std::span<const Sight> sights) {
  std::vector<Gpa> added;
  Wish* const wish = wish_at(address);
  if (wish == nullptr) return added;
  for (const Sight& sight : sights) {
    for (Place& place : wish->places) {
      if (place.sight.where == sight.where) renew(place, sight);
    }
  }
  const auto gone = [&](const Place& place) {
    if (is_there(*wish, place.sight.where)) return false;
    release(place.sight.where, wish);
    return true;
  };
  std::erase_if(wish->places, gone);
  for (const Sight& sight : sights) {
    if (wish->places.size() >= kMostPlaces || wish->is_at(sight.where)) continue;
    if (add_place(*wish, sight)) added.push_back(sight.where);
  }
  return added;
}

BreakpointTable::Removed BreakpointTable::remove(Gva address) {
  Removed removed;
  const auto found = wishes_.find(address);
  if (found == wishes_.end()) return removed;
  const Wish& wish = found->second;
  for (const Place& place : wish.places) {
    if (release(place.sight.where, &wish)) removed.installations.push_back(place.sight.where);
  }
  drop_linear(address);
  if (past_hits_.size() < kMostWishes) past_hits_[address] = std::move(found->second.hits);
  erase(found);
  return removed;
}

void BreakpointTable::stop_wanting(Wish& wish) {
  wish.wanted = false;
  room_.give_back(wish.program);
  wish.program = {};
}

void BreakpointTable::remove_all_but_persistent() {
  std::vector<Gva> leaving;
  for (const auto& [address, wish] : wishes_) {
    const AgentProgram& program = wish.program;
    if (!program.persists || program.commands.empty() || wish.pending() || has_bytes())
      leaving.push_back(address);
  }
  for (const Gva address : leaving) {
    Wish& wish = *wish_at(address);
    if (wish.traced) {
      stop_wanting(wish);
      wish.hits = {};
    } else {
      remove(address);
    }
  }
  past_hits_.clear();
}

// True if the installation went with it.
bool BreakpointTable::release(Gpa where, const Wish* wish) {
  const auto found = installations_.find(where);
  if (found == installations_.end()) return false;
  Installation& installation = found->second;
  if (installation.wishes.size() > 1) {
    std::erase(installation.wishes, wish);
    return false;
  }
  if (installation.by_engine) {
    const Result<void> done = vm_.physical_breakpoints()->remove_physical_breakpoint(where);
    if (!done) log::warning("a breakpoint stays behind: {}", done.error().text());
  } else {
    lift(where);
    --bytes_;
  }
  installations_.erase(found);
  return true;
}

BreakpointTable::Wish* BreakpointTable::wish_at(Gva address) {
  const auto found = wishes_.find(address);
  return found != wishes_.end() ? &found->second : nullptr;
}

std::span<BreakpointTable::Wish* const> BreakpointTable::wishes_at(Gpa where) const {
  const auto found = installations_.find(where);
  if (found == installations_.end()) return {};
  return found->second.wishes;
}

// --- Whose a byte is

BreakpointTable::Code BreakpointTable::code_at(Gpa where) const {
  Code code;
  const std::uint64_t in_page = kPageSize - (where.value & ~kPageMask);
  const std::span bytes = std::span(code.bytes).first(std::min(code.bytes.size(), in_page));
  if (!memory_.read_ram(where, bytes)) return code;
  mask(where, bytes);
  code.size = static_cast<std::uint8_t>(bytes.size());
  return code;
}

bool BreakpointTable::leads_there(const Wish& wish, const Place& place, VcpuId vcpu) const {
  const Result<Gpa> now = hypervisor::translate(vm_, vcpu, wish.address);
  if (now && *now == place.sight.where) return true;
  if (!place.sight.space) return false;
  const Result<Gpa> then =
      hypervisor::translate_with_cr3(vm_, vcpu, *place.sight.space, wish.address);
  return then && *then == place.sight.where;
}

bool BreakpointTable::is_there(const Wish& wish, Gpa where, std::optional<VcpuId> vcpu) const {
  for (const Place& place : wish.places) {
    if (place.sight.where != where) continue;
    if (code_at(where) == place.code) return true;
    if (vcpu) return leads_there(wish, place, *vcpu);
    for (std::uint32_t i = 0; i < vm_.vcpu_count(); ++i) {
      if (vm_.vcpu({i}).active() && leads_there(wish, place, {i})) return true;
    }
  }
  return false;
}

bool BreakpointTable::given_away(Gpa where, const Installation& installation,
                                 std::optional<VcpuId> vcpu) const {
  return std::none_of(installation.wishes.begin(), installation.wishes.end(),
                      [&](const Wish* wish) { return is_there(*wish, where, vcpu); });
}

// In a page that was given to somebody else an int3 is that one's own.
bool BreakpointTable::ours(Gpa where, const Installation& installation,
                           std::optional<VcpuId> vcpu) const {
  std::byte now{};
  return !installation.by_engine && !installation.lifted &&
         memory_.read_ram(where, std::span(&now, 1)) && now == kInt3 &&
         !given_away(where, installation, vcpu);
}

bool BreakpointTable::has_byte(Gpa where, std::optional<VcpuId> vcpu) const {
  const auto found = installations_.find(where);
  return found != installations_.end() && ours(where, found->second, vcpu);
}

bool BreakpointTable::armed(Gpa where) const {
  const auto found = installations_.find(where);
  return found != installations_.end() &&
         (found->second.by_engine || ours(where, found->second, std::nullopt));
}

void BreakpointTable::lift(Gpa where, std::optional<VcpuId> vcpu) {
  const auto found = installations_.find(where);
  if (found == installations_.end() || found->second.by_engine) return;
  Installation& installation = found->second;
  // What the guest has written over our byte is newer than what we saved.
  if (ours(where, installation, vcpu) &&
      !memory_.write_ram(where, std::span(&installation.hidden, 1))) {
    log::warning("the breakpoint at physical {:#x} cannot be taken out", where.value);
  }
  installation.lifted = true;
}

void BreakpointTable::restore(Gpa where) {
  const auto found = installations_.find(where);
  if (found == installations_.end() || found->second.by_engine) return;
  Installation& installation = found->second;
  if (memory_.read_ram(where, std::span(&installation.hidden, 1)) &&
      memory_.write_ram(where, std::span(&kInt3, 1))) {
    installation.lifted = false;
  } else {
    log::warning("the breakpoint at physical {:#x} cannot be put back", where.value);
  }
}

void BreakpointTable::restore_all() {
  for (const auto& [where, installation] : installations_) {
    if (!installation.lifted && !armed(where)) restore(where);
  }
  for (auto& [address, wish] : wishes_) {
    for (Place& place : wish.places)
      place.code = code_at(place.sight.where);
  }
}

// --- Shadowing

// As if every int3 in our places were ours.
void BreakpointTable::mask(Gpa where, std::span<std::byte> data) const {
  if (bytes_ == 0) return;
  for (auto it = installations_.lower_bound(where);
       it != installations_.end() && it->first.value - where.value < data.size(); ++it) {
    const Installation& installation = it->second;
    std::byte& byte = data[it->first.value - where.value];
    if (!installation.by_engine && !installation.lifted && byte == kInt3)
      byte = installation.hidden;
  }
}

void BreakpointTable::hide(Gpa where, std::span<std::byte> data, std::optional<VcpuId> vcpu) const {
  if (bytes_ == 0) return;
  for (auto it = installations_.lower_bound(where);
       it != installations_.end() && it->first.value - where.value < data.size(); ++it) {
    std::byte& byte = data[it->first.value - where.value];
    if (byte == kInt3 && ours(it->first, it->second, vcpu)) byte = it->second.hidden;
  }
}

void BreakpointTable::shadow(Gpa where, std::span<std::byte> data) {
  if (bytes_ == 0) return;
  for (auto it = installations_.lower_bound(where);
       it != installations_.end() && it->first.value - where.value < data.size(); ++it) {
    // A byte that the guest has overwritten belongs to the guest again.
    if (!ours(it->first, it->second, std::nullopt)) continue;
    std::byte& byte = data[it->first.value - where.value];
    it->second.hidden = byte;
    byte = kInt3;
  }
}

void BreakpointTable::written(Gpa where, std::uint64_t size) {
  constexpr std::uint64_t kReach = std::tuple_size_v<decltype(Code::bytes)> - 1;
  const Gpa first{where.value - std::min(where.value, kReach)};
  for (auto it = installations_.lower_bound(first);
       it != installations_.end() && it->first.value < where.value + size; ++it) {
    for (Wish* wish : it->second.wishes) {
      for (Place& place : wish->places) {
        if (place.sight.where == it->first) place.code = code_at(it->first);
      }
    }
  }
}

}  // namespace ringside::debug
