// The fixture of the rows of docs/model.md: raw packets over a real socket to the real program with
// a real guest. Each test starts its own process, so that nothing leaks from one to another.
//
// Names: RowNN_… is row NN of the checklist in docs/testing.md, DefectNN_… an item of its list of
// known defects. The engine comes from RINGSIDE_ENGINE; where the host cannot run it the test is
// skipped by name.
#pragma once

#include <gtest/gtest.h>

#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {

using Start = GuestOptions::Start;

// What a row needs beyond an engine that runs. The software CPU has it all; of KVM --probe tells.
enum class Feature {
  EveryInstruction,  // ring 0 runs on hardware; where it is interpreted, some instructions lack
  FiveLevelPaging,
  Watchpoints,
  PageWatches,  // physical memory, too
  ExecutionBreakpoints,
};

class Protocol : public ::testing::Test {
 protected:
  void SetUp() override;
};

// Why the engine under test lacks it on this host; empty if it does not.
std::string lacks(Feature feature);

#define NEEDS(feature) SKIP_IF(lacks(feature))

// One short wait where a test must see that nothing comes.
inline constexpr std::chrono::milliseconds kQuiet{200};

}  // namespace ringside::testing
