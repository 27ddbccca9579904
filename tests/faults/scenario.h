// What ringside is made to do while one of its system calls fails. A scenario is a plain value.
#pragma once

#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "faults/outcome.h"

namespace ringside::testing {

// Whether the keeper, the second process, has something to do. If not, its faults are those of
// every run.
enum class Keeper { Idle, Asked };

struct Scenario {
  std::string name;
  // Its folder is empty; what it needs goes there.
  std::function<void(const std::string& folder)> prepare;
  // After the program's name.
  std::function<std::vector<std::string>(const std::string& folder)> arguments;
  // What its user does, up to the end of the program. Throws where the program has gone or is late.
  std::function<void(ChildProcess&, const std::string& folder)> use;
  // Beside 4, which is an error or an end from outside.
  std::set<int> statuses;
  // Files that may be in the folder afterwards.
  std::set<std::string> files;
  // What is lost; empty: nothing.
  std::function<std::string(const Outcome&, const std::string& folder)> lost;
  Keeper keeper = Keeper::Idle;
};

const std::vector<Scenario>& scenarios();

inline void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

}  // namespace ringside::testing
