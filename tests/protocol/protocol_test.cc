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

}  // namespace

void Protocol::SetUp() {
  static const std::string missing = missing_engine();
  if (!missing.empty()) GTEST_SKIP() << "engine " << engine() << " is not to be had: " << missing;
}

}  // namespace ringside::testing
