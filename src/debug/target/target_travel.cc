// The target on a journey through the machine's past: the machine itself makes it, without resumes
// and events (ringside/time_travel.h).
#include "debug/target/target.h"

namespace ringside::debug {

using hypervisor::Journey;
namespace exit = hypervisor::exit;

Result<void> Target::set_out(Journey::Direction direction) {
  if (control_.phase() != RunControl::Phase::Stopped)
    return fail(ErrorCode::Busy, "the guest is running");
  forget_steps();
  place_what_is_wanted();
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i)
    vcpus_[i].left_at = vm_.vcpu({i}).instructions();
  filter_.set_mode(direction == Journey::Direction::Back ? HitFilter::Mode::Backwards
                                                         : HitFilter::Mode::Onwards);
  control_.set_out();
  carry_out();
  return {};
}

std::uint64_t Target::passing(std::optional<VcpuId> stepping) {
  std::uint64_t passes = 0;
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    const Action action{stepping == VcpuId{i} ? Action::Kind::Step : Action::Kind::Run, {}, false};
    if (is_active(i) && control_.passes_breakpoint({i}, action)) passes |= std::uint64_t{1} << i;
  }
  return passes;
}

std::optional<StopEvent> Target::judge(VcpuId id, const hypervisor::Exit& hit,
                                       Journey::Direction direction) {
  const auto* physical = std::get_if<exit::PhysicalWatchpoint>(&hit);
  const bool stoppoint = physical != nullptr || std::holds_alternative<exit::Watchpoint>(hit) ||
                         std::holds_alternative<exit::HardwareBreakpoint>(hit);
  if (!stoppoint) return std::nullopt;
  std::optional<StopEvent> event = event_of(id, hit);
  if (!event) return std::nullopt;
  if (!filter_.installed() && filter_.answer_to(id, hit) != HitFilter::Answer::Stop)
    return std::nullopt;
  if (physical != nullptr) vcpus_[id.value].words = describe(id, *physical, direction);
  vcpus_[id.value].judged_by = filter_.programs_of(*event);
  return event;
}

void Target::stay() {
  filter_.set_mode(HitFilter::Mode::Live);
  control_.arrived(std::nullopt, {});
}

void Target::come_to() {
  filter_.set_mode(HitFilter::Mode::Live);
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i)
    control_.reset({i}, is_active(i));
}

std::uint64_t Target::unmoved() {
  std::uint64_t stay = 0;
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    const std::optional<InsnCount> now = vm_.vcpu({i}).instructions();
    if (now && now == vcpus_[i].left_at) stay |= std::uint64_t{1} << i;
  }
  return stay;
}

}  // namespace ringside::debug
