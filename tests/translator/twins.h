// One guest twice, with everything alike but how its CPUs execute: the software CPU's interpreter,
// and its translator. Whatever the guest does, no difference may ever be seen. Owned by one test;
// runs on the caller's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/soft/soft_vm.h"
#include "ringside/types.h"

namespace ringside::testing {

enum class Side { Interpreted, Translated };

// How each side executes. The translated one does so from the first execution of a block on.
inline soft::TranslatorOptions interpreted() {
  return {.mode = soft::TranslatorOptions::Mode::Off};
}
inline soft::TranslatorOptions translated(std::size_t code_bytes = 1u << 20) {
  return {.mode = soft::TranslatorOptions::Mode::On, .threshold = 0, .code_bytes = code_bytes};
}

class Twins {
 public:
  virtual ~Twins() = default;
  virtual soft::SoftEngine& engine(Side side) = 0;
  // Both run until so many instructions of all vCPUs together have retired, or until they end or
  // sleep for ever.
  virtual void run_to(InsnCount total) = 0;
  // What is different now, in words; empty: nothing is. Memory takes most of the time.
  enum class Depth { Everything, AllButMemory };
  virtual std::string difference(Depth depth = Depth::Everything) = 0;
};

// The two at the beginning of the same run, every time.
using MakeTwins = std::function<std::unique_ptr<Twins>()>;

// Registers and counts of the two engines, and what else is state, in words; empty: all alike.
// Neither memory nor devices, whose owners compare them.
std::string processor_difference(soft::SoftEngine& interpreted, soft::SoftEngine& translated);
// The first bytes of memory that differ; empty: none does.
std::string memory_difference(const hypervisor::GuestRam& interpreted,
                              const hypervisor::GuestRam& translated);

}  // namespace ringside::testing
