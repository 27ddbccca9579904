// Files that scenarios begin with, made by runs in which nothing fails. Made once, when they are
// first asked for; they are gone with the process.
#pragma once

#include <string>
#include <vector>

#include "faults/outcome.h"

namespace ringside::testing {

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& content);

// Runs the program, gives it `input` and waits for its end.
Outcome run_plainly(std::vector<std::string> arguments, const std::string& input);
// The line with count and hash of a run with a journal or `--log debug`; empty: there is none.
std::string state_in(const std::string& error);

struct MadeBefore {
  std::string saved;                      // the guest speech, where it begins
  std::string restored;                   // the line of its state when it has gone on to its end
  std::string journal;                    // of the guest end_power_off, to its end
  std::string recorded;                   // the line of that run's state
  std::string core_at_start;              // of the guest counters, where it begins
  std::string core_of_death;              // of the guest end_triple_fault, which ends with status 3
  std::string older_core, older_machine;  // of another machine
  std::string speech;                     // all that the guest speech says
};
const MadeBefore& made_before();

}  // namespace ringside::testing
