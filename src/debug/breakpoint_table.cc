#include "debug/breakpoint_table.h"

#include <algorithm>

#include "base/log.h"

namespace ringside::debug {
namespace {

constexpr std::byte kInt3{0xcc};

// More than anybody sets; it bounds what a client can have us keep.
constexpr std::size_t kMostWishes = 100'000;

}  // namespace

bool BreakpointTable::engine_installs() const {
  const hypervisor::Stoppoints* engine = vm_.stoppoints();
  return mechanism_ == BreakpointMechanism::BestOffered && engine != nullptr &&
         engine->has_physical_breakpoints();
}

Result<BreakpointTable::Wish*> BreakpointTable::wish(Gva address, const AgentProgram& program) {
  auto found = wishes_.find(address);
  if (found == wishes_.end()) {
    if (wishes_.size() >= kMostWishes) return fail(ErrorCode::BadRequest, "too many breakpoints");
    found = wishes_.emplace(address, Wish{address, {}, false, {}, {}}).first;
    if (const auto past = past_hits_.find(address); past != past_hits_.end())
      found->second.hits = std::move(past->second);
  }
  found->second.program = program;
  return &found->second;
}

// After a request that failed: a wish that began with it is not kept, an older one is.
void BreakpointTable::forget_if_new(Gva address, bool is_new) {
  if (is_new) wishes_.erase(address);
}

Result<void> BreakpointTable::insert(Gva address, Gpa where, const AgentProgram& program) {
  const bool is_new = !wishes_.contains(address);
  Wish& wish = *TRY(this->wish(address, program));
  const auto& already = wish.installed;
  if (std::find(already.begin(), already.end(), where) != already.end()) {
    // The guest may have overwritten it since, as a loader does; asking again arms it again.
    if (!armed(where) && !installations_[where].lifted) restore(where);
    return {};
  }
  if (!installed(where)) {
    Result<void> done = install(where);
    if (!done) {
      forget_if_new(address, is_new);
      return done;
    }
  }
  installations_[where].wishes.push_back(&wish);
  wish.installed.push_back(where);
  return {};
}

Result<void> BreakpointTable::insert_linear(Gva address, const AgentProgram& program) {
  const bool is_new = !wishes_.contains(address);
  Wish& wish = *TRY(this->wish(address, program));
  if (wish.linear) return {};
  Result<void> done = linear_.add(address);
  wish.linear = done.has_value();
  if (!done) forget_if_new(address, is_new);
  return done;
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
    TRY(vm_.stoppoints()->insert_physical_breakpoint(where));
    installation.by_engine = true;
  } else {
    TRY(memory_.read_ram(where, std::span(&installation.hidden, 1)));
    TRY(memory_.write_ram(where, std::span(&kInt3, 1)));
    ++bytes_;
  }
  installations_.emplace(where, std::move(installation));
  return {};
}

BreakpointTable::Removed BreakpointTable::remove(Gva address) {
  Removed removed;
  const auto found = wishes_.find(address);
  if (found == wishes_.end()) return removed;
  const Wish& wish = found->second;
  for (const Gpa where : wish.installed) {
    if (release(where, &wish)) removed.installations.push_back(where);
  }
  if (wish.linear) {
    const Result<void> done = linear_.drop(address);
    if (!done) log::warning("a breakpoint stays behind: {}", done.error().text());
    removed.linear = true;
  }
  if (past_hits_.size() < kMostWishes) past_hits_[address] = std::move(found->second.hits);
  wishes_.erase(found);
  return removed;
}

void BreakpointTable::remove_all_but_persistent() {
  std::vector<Gva> leaving;
  for (const auto& [address, wish] : wishes_) {
    const AgentProgram& program = wish.program;
    if (!program.persists || program.commands.empty() || wish.pending() || has_bytes())
      leaving.push_back(address);
  }
  for (const Gva address : leaving)
    remove(address);
  past_hits_.clear();
}

// True if the installation went with it.
bool BreakpointTable::release(Gpa where, const Wish* wish) {
  const auto found = installations_.find(where);
  if (found == installations_.end()) return false;
  Installation& installation = found->second;
  std::erase(installation.wishes, wish);
  if (!installation.wishes.empty()) return false;
  if (installation.by_engine) {
    const Result<void> done = vm_.stoppoints()->remove_physical_breakpoint(where);
    if (!done) log::warning("a breakpoint stays behind: {}", done.error().text());
  } else {
    lift(where);
    --bytes_;
  }
  installations_.erase(found);
  return true;
}

BreakpointTable::Wish* BreakpointTable::linear_wish(Gva address) {
  const auto found = wishes_.find(address);
  return found != wishes_.end() && found->second.linear ? &found->second : nullptr;
}

std::span<BreakpointTable::Wish* const> BreakpointTable::wishes_at(Gpa where) const {
  const auto found = installations_.find(where);
  if (found == installations_.end()) return {};
  return found->second.wishes;
}

bool BreakpointTable::ours(Gpa where, const Installation& installation) const {
  std::byte now{};
  return !installation.by_engine && !installation.lifted &&
         memory_.read_ram(where, std::span(&now, 1)) && now == kInt3;
}

bool BreakpointTable::has_byte(Gpa where) const {
  const auto found = installations_.find(where);
  return found != installations_.end() && ours(where, found->second);
}

bool BreakpointTable::armed(Gpa where) const {
  const auto found = installations_.find(where);
  return found != installations_.end() && (found->second.by_engine || ours(where, found->second));
}

void BreakpointTable::lift(Gpa where) {
  const auto found = installations_.find(where);
  if (found == installations_.end() || found->second.by_engine) return;
  Installation& installation = found->second;
  // What the guest has written over our byte is newer than what we saved.
  if (ours(where, installation) && !memory_.write_ram(where, std::span(&installation.hidden, 1))) {
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
}

void BreakpointTable::hide(Gpa where, std::span<std::byte> data) const {
  if (bytes_ == 0) return;
  for (auto it = installations_.lower_bound(where);
       it != installations_.end() && it->first.value - where.value < data.size(); ++it) {
    const Installation& installation = it->second;
    std::byte& byte = data[it->first.value - where.value];
    if (!installation.by_engine && !installation.lifted && byte == kInt3)
      byte = installation.hidden;
  }
}

void BreakpointTable::shadow(Gpa where, std::span<std::byte> data) {
  if (bytes_ == 0) return;
  for (auto it = installations_.lower_bound(where);
       it != installations_.end() && it->first.value - where.value < data.size(); ++it) {
    // A byte that the guest has overwritten belongs to the guest again.
    if (!ours(it->first, it->second)) continue;
    std::byte& byte = data[it->first.value - where.value];
    it->second.hidden = byte;
    byte = kInt3;
  }
}

}  // namespace ringside::debug
