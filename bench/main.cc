// `make bench`: every figure against QEMU's TCG and stub in the same run, in turns, with the same
// client and the same guest image; or against ringside with other arguments. Figures are medians of
// several runs.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "clock.h"
#include "measure.h"
#include "support/host.h"
#include "support/qemu.h"
#include "target.h"

namespace {

using namespace ringside::bench;

constexpr std::string_view kUsage =
    "ringside_bench [--help] [--list] [--only NAME,NAME...] [--runs N] [--seconds S] [--check]\n"
    "               [--ringside-arg=ARG]... [--against=ARG]...\n"
    "  --list          name the measures\n"
    "  --only          take these\n"
    "  --runs          median of so many (3)\n"
    "  --seconds       of one run, where it can be chosen (0.5)\n"
    "  --check         exit status 1 if a promise is not kept\n"
    "  --ringside-arg  an argument more for every ringside, repeatable\n"
    "  --against       compare with ringside with this argument instead, not with QEMU; "
    "repeatable\n";

struct Arguments {
  bool help = false, list = false, check = false;
  std::set<std::string> only;
  int runs = 3;
  double seconds = 0.5;
  std::vector<std::string> ringside;  // more arguments for it
  std::vector<std::string> against;   // the peer is ringside with these; empty: each measure's own
};

// A number above zero, whole text.
template <typename Number>
Number positive(std::string_view option, std::string_view text) {
  Number value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && stop == text.data() + text.size() && value > 0) return value;
  throw std::invalid_argument(std::string(option) + ": '" + std::string(text) +
                              "' is not a number above 0");
}

// What follows `start` in an option of the form --name=VALUE.
std::optional<std::string> value_after(std::string_view option, std::string_view start) {
  if (!option.starts_with(start)) return std::nullopt;
  return std::string(option.substr(start.size()));
}

Arguments parse(int argc, char** argv) {
  Arguments result;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--help" || option == "-h") {
      result.help = true;
    } else if (option == "--list") {
      result.list = true;
    } else if (option == "--check") {
      result.check = true;
    } else if (const auto argument = value_after(option, "--ringside-arg=")) {
      result.ringside.push_back(*argument);
    } else if (const auto other = value_after(option, "--against=")) {
      result.against.push_back(*other);
    } else if (option != "--only" && option != "--runs" && option != "--seconds") {
      throw std::invalid_argument("there is no option " + std::string(option) +
                                  "; --help lists the options");
    } else if (i + 1 == argc) {
      throw std::invalid_argument(std::string(option) + " wants a value; --help lists the options");
    } else if (option == "--only") {
      std::istringstream names(argv[++i]);
      for (std::string name; std::getline(names, name, ',');)
        result.only.insert(name);
    } else if (option == "--runs") {
      result.runs = positive<int>(option, argv[++i]);
    } else {
      result.seconds = positive<double>(option, argv[++i]);
    }
  }
  return result;
}

std::vector<Measure> all_measures() {
  std::vector<Measure> result;
  for (auto family :
       {packet_measures, condition_measures, kvm_measures, gdb_measures, guest_measures,
        float_measures, vector_measures, start_measures, boot_measures, work_measures,
        clock_measures, observer_measures, interrupt_measures, saved_measures, core_measures,
        travel_measures, trace_measures, outside_measures, disk_measures}) {
    for (Measure& measure : family())
      result.push_back(std::move(measure));
  }
  return result;
}

std::vector<Measure> chosen(const Arguments& arguments) {
  std::vector<Measure> measures = all_measures();
  std::set<std::string> unknown = arguments.only;
  for (const Measure& measure : measures)
    unknown.erase(measure.name);
  if (!unknown.empty()) {
    throw std::invalid_argument("--only: there is no measure '" + *unknown.begin() +
                                "'; --list names them");
  }
  if (!arguments.only.empty()) {
    std::erase_if(measures,
                  [&](const Measure& measure) { return !arguments.only.contains(measure.name); });
  }
  return measures;
}

class Samples {
 public:
  explicit Samples(std::size_t figures) : samples_(figures) {}
  void add(const Values& values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i]) samples_[i].push_back(*values[i]);
    }
  }
  std::optional<double> median(std::size_t figure) const {
    std::vector<double> values = samples_[figure];
    if (values.empty()) return std::nullopt;
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }

 private:
  std::vector<std::vector<double>> samples_;
};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value >= 1000 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value);
  return text;
}

