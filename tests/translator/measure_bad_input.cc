// How fast the guests of bad_input.h run, translated as the program does it and interpreted:
// millions of instructions a second of processor time, and the ratio. A measure to look at, and no
// test: the numbers are the host's.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <string_view>
#include <vector>

#include "translator/bad_input.h"
#include "translator/bare_twins.h"

namespace ringside::testing {
namespace {

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double speed(const Scene& scene, const soft::TranslatorOptions& options, std::uint64_t count) {
  BareMachine machine(scene, options);
  machine.run_to({count / 10});
  const double start = processor_seconds();
  machine.run_to({count});
  return static_cast<double>(count - count / 10) / (processor_seconds() - start) / 1e6;
}

int usage(int status) {
  fmt::print(status == 0 ? stdout : stderr,
             "measure_bad_input [INSTRUCTIONS [NAME...]]\n"
             "  INSTRUCTIONS  that each guest executes in each way (5000000)\n"
             "  NAME          of these guests only:\n");
  for (const BadInput& input : all_bad_inputs())
    fmt::print(status == 0 ? stdout : stderr, "    {}\n", input.name);
  return status;
}

}  // namespace
}  // namespace ringside::testing

int main(int argc, char** argv) {
  using namespace ringside;
  using namespace ringside::testing;
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  std::uint64_t count = 5'000'000;
  if (!words.empty()) {
    if (words[0] == "--help") return usage(0);
    const char* const end = words[0].data() + words[0].size();
    const auto [rest, error] = std::from_chars(words[0].data(), end, count);
    if (error != std::errc() || rest != end || count < 10) return usage(4);
  }
  soft::TranslatorOptions little;
  little.code_bytes = 64u << 10;
  fmt::print("{:28} {:>12} {:>12} {:>7} {:>12} {:>7}\n", "", "interpreted", "translated", "ratio",
             "in 64 KiB", "ratio");
  for (const BadInput& input : all_bad_inputs()) {
    if (words.size() > 1 && std::find(words.begin() + 1, words.end(), input.name) == words.end())
      continue;
    const Scene scene = input.make();
    const double slow = speed(scene, interpreted(), count);
    const double usual = speed(scene, soft::TranslatorOptions{}, count);
    const double narrow = speed(scene, little, count);
    fmt::print("{:28} {:12.1f} {:12.1f} {:7.2f} {:12.1f} {:7.2f}\n", input.name, slow, usual,
               usual / slow, narrow, narrow / slow);
  }
  return 0;
}
