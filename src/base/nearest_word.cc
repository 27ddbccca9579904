#include "base/nearest_word.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "base/lower_case.h"

namespace ringside {
namespace {

constexpr std::size_t kLongest = 64;  // a longer word is nobody's slip

// The "optimal string alignment" distance: row by row, cell [j] is the distance of the first i
// characters of `a` from the first j of `b`.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::optional<std::string_view> nearest_word(std::string_view typed,
                                             std::span<const std::string_view> words) {
  if (typed.empty() || typed.size() > kLongest) return std::nullopt;
  const std::string wanted = lower_case(typed);
  std::optional<std::string_view> best;
  std::size_t least = 0;
  for (const std::string_view word : words) {
    const std::size_t changes = distance(wanted, lower_case(word));
    if (changes > (word.size() + 2) / 3 || (best && changes >= least)) continue;
    best = word;
    least = changes;
  }
  return best;
}

}  // namespace ringside
