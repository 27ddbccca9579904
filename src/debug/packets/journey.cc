// bs bc, and what resumes a machine that is in its past: journeys (ringside/time_travel.h). Nobody
// is in the guest on them; to the client they are as any other run. A journey forwards that comes
// to the present goes on as a run of the guest.
#include "debug/client/changes.h"
#include "debug/packets/debugger.h"

namespace ringside::debug {

using hypervisor::Arrival;
using hypervisor::Journey;

namespace {

// Run control leaves an engine's steps within a range to RIP; where that is not the linear address
// the range is stepped through instruction by instruction.
bool steps_range_at_once(hypervisor::Vm& vm, VcpuId vcpu) {
  const Result<x86::CpuState> state = vm.vcpu(vcpu).state();
  return state && is_flat(*state);
}

}  // namespace

Debugger::Answer Debugger::serve(const rsp::ResumeBackward& request) {
  if (options_.time_travel == nullptr) return rsp::reply::empty();
  if (is_non_stop())
    return refuse(ErrorCode::NotSupported, "in non-stop mode there is no way back");
  Journey journey;
  journey.direction = Journey::Direction::Back;
  journey.until =
      request.kind == rsp::ResumeKind::Step ? Journey::Until::Step : Journey::Until::Hit;
  journey.vcpu = vcpu_going_back();
  return set_out(journey, {});
}

// Everybody follows the recorded run, who is held as well.
Debugger::Answer Debugger::travel_forward(ResumePlan plan) {
  Journey journey;
  journey.direction = Journey::Direction::Forward;
  plan.actions.resize(target_.vm().vcpu_count(), plan.others);
  for (std::uint32_t i = 0; i < plan.actions.size(); ++i) {
    const Action& action = plan.actions[i];
    if (!target_.is_active(i) || !action.steps()) continue;
    journey.vcpu = {i};
    journey.until = Journey::Until::Step;
    if (action.kind == Action::Kind::StepRange && steps_range_at_once(target_.vm(), {i})) {
      journey.until = Journey::Until::StepRange;
      journey.range_start = action.range.start;
      journey.range_end = action.range.end;
    }
    break;
  }
  return set_out(journey, std::move(plan));
}

Debugger::Answer Debugger::set_out(const Journey& journey, ResumePlan plan) {
  const bool died = has_died();
  const Result<void> ready = target_.set_out(journey.direction);
  if (!ready) return refuse(ready);
  session_.dead = session_.dead || died;
  target_.show_pc(session_.pc_view());
  trip_ = {journey, std::move(plan)};
  if (journey.direction == Journey::Direction::Forward) {
    const bool steps = journey.until != Journey::Until::Hit;
    trip_->journey.passes = target_.passing(steps ? std::optional(journey.vcpu) : std::nullopt);
  }
  const Result<void> begun = begin_journey();
  if (begun) return std::nullopt;
  // Nobody has moved, and what others have still to tell is as true as it was.
  trip_.reset();
  target_.print(begun.error().text() + "\n");
  target_.stay();
  return std::nullopt;
}

Result<void> Debugger::begin_journey() {
  TRY(may_move(options_));
  // States of the past would be loaded without our bytes, or with those of then.
  if (target_.breakpoints().has_bytes()) {
    return fail(ErrorCode::NotSupported,
                "there is no way through the past while breakpoints are bytes in guest memory");
  }
  return options_.time_travel->set_out(trip_->journey);
}

bool Debugger::continue_journey() {
  if (!target_.has_room()) return false;
  const std::optional<Result<Arrival>> end = options_.time_travel->advance();
  if (!end) return false;
  if (*end) {
    arrive(**end);
  } else {
    break_off(end->error());
  }
  return !trip_;
}

void Debugger::give_up_journey() {
  target_.print(options_.time_travel->give_up().words);
  end_journey(std::nullopt, StopEvent{});
}

void Debugger::arrive(const Arrival& arrival) {
  target_.print(arrival.words);
  switch (arrival.reason) {
    case Arrival::Reason::Hit: {
      std::optional<StopEvent> event;
      if (arrival.hit) event = target_.judge(arrival.vcpu, *arrival.hit, trip_->journey.direction);
      if (event) {
        end_journey(arrival.vcpu, *event);
      } else {
        travel_on(arrival.vcpu);
      }
      break;
    }
    case Arrival::Reason::Stepped:
      if (is_in_range(arrival.vcpu)) {
        travel_on(std::nullopt);
      } else {
        end_journey(arrival.vcpu, {StopCause::Step, 0, {}});
      }
      break;
    case Arrival::Reason::Begin:
      end_journey(existing_vcpu(), {StopCause::HistoryBegin, 0, {}});
      break;
    case Arrival::Reason::End:
      end_journey(existing_vcpu(), {StopCause::HistoryEnd, 0, {}});
      break;
    case Arrival::Reason::Present:
      come_to_present();
      break;
    case Arrival::Reason::GivenUp:
      end_journey(std::nullopt, StopEvent{});
      break;
  }
}

// The client has it stepped through a range that it has not left.
bool Debugger::is_in_range(VcpuId vcpu) {
  if (vcpu.value >= trip_->plan.actions.size()) return false;
  const Action& action = trip_->plan.actions[vcpu.value];
  if (action.kind != Action::Kind::StepRange) return false;
  const auto pc = target_.read_pc(vcpu, session_.pc_view());
  return pc && action.range.contains(Gva{pc->as_u64()});
}

// From something on the way that the client does not hear of.
void Debugger::travel_on(std::optional<VcpuId> passing) {
  if (trip_->journey.direction == Journey::Direction::Forward) {
    trip_->journey.passes &= target_.unmoved();
    if (passing) trip_->journey.passes |= std::uint64_t{1} << passing->value;
  }
  const Result<void> begun = options_.time_travel->set_out(trip_->journey);
  if (!begun) break_off(begun.error());
}

// What the client wants is done by the guest from here on.
void Debugger::come_to_present() {
  ResumePlan plan = std::move(trip_->plan);
  // The past has ended in a vCPU's death, which is where this journey ends as well.
  if (const auto dead = session_.dead ? dead_vcpu() : std::nullopt) {
    end_journey(dead, {StopCause::Dead, 0, {}});
    return;
  }
  target_.come_to();
  const Result<void> running = run_on(plan);
  if (running) {
    trip_.reset();
  } else {
    break_off(running.error());
  }
}

std::optional<VcpuId> Debugger::dead_vcpu() const {
  for (std::uint32_t i = 0; i < target_.vm().vcpu_count(); ++i) {
    if (target_.vm().vcpu({i}).activity() == hypervisor::VcpuActivity::Dead) return VcpuId{i};
  }
  return std::nullopt;
}

void Debugger::end_journey(std::optional<VcpuId> vcpu, const StopEvent& event) {
  trip_.reset();
  target_.come_to();
  target_.control().arrived(vcpu, event);
  session_.current = existing_vcpu();
}

// An error in place of the report would be the end of some clients' sessions, and the report of a
// step would have others step again and again.
void Debugger::break_off(const Error& error) {
  target_.print(error.text() + "\n");
  end_journey(std::nullopt, StopEvent{});
}

// The current vCPU, or another where that has not been started yet.
VcpuId Debugger::existing_vcpu() const {
  if (target_.is_active(session_.current.value)) return session_.current;
  return target_.first_active().value_or(VcpuId{0});
}

VcpuId Debugger::vcpu_going_back() const {
  VcpuId wanted = session_.current;
  if (session_.back == Session::Back::Reported) wanted = session_.reported;
  if (session_.back == Session::Back::Chosen) wanted = session_.chosen;
  return target_.is_active(wanted.value) ? wanted : existing_vcpu();
}

// For who leaves. False: the machine is still in its past, and must not run.
bool Debugger::return_to_present() {
  hypervisor::TimeTravel* const machine = options_.time_travel;
  if (machine == nullptr || (!trip_ && !machine->in_past())) return true;
  trip_.reset();
  const Result<void> back = machine->return_to_present();
  target_.come_to();
  if (!back && options_.console) options_.console(back.error().text() + "\n");
  return back.has_value();
}

}  // namespace ringside::debug
