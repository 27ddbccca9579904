#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

// Why the engine under test cannot be used here; empty if it can.
std::string missing_engine() {
  if (engine() == "soft") return "";
  ChildProcess probe(
      {RINGSIDE_PROGRAM, "-e", engine(), GuestImage("end_debug_exit").path(), "--debug-exit"});
  try {
    probe.await(ChildProcess::Stream::Output, "r");
    return "";
  } catch (const std::exception&) {
    return probe.text(ChildProcess::Stream::Error);
  }
}

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
      return probe_says("kvm: ring 0 runs on hardware") ? "" : "this KVM interprets ring 0 by half";
    case Feature::FiveLevelPaging:
      return probe_says("kvm: five-level paging: yes") ? ""
                                                       : "this processor has no five-level paging";
    case Feature::Watchpoints:
      return probe_says("kvm: write watchpoint: yes, read/write watchpoint: yes") ||
                     probe_says("kvm: watchpoints by page protection: yes")
                 ? ""
                 : "this KVM does not report watchpoints";
    case Feature::PageWatches:
      return probe_says("kvm: watchpoints by page protection: yes") ? ""
                                                                    : "this KVM cannot watch pages";
  }
  return "";
}

void Protocol::SetUp() {
  static const std::string missing = missing_engine();
  if (!missing.empty()) GTEST_SKIP() << "engine " << engine() << " is not to be had: " << missing;
}

std::string monitor(DebugClient& client, const std::string& command) {
  std::string text;
  std::string reply = client.request("qRcmd," + hex(command));
  while (reply.size() > 2 && reply.front() == 'O') {
    text += unhex(reply.substr(1));
    reply = client.receive();
  }
  if (reply == "OK") return text;
  if (reply.front() == 'E') return reply;
  return text + unhex(reply);
}

}  // namespace ringside::testing
