#include "translator/comparison.h"

#include <algorithm>
#include <random>

#include "translator/first_difference.h"
#include "translator/refusals.h"

namespace ringside::testing {

Compared compare(const MakeTwins& make, const Comparison& comparison) {
  const Refusals refusals;
  std::mt19937_64 random(comparison.seed);
  Compared result;
  result.twins = make();
  std::uint64_t alike = 0;
  // False: it is over.
  const auto compare_at = [&](std::uint64_t count, Twins::Depth depth) {
    count = std::min(count, comparison.until);
    Twins& twins = *result.twins;
    twins.run_to({count});
    result.instructions = twins.engine(Side::Interpreted).total_instructions().value;
    // Both have come to their end before: then once more, with everything.
    const bool ended = result.instructions < count;
    result.difference = twins.difference(ended ? Twins::Depth::Everything : depth);
    ++result.times;
    if (!result.difference.empty()) {
      if (!comparison.narrow) return false;
      result.twins.reset();  // for its memory
      result.difference =
          first_difference(make, {alike}, {count}) + "as it was seen first:\n" + result.difference;
      return false;
    }
    if (depth == Twins::Depth::Everything) alike = count;
    return !ended && count < comparison.until && (!comparison.goes_on || comparison.goes_on(twins));
  };
  for (std::uint64_t from = 0;; from += comparison.every) {
    if (!compare_at(from + random() % comparison.every, Twins::Depth::AllButMemory) ||
        !compare_at(from + comparison.every, Twins::Depth::Everything))
      break;
  }
  for (const std::string& line : refusals.lines())
    result.difference += line + "\n";
  return result;
}

}  // namespace ringside::testing
