// Tracepoints: where they are placed, and the steps after a hit.
#include <utility>

#include "base/log.h"
#include "debug/target/target.h"
#include "hypervisor/guest_memory.h"

namespace ringside::debug {

using hypervisor::Capability;

// --- Where they are

Result<void> Target::place_tracepoint(VcpuId via, Gva address) {
  BreakpointTable::Wish* wish = breakpoints_.wish_at(address);
  if (wish == nullptr) {
    TRY(arm(via, address, {}, Unmapped::Await));
    wish = breakpoints_.wish_at(address);
    breakpoints_.stop_wanting(*wish);
  }
  wish->traced = true;
  traced_.insert(address);
  return {};
}

void Target::remove_tracepoints() {
  for (const Gva address : std::exchange(traced_, {})) {
    BreakpointTable::Wish* const wish = breakpoints_.wish_at(address);
    if (wish == nullptr) continue;
    wish->traced = false;
    if (!wish->wanted) disarm(address);
  }
}

Result<void> Target::start_trace(VcpuId via, PcView view) {
  TRY(tracing_.start());
  filter_.show_traced_pc(view);
  remove_tracepoints();  // of one that has ended by itself
  for (const trace::Tracepoint& tracepoint : tracing_.tracepoints()) {
    const Result<void> placed = place_tracepoint(via, tracepoint.address);
    if (placed) continue;
    stop_trace();
    return placed;
  }
  return {};
}

void Target::stop_trace() {
  tracing_.stop();
  forget_steps();
  remove_tracepoints();
}

void Target::clear_trace() {
  stop_trace();
  tracing_.clear();
}

// Over an int3 a vCPU is stepped by run control, which does so for a client.
Result<void> Target::keep_trace(bool keep) {
  if (keep && !can_keep_trace())
    return fail(ErrorCode::NotSupported, "on this engine tracepoints go with their client");
  keeps_trace_ = keep;
  return {};
}

// The client has gone.
void Target::leave_trace() {
  if (keeps_trace_) {
    if (!tracing_.running()) remove_tracepoints();
    return;
  }
  clear_trace();
  (void)tracing_.set_size(std::nullopt);
}

// --- The steps after a hit. Run control knows nothing of them: the trap is switched on beside it
// where a vCPU enters the guest, and what it tells is that the vCPU has come back. Interrupts come
// as they do without the trap, so that the guest's run is the same.

// Something stands here that the engine has to be let run into, because a step passes it.
bool Target::stands_at_point(VcpuId id) {
  const Result<Gva> pc = linear_pc(id);
  if (!pc) return false;
  if (stoppoints_.has({StopCause::HardwareBreakpoint, pc->value, {}})) return true;
  const Result<Gpa> where = hypervisor::translate(vm_, id, *pc);
  bool hit = false;
  breakpoints_.for_each_hit(id, *pc, where ? std::optional(*where) : std::nullopt,
                            [&](const auto&) { hit = true; });
  return hit;
}

void Target::prepare_traced_step(VcpuId id) {
  VcpuState& state = vcpus_[id.value];
  const bool may_hit = std::exchange(state.may_hit, false);
  const bool wanted =
      !control_.trap_on(id) && !may_hit && filter_.records_steps(id) && can_step(id);
  if (wanted == state.traced_step) return;
  // Run control's own trap stays on.
  if (!wanted && control_.trap_on(id)) {
    state.traced_step = false;
    return;
  }
  const Result<void> set = vm_.vcpu(id).set_capability(Capability::MonitorTrap, wanted);
  if (!set) log::warning("vCPU {}: a tracepoint's step: {}", id.value, set.error().text());
  state.traced_step = wanted && set.has_value();
}

// Before it enters the guest. Where it runs the engine hits what stands there, unless it has been
// hit already.
void Target::arrive_at_tracepoint(VcpuId id) {
  if (!tracing_.running()) return;
  if (!control_.trap_on(id)) {
    filter_.got_on(id);
  } else if (const Result<Gva> pc = linear_pc(id)) {
    filter_.arrive_for_step(id, *pc);
  }
}

// The engine steps through a range without a word, and past what stands in it.
bool Target::traces_within(const hypervisor::StepRange& range) const {
  const auto first = traced_.lower_bound(range.start);
  return first != traced_.end() && *first < range.end;
}

// True: it was nobody's step but the tracepoint's.
bool Target::record_step(VcpuId id) {
  VcpuState& state = vcpus_[id.value];
  if (tracing_.running()) filter_.got_on(id);
  if (filter_.records_steps(id)) filter_.record_step(id);
  if (!state.traced_step) return false;
  state.may_hit = stands_at_point(id);
  control_.returned(id);
  return true;
}

// While every vCPU is out of the guest.
void Target::forget_steps() {
  tracing_.forget_steps();
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    vcpus_[i].may_hit = false;
    filter_.got_on({i});
    if (!std::exchange(vcpus_[i].traced_step, false) || control_.trap_on({i})) continue;
    (void)vm_.vcpu({i}).set_capability(Capability::MonitorTrap, false);
  }
}

}  // namespace ringside::debug
