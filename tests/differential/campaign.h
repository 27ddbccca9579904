// Runs every form of a scope on both processors with random inputs and tells what differs. Each
// family of instructions has a test that gives its scope; adding a family is adding a claim.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "differential/forms.h"
#include "differential/state.h"

namespace ringside::differential {

// What the manual leaves open for a case, or the makers of processors do each in their own way.
// Nothing is open by default.
struct Freedom {
  std::uint64_t flags = 0;          // flags with any value
  bool flags_before = false;        // all flags may also be as they were before the instruction
  bool result = false;              // registers and memory: only faults are compared
  bool memory = false;              // what lies in memory
  bool fault = false;               // which of several faults comes: only that one does is compared
  bool alignment = false;           // whether the host wants it: the software CPU does
  bool index_upper_halves = false;  // bits 63:32 of RSI and RDI
  bool x87 = false;                 // the x87 registers, tags and status word
  unsigned nan_lane = 0;  // bytes: where both sides have a NaN in a lane of this size, any NaN
};

struct Scope {
  Claim claims;
  // What is open for a case; `faulted` says how the host's processor ended it. Empty: what the
  // decoder's tables call undefined flags.
  std::function<Freedom(const Encoding&, const Case&, bool faulted)> freedom;
  // Changes a case and the bytes at kData before it runs (floating-point inputs and so on). May be
  // empty.
  std::function<void(const Encoding&, Case&, std::span<std::uint8_t>, Random&)> prepare;
};

// Flags that the decoder's tables call undefined.
std::uint64_t undefined_flags_of(const Encoding& encoding);

struct Report {
  std::size_t forms = 0, encodings = 0;
  std::uint64_t cases = 0, faults = 0;
  std::vector<std::string> unimplemented;  // forms claimed that raise #UD
  std::set<std::string> absent;            // extensions of forms that this host has not got
  std::vector<std::string> passing;        // differences that a second run did not show
  std::vector<std::string> differences;    // one line per case, a few per form
  std::size_t forms_that_differ = 0;
};

// cases_per_form is spread over a form's encodings. The same seed gives the same cases.
Report run_campaign(Mode mode, const Scope& scope, unsigned cases_per_form, std::uint64_t seed);

// The factor from the environment (RINGSIDE_DIFFERENTIAL), 1 by default.
unsigned effort();

}  // namespace ringside::differential
