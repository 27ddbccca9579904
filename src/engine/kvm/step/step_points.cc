#include "engine/kvm/step/step_points.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

namespace ringside::kvm {
namespace {

constexpr std::uint8_t kInt3 = 0xcc;

void poke(std::uint8_t* host, std::uint8_t value) {
  std::atomic_ref<std::uint8_t>(*host).store(value);
}

}  // namespace

std::vector<EntryPoint> StepPoints::at(Gva address) const {
  std::vector<EntryPoint> result;
  std::copy_if(points_.begin(), points_.end(), std::back_inserter(result),
               [&](const EntryPoint& point) { return point.address == address; });
  return result;
}

void StepPoints::plant(const GuestView& memory, DebugSlots& slots) {
  if (points_.empty()) return;
  const bool by_int3 = core_.system.facts.int3_exit || core_.system.facts.int3_as_error;
  if (by_int3) {
    core_.close_gate();
    closed_ = true;
  }
  for (std::size_t i = 0; i < points_.size(); ++i) {
    const Gva address = points_[i].address;
    const auto same = [&](const EntryPoint& other) { return other.address == address; };
    if (std::any_of(points_.begin(), points_.begin() + static_cast<long>(i), same)) continue;
    if (!by_int3) {
      DebugSlot slot;
      slot.owner = DebugSlot::Owner::Step;
      slot.address = address;
      slots.add(slot);
      continue;
    }
    std::uint8_t* host = memory.byte(address);
    if (host == nullptr || *host == kInt3) continue;  // a debugger's breakpoint does as well
    planted_.push_back({host, *host});
  }
  // Only now: reading the tables must not see what is planted.
  for (const Planted& planted : planted_)
    poke(planted.host, kInt3);
}

void StepPoints::lift() {
  for (const Planted& planted : planted_) {
    // What the guest itself has written there meanwhile is newer.
    if (*planted.host == kInt3) poke(planted.host, planted.original);
  }
  planted_.clear();
  if (std::exchange(closed_, false)) core_.open_gate();
}

}  // namespace ringside::kvm