std::string words(const Figure& figure) {
  const Promise& promise = figure.promise;
  const double times = promise.least_times;
  std::string result;
  const auto add = [&](const std::string& text) { result += (result.empty() ? "" : ", ") + text; };
  if (times > 0 && times <= 1 && figure.better == Better::Lower)
    add("at most " + number(1 / times) + " times QEMU's");
  else if (times > 0 && times < 1)
    add("at least " + number(times) + " times QEMU's");
  else if (times > 0)
    add("at least " + number(times) + " times better");
  if (promise.least) add("at least " + number(*promise.least) + " " + figure.unit);
  if (promise.most) add("at most " + number(*promise.most) + " " + figure.unit);
  return result;
}

std::string joined(const std::vector<std::string>& words) {
  std::string result;
  for (const std::string& word : words)
    result += " " + word;
  return result;
}

// Empty if it can be measured here.
std::string missing(Subject peer) {
  if (peer == Subject::Ringside) return {};
  if (peer == Subject::Qemu) return ringside::testing::no_qemu();
  return ringside::testing::host::no_program("gdbserver");
}

enum class Outcome { Kept, Broken, NotJudged };

Outcome print(const Figure& figure, std::optional<double> ours, std::optional<double> theirs) {
  std::optional<double> times;
  if (ours && theirs && *ours > 0 && *theirs > 0)
    times = figure.better == Better::Higher ? *ours / *theirs : *theirs / *ours;
  const Promise& promise = figure.promise;
  bool judged = false, kept = true;
  const auto judge = [&](bool good) {
    judged = true;
    kept = kept && good;
  };
  if (promise.least_times > 0 && times) judge(*times >= promise.least_times);
  if (promise.least && ours) judge(*ours >= *promise.least);
  if (promise.most && ours) judge(*ours <= *promise.most);
  const auto cell = [&](std::optional<double> value) {
    return value ? number(*value) + " " + figure.unit : std::string("-");
  };
  std::printf("| %s | %s | %s | %s | %s%s |\n", figure.name.c_str(), cell(ours).c_str(),
              cell(theirs).c_str(), times ? number(*times).c_str() : "-", words(figure).c_str(),
              kept ? "" : ": **missed**");
  std::fflush(stdout);
  return !judged ? Outcome::NotJudged : kept ? Outcome::Kept : Outcome::Broken;
}

// Whether all promises of the measure were kept, as far as could be judged.
bool run(const Measure& measure, const Arguments& arguments) {
  const bool itself = !arguments.against.empty();
  const Subject other = itself ? Subject::Ringside : measure.peer;
  const std::string why = missing(other);
  const bool peer = why.empty();
  if (!peer) std::fprintf(stderr, "%s: no ratio: %s\n", measure.name.c_str(), why.c_str());
  Samples ours(measure.figures.size()), theirs(measure.figures.size());
  try {
    for (int i = 0; i < arguments.runs; ++i) {
      set_ringside_arguments(arguments.ringside);
      ours.add(measure.run(Subject::Ringside, arguments.seconds));
      if (itself) set_ringside_arguments(arguments.against);
      if (peer) theirs.add(measure.run(other, arguments.seconds));
    }
  } catch (const std::exception& error) {
    std::printf("| %s | could not be measured | | | |\n", measure.name.c_str());
    std::fprintf(stderr, "%s: %s\n", measure.name.c_str(), error.what());
    return false;
  }
  bool good = true;
  for (std::size_t i = 0; i < measure.figures.size(); ++i) {
    Figure figure = measure.figures[i];
    if (itself) figure.promise.least_times = 0;  // those are about QEMU
    good = print(figure, ours.median(i), theirs.median(i)) != Outcome::Broken && good;
  }
  return good;
}

int run(const Arguments& arguments) {
  if (arguments.help) {
    std::fputs(kUsage.data(), stdout);
    return 0;
  }
  const std::vector<Measure> measures = chosen(arguments);
  if (arguments.list) {
    for (const Measure& measure : measures)
      std::printf("%-22s %s\n", measure.name.c_str(), measure.what.c_str());
    return 0;
  }
  const auto from = Clock::now();
  const std::string peer =
      arguments.against.empty() ? "QEMU TCG" : "ringside" + joined(arguments.against);
  std::printf("| measure | ringside%s | %s | times better | promise |\n|---|---:|---:|---:|---|\n",
              joined(arguments.ringside).c_str(), peer.c_str());
  bool good = true;
  for (const Measure& measure : measures)
    good = run(measure, arguments) && good;
  const std::string runs =
      arguments.runs == 1 ? "One run" : "Medians of " + std::to_string(arguments.runs) + " runs";
  std::printf("\n%s; %.0f s in all.\n", runs.c_str(), since(from));
  return arguments.check && !good ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 4;
  }
}
