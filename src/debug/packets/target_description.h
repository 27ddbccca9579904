// target.xml: the register table in GDB's words. Pure.
#pragma once

#include <span>
#include <string>

#include "ringside/extra_registers.h"

namespace ringside::debug {

// `extra` are numbered from the table's end on.
std::string target_description(std::span<const hypervisor::ExtraRegister> extra);

}  // namespace ringside::debug
