// What is compared of two runs at one moment: a few figures that stand for the whole state, and
// that tell which part of it differs. Plain values; a line of the journal.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "ringside/types.h"
#include "time/record/memory_sums.h"

namespace ringside::time {

struct VcpuCheck {
  InsnCount instructions;  // that it has retired
  std::uint64_t rip = 0;
  std::uint64_t hash = 0;  // of all that is its own
  friend bool operator==(const VcpuCheck&, const VcpuCheck&) = default;
};

struct Check {
  std::vector<VcpuCheck> vcpus;
  std::uint64_t schedule = 0;  // time, and whose turn it is
  std::uint64_t devices = 0;
  MemoryParts memory;
  friend bool operator==(const Check&, const Check&) = default;
};

// The rest of a line, without its end; and back again. Nothing if these are not the words of a
// machine with so many vCPUs.
std::string to_words(const Check& check);
std::optional<Check> check_of_words(std::istream& words, unsigned vcpus);

// What differs, a line for each part of the machine; none if they are equal.
std::vector<std::string> differences(const Check& recorded, const Check& now,
                                     std::uint64_t pages_in_part);

}  // namespace ringside::time
