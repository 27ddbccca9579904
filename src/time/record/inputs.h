// Everything that reaches the guest from outside, as one closed type: what a run is determined by,
// beside the files and options that it starts from. The journal has words for each.
//
// Devices get bytes, a disk of the host's fails, somebody presses a button, and a debugger changes
// registers and memory, keeps vCPUs from running and starts the machine anew. What a debugger only
// looks at, and its breakpoints, are no inputs.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <variant>

#include "machine/machine.h"
#include "platform/change.h"
#include "platform/recordable.h"

namespace ringside::time {

struct NonMaskableInterrupt {
  VcpuId vcpu;
};
struct PowerButton {};
// The machine is as at power-on, and loaded with what the run began with.
struct MachineReset {};

using Input =
    std::variant<machine::SerialInput, machine::GuestGdbInput, machine::GuestGdbConnection,
                 machine::NetworkInput, machine::ShareInput, machine::ConsoleInput,
                 machine::KeyInput, machine::VsockInput, machine::RandomInput, machine::DiskFailure,
                 NonMaskableInterrupt, PowerButton, MachineReset, hypervisor::Supervision,
                 hypervisor::change::RegisterWrite, hypervisor::change::StateWrite,
                 hypervisor::change::MsrWrite, hypervisor::change::MemoryWrite,
                 hypervisor::change::DeviceWrite, hypervisor::change::InjectedException,
                 hypervisor::change::InsnLength>;

// One line without its end: a word for the kind and what belongs to it, separated by blanks.
std::string to_words(const Input& input);
// Takes the rest of a line. Nothing if these are not the words of an input, or of none that a
// machine with so many vCPUs can have.
std::optional<Input> input_of_words(std::istream& words, unsigned vcpus);

}  // namespace ringside::time
