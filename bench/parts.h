// The parts of a guest's work, timed from outside by what it says on COM1:
//   BEGIN name
//   END name status 0
//   DIGEST name text
// The digest is of what the part has made, which is the same on every machine.
#pragma once

#include <string>

#include "support/child_process.h"

namespace ringside::bench {

struct PartTime {
  double wall, processor;  // seconds
};

// Waits for the end of a part. Throws if it has failed, or if it has made something else than the
// part `name` of the same `measure` did before, whoever ran it.
PartTime await_part(testing::ChildProcess& process, const std::string& measure,
                    const std::string& name);

}  // namespace ringside::bench
