#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

const std::string& probe() {
  static const std::string text = [] {
    ChildProcess program({RINGSIDE_PROGRAM, "--probe"});
    program.await_exit();
    return program.text(ChildProcess::Stream::Output);
  }();
  return text;
}

bool probe_says(std::string_view what) { return probe().find(what) != std::string::npos; }

}  // namespace

std::string lacks(Feature feature) {
  if (engine() == "soft") return "";
  switch (feature) {
    case Feature::EveryInstruction:
      return probe_says("kvm: ring 0 runs on hardware")
                 ? ""
                 : "this KVM interprets ring 0 and lacks some instructions";
    case Feature::FiveLevelPaging:
      return probe_says("kvm: five-level paging: yes") ? ""
                                                       : "this processor has no five-level paging";
    case Feature::Watchpoints:
      return probe_says("kvm: write watchpoint: yes, read/write watchpoint: yes") ||
                     probe_says("kvm: watchpoints by page protection: yes")
                 ? ""
                 : "this KVM has no watchpoints";
    case Feature::PageWatches:
      return probe_says("kvm: watchpoints by page protection: yes") ? ""
                                                                    : "this KVM cannot watch pages";
    case Feature::ExecutionBreakpoints:
      return probe_says("kvm: execution breakpoint in a debug register: yes")
                 ? ""
                 : "this KVM has no execution breakpoints";
  }
  return "";
}

void Protocol::SetUp() {
  static const std::string missing = host::no_engine(engine());
  SKIP_IF(missing);
}

}  // namespace ringside::testing
