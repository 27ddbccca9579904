// What resumes and stops are in the protocol's terms. Pure.
#pragma once

#include <algorithm>

#include "debug/run/run_control.h"
#include "rsp/request.h"

namespace ringside::debug {

// A signal means nothing to a whole machine; clients that pass one on do not insist.
inline Action action_of(const rsp::ThreadAction& action) {
  switch (action.kind) {
    case rsp::ResumeKind::Continue:
      return {Action::Kind::Run, {}, false};
    case rsp::ResumeKind::Step:
      return {Action::Kind::Step, {}, false};
    case rsp::ResumeKind::StepRange:
      return {Action::Kind::StepRange, {action.range_start, action.range_end}, false};
    case rsp::ResumeKind::Stop:
      break;
  }
  return {};
}

// Nobody is resumed: who is named stops, or stays where it is.
inline bool only_stops(const rsp::ResumeThreads& request) {
  return std::all_of(request.actions.begin(), request.actions.end(),
                     [](const auto& action) { return action.kind == rsp::ResumeKind::Stop; });
}

// Causes that a stop reply has no field for.
inline bool has_words(StopCause cause) {
  return cause == StopCause::Dead || cause == StopCause::GuestPanic ||
         cause == StopCause::PhysicalWatchpoint || cause == StopCause::Caught;
}

inline bool is_death(const StopEvent* event) {
  return event != nullptr &&
         (event->cause == StopCause::Dead || event->cause == StopCause::GuestPanic);
}

}  // namespace ringside::debug
