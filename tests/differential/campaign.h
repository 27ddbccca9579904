// Runs every form of a scope on both processors with random inputs and tells what differs. Each
// family of instructions has a test that gives its scope; adding a family is adding a claim.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "differential/forms.h"
#include "differential/state.h"

namespace ringside::differential {

struct Scope {
  Claim claims;
  // Arithmetic flags that the manual leaves undefined after this case, beyond what the decoder's
  // tables say. May be empty.
  std::function<std::uint64_t(const Encoding&, const Case&)> undefined_flags;
  // Registers and memory are not to be compared, only faults: the manual leaves the result
  // undefined, or (where `faulted`) the processor has got half-way. May be empty.
  std::function<bool(const Encoding&, const Case&, bool faulted)> undefined_result;
  // Several accesses could fault, and which does first is the maker's choice: only that one does is
  // compared. May be empty.
  std::function<bool(const Encoding&)> any_fault;
  // Changes a case and the bytes at kData before it runs (floating-point inputs and so on). May be
  // empty.
  std::function<void(const Encoding&, Case&, std::span<std::uint8_t>, Random&)> prepare;
};

struct Report {
  std::size_t forms = 0, encodings = 0;
  std::uint64_t cases = 0, faults = 0;
  std::vector<std::string> unimplemented;  // forms claimed that raise #UD
  std::vector<std::string> differences;    // one line per case, a few per form
  std::size_t forms_that_differ = 0;
};

// cases_per_form is spread over a form's encodings. The same seed gives the same cases.
Report run_campaign(Mode mode, const Scope& scope, unsigned cases_per_form, std::uint64_t seed);

// The factor from the environment (RINGSIDE_DIFFERENTIAL), 1 by default.
unsigned effort();

}  // namespace ringside::differential
