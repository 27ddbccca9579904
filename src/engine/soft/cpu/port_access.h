// Port I/O as instructions do it: permission (IOPL, the TSS bitmap), then the platform. Used by IN,
// OUT, INS and OUTS; on the thread that runs the CPU.
#pragma once

#include <cstdint>

namespace ringside::soft {

class Cpu;

// #GP(0) unless the current privilege may touch `width` (1, 2, 4) ports from `port`: CPL <= IOPL,
// or every bit clear in the I/O map of a 32-bit or 64-bit TSS (SDM 1 19.5.2). Real mode may always.
void check_port_access(Cpu& cpu, std::uint16_t port, unsigned width);

// Throws InsnHeld while the host cannot take what a write to the port would send. Before the
// access, where the run may be interrupted: an instruction, or the first of a row of repetitions.
void check_output(Cpu& cpu, std::uint16_t port, unsigned width);

// The access itself, after the check. Throws InsnWaits when the device cannot answer yet.
std::uint32_t port_in(Cpu& cpu, std::uint16_t port, unsigned width);
void port_out(Cpu& cpu, std::uint16_t port, unsigned width, std::uint32_t value);

}  // namespace ringside::soft
