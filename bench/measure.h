// A measure: one thing done to ringside and then to its peer, QEMU's TCG and stub for all but one,
// with the figures that come out and what is promised of them. Plain data; the families below make
// them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ringside::bench {

enum class Subject { Ringside, Qemu, GdbServer };
enum class Better { Higher, Lower };

struct Promise {
  double least_times = 0;             // times better than QEMU; below 1: not much worse
  std::optional<double> least, most;  // of ringside itself
};

struct Figure {
  std::string name;
  std::string unit;
  Better better = Better::Higher;
  Promise promise;
};

// A value for each figure, in their order; nothing where the subject has none.
using Values = std::vector<std::optional<double>>;

struct Measure {
  std::string name;  // on the command line
  std::string what;
  std::vector<Figure> figures;
  // Once, for about so many seconds where that can be chosen.
  std::function<Values(Subject, double seconds)> run;
  // What is measured in turns with ringside.
  Subject peer = Subject::Qemu;
};

std::vector<Measure> packet_measures();     // raw packets
std::vector<Measure> condition_measures();  // conditional breakpoints
std::vector<Measure> kvm_measures();        // the same and watchpoints, on KVM
std::vector<Measure> gdb_measures();        // commands of stock GDB
std::vector<Measure> guest_measures();      // the guest's speed with a debugger about
std::vector<Measure> start_measures();      // the program's start
std::vector<Measure> boot_measures();       // Debian's kernel
std::vector<Measure> float_measures();      // floating point
std::vector<Measure> vector_measures();     // x86-64-v3
std::vector<Measure> work_measures();       // a user's work in Linux
std::vector<Measure> clock_measures();      // the guest's clock
std::vector<Measure> observer_measures();   // debuggers that look
std::vector<Measure> interrupt_measures();  // Ctrl-C in a front end
std::vector<Measure> saved_measures();      // machines saved and restored
std::vector<Measure> core_measures();       // cores of guests
std::vector<Measure> travel_measures();     // going back
std::vector<Measure> trace_measures();      // tracepoints
std::vector<Measure> outside_measures();    // a guest's network and shared folder
std::vector<Measure> disk_measures();       // a guest's disks

}  // namespace ringside::bench
