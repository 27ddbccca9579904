// How fast the guests of bad_input.h run, translated as the program does it and interpreted:
// millions of instructions a second of processor time, and the ratio. A measure to look at, and no
// test: the numbers are the host's.
//   measure_bad_input [INSTRUCTIONS]
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

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

}  // namespace
}  // namespace ringside::testing

int main(int argc, char** argv) {
  using namespace ringside;
  using namespace ringside::testing;
  const std::uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 5'000'000;
  soft::TranslatorOptions little;
  little.code_bytes = 64u << 10;
  fmt::print("{:28} {:>12} {:>12} {:>7} {:>12} {:>7}\n", "", "interpreted", "translated", "ratio",
             "in 64 KiB", "ratio");
  for (const BadInput& input : all_bad_inputs()) {
    const Scene scene = input.make();
    const double slow = speed(scene, interpreted(), count);
    const double usual = speed(scene, soft::TranslatorOptions{}, count);
    const double narrow = speed(scene, little, count);
    fmt::print("{:28} {:12.1f} {:12.1f} {:7.2f} {:12.1f} {:7.2f}\n", input.name, slow, usual,
               usual / slow, narrow, narrow / slow);
  }
  return 0;
}
