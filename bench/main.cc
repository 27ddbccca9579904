// `make bench`: every figure against QEMU's TCG and stub in the same run, in turns, with the same
// client and the same guest image. Figures are medians of several runs.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
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
    "ringside_bench [--list] [--only NAME,NAME...] [--runs N] [--seconds S] [--check]\n"
    "  --list     name the measures\n"
    "  --only     take these\n"
    "  --runs     median of so many (3)\n"
    "  --seconds  of one run, where it can be chosen (0.5)\n"
    "  --check    exit status 1 if a promise is not kept\n";

struct Arguments {
  bool list = false, check = false;
  std::set<std::string> only;
  int runs = 3;
  double seconds = 0.5;
};

Arguments parse(int argc, char** argv) {
  Arguments result;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--list") {
      result.list = true;
    } else if (option == "--check") {
      result.check = true;
    } else if (i + 1 == argc) {
      throw std::invalid_argument(std::string(option));
    } else if (option == "--only") {
      std::istringstream names(argv[++i]);
      for (std::string name; std::getline(names, name, ',');)
        result.only.insert(name);
    } else if (option == "--runs") {
      result.runs = std::max(1, std::atoi(argv[++i]));
    } else if (option == "--seconds") {
      result.seconds = std::atof(argv[++i]);
    } else {
      throw std::invalid_argument(std::string(option));
    }
  }
  return result;
}

std::vector<Measure> all_measures() {
  std::vector<Measure> result;
  for (auto family : {packet_measures, condition_measures, kvm_measures, gdb_measures,
                      guest_measures, start_measures, boot_measures}) {
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
  if (!unknown.empty()) throw std::invalid_argument(*unknown.begin());
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

std::string words(const Promise& promise, const std::string& unit) {
  std::string result;
  const auto add = [&](const std::string& text) { result += (result.empty() ? "" : ", ") + text; };
  if (promise.least_times >= 1) add("at least " + number(promise.least_times) + " times better");
  if (promise.least_times > 0 && promise.least_times < 1)
    add("at most " + number(1 / promise.least_times) + " times QEMU's");
  if (promise.least) add("at least " + number(*promise.least) + " " + unit);
  if (promise.most) add("at most " + number(*promise.most) + " " + unit);
  return result;
}

// Empty if it can be measured here.
std::string missing(Subject peer) {
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
              cell(theirs).c_str(), times ? number(*times).c_str() : "-",
              words(promise, figure.unit).c_str(), kept ? "" : ": **missed**");
  std::fflush(stdout);
  return !judged ? Outcome::NotJudged : kept ? Outcome::Kept : Outcome::Broken;
}

// Whether all promises of the measure were kept, as far as could be judged.
bool run(const Measure& measure, const Arguments& arguments) {
  const std::string why = missing(measure.peer);
  const bool peer = why.empty();
  if (!peer) std::fprintf(stderr, "%s: no ratio: %s\n", measure.name.c_str(), why.c_str());
  Samples ours(measure.figures.size()), theirs(measure.figures.size());
  try {
    for (int i = 0; i < arguments.runs; ++i) {
      ours.add(measure.run(Subject::Ringside, arguments.seconds));
      if (peer) theirs.add(measure.run(measure.peer, arguments.seconds));
    }
  } catch (const std::exception& error) {
    std::printf("| %s | could not be measured | | | |\n", measure.name.c_str());
    std::fprintf(stderr, "%s: %s\n", measure.name.c_str(), error.what());
    return false;
  }
  bool good = true;
  for (std::size_t i = 0; i < measure.figures.size(); ++i)
    good = print(measure.figures[i], ours.median(i), theirs.median(i)) != Outcome::Broken && good;
  return good;
}

int run(const Arguments& arguments) {
  const std::vector<Measure> measures = chosen(arguments);
  if (arguments.list) {
    for (const Measure& measure : measures)
      std::printf("%-16s %s\n", measure.name.c_str(), measure.what.c_str());
    return 0;
  }
  const auto from = Clock::now();
  std::printf(
      "| measure | ringside | QEMU TCG | times better | promise |\n|---|---:|---:|---:|---|\n");
  bool good = true;
  for (const Measure& measure : measures)
    good = run(measure, arguments) && good;
  std::printf("\nMedians of %d runs; %.0f s in all.\n", arguments.runs, since(from));
  return arguments.check && !good ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "bench: what is %s?\n%s", error.what(), kUsage.data());
    return 4;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 4;
  }
}
