// What an exhaustive test has to see of a RunControl: which states are the same. Owned by nobody;
// for tests.
#pragma once

#include <string>

#include "debug/run/run_control.h"

namespace ringside::debug {

// Everything in a RunControl that decides on its future, as text.
class RunControlState {
 public:
  static std::string key(const RunControl& r) {
    std::string out;
    const auto put = [&](std::uint64_t value) { out.push_back(static_cast<char>('0' + value)); };
    const auto put_action = [&](const Action& a) {
      put(static_cast<unsigned>(a.kind) * 2 + a.pass_breakpoint);
    };
    for (const RunControl::Vcpu& v : r.vcpus_) {
      put(v.active + 2 * v.in_guest + 4 * v.suspending + 8 * v.trap + 16 * v.lifted + 32 * v.stale +
          64 * v.told);
      put(v.pending ? 1 + static_cast<unsigned>(v.pending->cause) : 0);
      put_action(v.action);
      put(v.asked ? 1 + static_cast<unsigned>(*v.asked) : 0);
    }
    for (const std::uint32_t index : r.reports_)
      put(index);
    out.push_back('.');
    put_action(r.others_);
    put(static_cast<unsigned>(r.phase_));
    put(r.attached_ + 2 * r.leaving_ + 4 * r.report_due_ + 8 * r.interrupted_ + 16 * r.pausing_ +
        32 * r.travelling_);
    put(static_cast<unsigned>(r.mode_) + 2 * r.ran_);
    put(r.stopped_vcpu_ ? 1 + r.stopped_vcpu_->value : 0);
    put(r.passing_ ? 1 + *r.passing_ : 0);
    return out;
  }
  static bool leaving(const RunControl& r) { return r.leaving_; }
  static bool report_due(const RunControl& r) { return r.report_due_; }
};

}  // namespace ringside::debug
