#include "engine/soft/soft_points.h"

#include <algorithm>

#include "engine/soft/cpu/cpu.h"

namespace ringside::soft {
namespace {

constexpr const char* kSeesAll = "seen by the software CPU, on every vCPU";

}  // namespace

Result<void> SoftPoints::insert_physical_breakpoint(Gpa address) {
  board_.physical_breakpoints.insert(address.value);
  board_.ram_written(address, 1);
  return {};
}

Result<void> SoftPoints::remove_physical_breakpoint(Gpa address) {
  board_.physical_breakpoints.erase(address.value);
  board_.ram_written(address, 1);
  return {};
}

Result<void> SoftPoints::insert_breakpoint(Gva address) {
  board_.breakpoints.insert(address.value);
  breakpoints_changed(address);
  return {};
}

Result<void> SoftPoints::remove_breakpoint(Gva address) {
  board_.breakpoints.erase(address.value);
  breakpoints_changed(address);
  return {};
}

Result<void> SoftPoints::insert_watchpoint(Gva address, std::uint64_t size,
                                           hypervisor::WatchKind kind) {
  return insert_watch(board_.watches, {address.value, size, kind});
}

Result<void> SoftPoints::remove_watchpoint(Gva address, std::uint64_t size,
                                           hypervisor::WatchKind kind) {
  return remove_watch(board_.watches, {address.value, size, kind});
}

Result<void> SoftPoints::insert_physical_watchpoint(Gpa address, std::uint64_t size,
                                                    hypervisor::WatchKind kind) {
  return insert_watch(board_.physical_watches, {address.value, size, kind});
}

Result<void> SoftPoints::remove_physical_watchpoint(Gpa address, std::uint64_t size,
                                                    hypervisor::WatchKind kind) {
  return remove_watch(board_.physical_watches, {address.value, size, kind});
}

Result<void> SoftPoints::insert_catch(const hypervisor::Catch& wanted) {
  board_.catches.push_back(wanted);
  catches_changed();
  return {};
}

Result<void> SoftPoints::remove_catch(const hypervisor::Catch& wanted) {
  const auto found = std::find(board_.catches.begin(), board_.catches.end(), wanted);
  if (found == board_.catches.end()) return fail(ErrorCode::NotFound, "no such catch");
  board_.catches.erase(found);
  catches_changed();
  return {};
}

// Handlers of instructions look at these; host code calls those handlers, or does nothing that can
// be caught.
void SoftPoints::catches_changed() {
  board_.catch_kinds = 0;
  for (const hypervisor::Catch& one : board_.catches)
    board_.catch_kinds |= 1u << static_cast<unsigned>(one.kind);
  for (Cpu* cpu : board_.cpus)
    cpu->catch_privilege(board_.catches_any(hypervisor::CatchKind::PrivilegeChange));
}

std::string SoftPoints::describe_breakpoint(Gva) { return kSeesAll; }

std::string SoftPoints::describe_watchpoint(Gva, std::uint64_t, hypervisor::WatchKind) {
  return kSeesAll;
}

Result<void> SoftPoints::insert_watch(std::vector<Board::Watch>& watches,
                                      const Board::Watch& watch) {
  if (watch.size == 0 || watch.address + watch.size - 1 < watch.address) {
    return fail(ErrorCode::BadRequest, "a watched range is at least one byte and does not wrap");
  }
  watches.push_back(watch);
  checks_changed();
  return {};
}

Result<void> SoftPoints::remove_watch(std::vector<Board::Watch>& watches,
                                      const Board::Watch& watch) {
  const auto found = std::find_if(watches.begin(), watches.end(), [&](const Board::Watch& one) {
    return one.address == watch.address && one.size == watch.size && one.kind == watch.kind;
  });
  if (found == watches.end()) return fail(ErrorCode::NotFound, "no such watchpoint");
  watches.erase(found);
  checks_changed();
  return {};
}

// Fast paths carry the mark. What the guest sees of its translations stays as it is.
void SoftPoints::checks_changed() {
  for (Cpu* cpu : board_.cpus)
    cpu->checks_changed();
}

// Blocks end at breakpoints: those of pages that have some are decoded again when they are next
// executed, and no others. A client changes thousands at each stop, so that this must not touch
// more than the page.
void SoftPoints::breakpoints_changed(Gva address) {
  ++board_.breakpoint_changes;
  if (board_.breakpoint_changes % (1u << Board::kChangeBits) == 0) board_.code.clear();
  for (Cpu* cpu : board_.cpus)
    cpu->breakpoints_changed(address.value & kPageMask);
}

}  // namespace ringside::soft
