// Single instructions at random: the bytes of any that the software CPU executes, those that
// programs are made of more often than the rest.
#pragma once

#include "differential/forms.h"
#include "platform/processor.h"

namespace ringside::testing {

using differential::Encoding;
using differential::Random;
using hypervisor::Processor;

inline bool one_in(Random& random, unsigned n) { return random() % n == 0; }

// What must not be among them.
struct Unwanted {
  bool privileged_state = true;  // control and debug registers, tables, system calls
  bool stack_pointer = false;    // explicit writes of RSP, and LEAVE
  bool segments = false;         // loads of segment registers
};

// Not a jump, call or return, which need a place to go to, and not HLT.
Encoding random_insn(differential::Mode mode, Processor processor, const Unwanted& unwanted,
                     Random& random);
// One that computes flags and touches no memory.
Encoding random_flag_writer(differential::Mode mode, Random& random);
// One with a vector or MMX register: SSE to SSE4.2, or what has VEX.
Encoding random_vector_insn(differential::Mode mode, Processor processor, Random& random);
// One that reads flags: SETcc, CMOVcc, ADC, SBB, RCL, RCR, LAHF, INC, DEC, CMC.
Encoding random_flag_reader(differential::Mode mode, Random& random);

}  // namespace ringside::testing
