// An optional ability of an engine: somebody looks on while the guest runs, at moments that the
// run itself decides, so that they are the same in every run. The guest cannot tell.
//
// One thread, the one that calls Engine::run_slice, and inside it. Neither of these may change
// anything of the machine. They see the run as it happens for the first time: on a travel through
// its past (Rewindable::travel) they are not called.
#pragma once

#include <cstdint>

#include "ringside/types.h"

namespace ringside::hypervisor {

class Sampler {
 public:
  virtual ~Sampler() = default;
  // Between two instructions: this vCPU has just retired the one by which the count of all vCPUs
  // came to `total`. Its registers may be read, as if it were out of the guest.
  virtual void sample(VcpuId vcpu, InsnCount total) = 0;
};

// Where a processor went, if not on to the next instruction or by a jump.
struct FlowEvent {
  enum class Kind : std::uint8_t {
    Call,       // CALL, near or far
    Return,     // RET, near or far
    Interrupt,  // an interrupt or an exception, whatever caused it
    Resume,     // IRET
  };
  Kind kind = Kind::Call;
  std::uint8_t vector = 0;   // of an Interrupt
  std::uint8_t cpl = 0;      // before
  std::uint8_t new_cpl = 0;  // and after it
  VcpuId vcpu;
  Gva from, next, to;  // linear: the instruction, the one behind it, what is executed next
  std::uint64_t stack = 0, new_stack = 0;  // RSP before and after it
  std::uint64_t cr3 = 0;
  VirtualTime time;
  InsnCount total;
};

class FlowListener {
 public:
  virtual ~FlowListener() = default;
  virtual void flow(const FlowEvent& event) = 0;
};

class Observable {
 public:
  virtual ~Observable() = default;
  // At each count of retired instructions of all vCPUs that `every` divides. Null: nobody. An
  // instruction of a debugger's step counts as any other.
  virtual void sample_every(std::uint64_t every, Sampler* sampler) = 0;
  // Null: nobody. While there is one, every instruction is interpreted.
  virtual void listen_to_flow(FlowListener* listener) = 0;
};

}  // namespace ringside::hypervisor
