// The measures. Each runs for about `seconds` on a stopped target and leaves it stopped.
#pragma once

#include "target.h"

namespace ringside::bench {

double register_packets_per_second(Target& target, double seconds);
double steps_per_second(Target& target, double seconds);
double memory_megabytes_per_second(Target& target, double seconds);
// Million instructions per second of the loop in mix.S, with the debugger attached and silent.
double loop_mips(Target& target, double seconds);

struct Latency {
  double p50_us = 0, p99_us = 0;
};
// From the interrupt to the stop reply, with the guest's vCPUs busy.
Latency stop_latency(Target& target, int stops);

}  // namespace ringside::bench
