#include "debug/breakpoint_table.h"

#include <algorithm>

#include "base/log.h"

namespace ringside::debug {
namespace {

constexpr std::byte kInt3{0xcc};

template <typename Wishes>
auto find_wish(Wishes& wishes, Gva address) {
  return std::find_if(wishes.begin(), wishes.end(),
                      [&](const auto& wish) { return wish.address == address; });
}

}  // namespace

Result<bool> BreakpointTable::insert(Gva address, Gpa where) {
  auto wish = find_wish(wishes_, address);
  if (wish != wishes_.end() &&
      std::find(wish->installed.begin(), wish->installed.end(), where) != wish->installed.end()) {
    // The guest may have overwritten it since, as a loader does; asking again arms it again.
    if (!armed(where) && !installations_[where].lifted) {
      restore(where);
      return true;
    }
    return false;
  }
  const bool fresh = !installed(where);
  if (fresh) TRY(install(where));
  ++installations_[where].wishes;
  if (wish == wishes_.end()) wish = wishes_.insert(wishes_.end(), Wish{address, {}});
  wish->installed.push_back(where);
  return fresh;
}

Result<void> BreakpointTable::install(Gpa where) {
  if (memory_.kind(where) != hypervisor::MemoryKind::Ram)
    return fail(ErrorCode::BadAddress, "a software breakpoint needs RAM");
  Installation installation;
  TRY(memory_.read_ram(where, std::span(&installation.hidden, 1)));
  TRY(memory_.write_ram(where, std::span(&kInt3, 1)));
  installations_.emplace(where, installation);
  return {};
}

std::vector<Gpa> BreakpointTable::remove(Gva address) {
  std::vector<Gpa> gone;
  const auto wish = find_wish(wishes_, address);
  if (wish == wishes_.end()) return gone;
  for (const Gpa where : wish->installed)
    release(where, &gone);
  wishes_.erase(wish);
  return gone;
}

void BreakpointTable::remove_all() {
  for (const Wish& wish : wishes_) {
    for (const Gpa where : wish.installed)
      release(where, nullptr);
  }
  wishes_.clear();
}

void BreakpointTable::release(Gpa where, std::vector<Gpa>* gone) {
  const auto found = installations_.find(where);
  if (found == installations_.end() || --found->second.wishes > 0) return;
  lift(where);
  installations_.erase(found);
  if (gone != nullptr) gone->push_back(where);
}

bool BreakpointTable::ours(Gpa where, const Installation& installation) const {
  std::byte now{};
  return !installation.lifted && memory_.read_ram(where, std::span(&now, 1)) && now == kInt3;
}

bool BreakpointTable::armed(Gpa where) const {
  const auto found = installations_.find(where);
  return found != installations_.end() && ours(where, found->second);
}

void BreakpointTable::lift(Gpa where) {
  const auto found = installations_.find(where);
  if (found == installations_.end()) return;
  Installation& installation = found->second;
  // What the guest has written over our byte is newer than what we saved.
  if (ours(where, installation) && !memory_.write_ram(where, std::span(&installation.hidden, 1))) {
    log::warning("the breakpoint at physical {:#x} cannot be taken out", where.value);
  }
  installation.lifted = true;
}

void BreakpointTable::restore(Gpa where) {
  const auto found = installations_.find(where);
  if (found == installations_.end()) return;
  Installation& installation = found->second;
  if (memory_.read_ram(where, std::span(&installation.hidden, 1)) &&
      memory_.write_ram(where, std::span(&kInt3, 1))) {
    installation.lifted = false;
  } else {
    log::warning("the breakpoint at physical {:#x} cannot be put back", where.value);
  }
}

void BreakpointTable::hide(Gpa where, std::span<std::byte> data) const {
  for (auto it = installations_.lower_bound(where);
       it != installations_.end() && it->first.value - where.value < data.size(); ++it) {
    std::byte& byte = data[it->first.value - where.value];
    if (!it->second.lifted && byte == kInt3) byte = it->second.hidden;
  }
}

void BreakpointTable::shadow(Gpa where, std::span<std::byte> data) {
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
