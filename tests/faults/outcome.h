// How a run of the program ended.
#pragma once

#include <string>

#include "support/child_process.h"

namespace ringside::testing {

struct Outcome {
  int status = 0;
  std::string output, error;
  bool has(const std::string& said) const { return error.find(said) != std::string::npos; }
};

// Waits for its end.
inline Outcome outcome_of(ChildProcess& process) {
  Outcome outcome;
  outcome.status = process.await_exit();
  outcome.output = process.text(ChildProcess::Stream::Output);
  outcome.error = process.text(ChildProcess::Stream::Error);
  return outcome;
}

}  // namespace ringside::testing
