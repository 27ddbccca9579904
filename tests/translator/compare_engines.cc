// A whole machine twice, interpreted and translated, compared at many counts; a difference is
// narrowed down to the instruction.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cli/options/options.h"
#include "translator/comparison.h"
#include "translator/whole_machine.h"

namespace ringside::testing {
namespace {

constexpr std::string_view kUsage =
    R"(compare_engines [OPTIONS] [--] RINGSIDE'S OPTIONS... KERNEL
Runs the machine twice, interpreted and translated, and compares all of its state again and again.
  --every N            instructions from one comparison to the next (1000000); one more is made at
                       random in between
  --until N            ends after so many instructions; without, when the guest ends
  --until-output TEXT  ends when the guest has put this out
  --seed N             of the random moments
  --threshold N        executions before a block is translated (0: from the first on)
  --code-bytes N       memory for host code
  --no-narrowing       does not look for the instruction after which the two differ
With --replay JOURNAL among ringside's options, the inputs are the journal's.
Exit status: 0 alike; 1 different, or another end than the journal's; 2 it could not be done.
)";

constexpr int kAlike = 0, kDifferent = 1, kImpossible = 2;

struct Request {
  Comparison comparison;
  soft::TranslatorOptions translator = translated(soft::TranslatorOptions{}.code_bytes);
  cli::Options machine;
  std::string last_words;  // of the guest; then it is far enough
};

std::uint64_t number_of(std::string_view option, const char* text) {
  const std::string_view digits = text == nullptr ? "" : text;
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || stop != digits.data() + digits.size())
    throw std::runtime_error(fmt::format("{}: '{}' is no number", option, digits));
  return value;
}

// What would say something else than it does here.
void check(const cli::Options& options) {
  const auto refuse = [](std::string_view what) { throw std::runtime_error(std::string(what)); };
  if (options.engine == cli::EngineChoice::Kvm)
    refuse("--engine kvm: it is two software CPUs that are compared");
  if (options.translate == cli::Translate::Off)
    refuse("--translate off: one of the two always translates, the other interprets");
  if (options.gdb) refuse("--gdb: no debugger is served here");
  if (!options.restore.empty()) refuse("--restore: a saved machine cannot be compared");
}

Request read_arguments(int argc, char** argv) {
  Request request;
  int at = 1;
  for (; at < argc; ++at) {
    const std::string_view option = argv[at];
    const auto number = [&] { return number_of(option, argv[++at]); };
    if (option == "--every") {
      request.comparison.every = std::max<std::uint64_t>(1, number());
    } else if (option == "--until") {
      request.comparison.until = number();
    } else if (option == "--seed") {
      request.comparison.seed = number();
    } else if (option == "--threshold") {
      request.translator.threshold = static_cast<unsigned>(number());
    } else if (option == "--code-bytes") {
      request.translator.code_bytes = number();
    } else if (option == "--until-output") {
      if (at + 1 == argc) throw std::runtime_error("--until-output wants a text");
      request.last_words = argv[++at];
    } else if (option == "--no-narrowing") {
      request.comparison.narrow = false;
    } else {
      at += option == "--" ? 1 : 0;
      break;
    }
  }
  std::vector<const char*> rest{"ringside"};
  rest.insert(rest.end(), argv + at, argv + argc);
  auto line = cli::parse_command_line(static_cast<int>(rest.size()), rest.data());
  if (!line) throw std::runtime_error(line.error().text());
  request.machine = line->options;
  check(request.machine);
  return request;
}

int run(const Request& request) {
  const MakeTwins make = [&] {
    return std::make_unique<WholeTwins>(request.machine, request.translator);
  };
  Comparison comparison = request.comparison;
  std::uint64_t told = 0;
  comparison.goes_on = [&](Twins& twins) {
    const std::uint64_t count = twins.engine(Side::Translated).total_instructions().value;
    if (count - told >= 500'000'000) {
      told = count;
      fmt::print(stderr, "{} instructions, alike so far\n", count);
    }
    const std::string& output = static_cast<WholeTwins&>(twins).machine(Side::Translated).output();
    return request.last_words.empty() || output.find(request.last_words) == std::string::npos;
  };
  const Compared compared = compare(make, comparison);
  fmt::print("{} instructions, compared {} times: {}\n", compared.instructions, compared.times,
             compared.difference.empty() ? "alike" : "different");
  if (!compared.difference.empty()) {
    fmt::print("{}", compared.difference);
    return kDifferent;
  }
  auto& twins = static_cast<WholeTwins&>(*compared.twins);
  for (const Side side : {Side::Interpreted, Side::Translated}) {
    const auto as_recorded = twins.machine(side).is_as_recorded();
    if (as_recorded.value_or(true)) continue;
    fmt::print("not the end that the journal has\n");
    return kDifferent;
  }
  const std::string end = twins.machine(Side::Translated).end();
  fmt::print("{}\n", end.empty() ? "not over" : end);
  return kAlike;
}

}  // namespace
}  // namespace ringside::testing

int main(int argc, char** argv) {
  using namespace ringside::testing;
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--help" || first == "-h") {
    fmt::print("{}", kUsage);
    return kAlike;
  }
  try {
    return run(read_arguments(argc, argv));
  } catch (const std::exception& error) {
    fmt::print(stderr, "compare_engines: {}\n", error.what());
    return kImpossible;
  }
}
