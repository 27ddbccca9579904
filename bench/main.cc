// `make bench`: every figure as a ratio to QEMU's stub, measured in the same run, in turns, with
// the same client and the same guest image. Figures are medians of several runs. Exit status 1 if a
// ratio is below what BENCH.md promises.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <vector>

#include "measures.h"

namespace {

using namespace ringside::bench;

enum class Better { Higher, Lower };

struct Row {
  const char* name;
  const char* unit;
  Better better;
  double least_ratio;  // how many times better than QEMU it must be; 0 if nothing is promised
  double least_value;  // of ringside itself; 0 if nothing is promised
  std::function<double(Target&)> measure;
  std::vector<double> ours, theirs;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

bool print(const Row& row) {
  const double ours = median(row.ours), theirs = median(row.theirs);
  std::printf("| %s | %.4g %s | ", row.name, ours, row.unit);
  if (theirs == 0) {
    std::printf("- | - | - |\n");
    return row.least_value == 0 || ours >= row.least_value;
  }
  const double ratio = row.better == Better::Higher ? ours / theirs : theirs / ours;
  const bool good = ratio >= row.least_ratio && (row.least_value == 0 || ours >= row.least_value);
  std::printf("%.4g %s | %.2f | ", theirs, row.unit, ratio);
  if (row.least_ratio > 0) std::printf("at least %.3g times", row.least_ratio);
  if (row.least_value > 0) std::printf("at least %.3g %s", row.least_value, row.unit);
  if (row.least_ratio == 0 && row.least_value == 0) std::printf("-");
  std::printf("%s |\n", good ? "" : ": **missed**");
  return good;
}

int run(int repetitions, double seconds) {
  std::vector<Row> rows;
  rows.push_back({"`g` packets",
                  "/s",
                  Better::Higher,
                  0,
                  0,
                  [=](Target& t) { return register_packets_per_second(t, seconds); },
                  {},
                  {}});
  rows.push_back({"steps",
                  "/s",
                  Better::Higher,
                  5,
                  0,
                  [=](Target& t) { return steps_per_second(t, seconds); },
                  {},
                  {}});
  rows.push_back({"`m` reads",
                  "MB/s",
                  Better::Higher,
                  10,
                  0,
                  [=](Target& t) { return memory_megabytes_per_second(t, seconds); },
                  {},
                  {}});
  rows.push_back({"stop latency, p50",
                  "us",
                  Better::Lower,
                  1,
                  0,
                  [=](Target& t) { return stop_latency(t, 200).p50_us; },
                  {},
                  {}});
  rows.push_back({"stop latency, p99",
                  "us",
                  Better::Lower,
                  0,
                  0,
                  [=](Target& t) { return stop_latency(t, 200).p99_us; },
                  {},
                  {}});
  rows.push_back({"loop, free running",
                  "MIPS",
                  Better::Higher,
                  0,
                  100,
                  [=](Target& t) { return loop_mips(t, seconds * 2); },
                  {},
                  {}});

  const bool peer = have_qemu();
  if (!peer) std::printf("qemu-system-x86_64 is not installed: no ratios.\n\n");
  for (int i = 0; i < repetitions; ++i) {
    Target ours = ringside_target("mix", 1);
    for (Row& row : rows)
      row.ours.push_back(row.measure(ours));
    if (!peer) continue;
    Target theirs = qemu_target("mix", 1);
    for (Row& row : rows)
      row.theirs.push_back(row.measure(theirs));
  }
  std::printf(
      "| measure | ringside | QEMU TCG | times better | promise |\n|---|---:|---:|---:|---|\n");
  bool good = true;
  for (const Row& row : rows)
    good = print(row) && good;
  return good ? 0 : 1;
}

}  // namespace

// ringside_bench [REPETITIONS [SECONDS]]
int main(int argc, char** argv) {
  try {
    return run(argc > 1 ? std::atoi(argv[1]) : 5, argc > 2 ? std::atof(argv[2]) : 0.5);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 4;
  }
}
