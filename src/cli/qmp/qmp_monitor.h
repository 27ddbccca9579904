// The lines of the human monitor as QEMU's clients type them through the machine protocol: those
// whose answers are read by programs come in QEMU's form, the rest is what a debugger's `monitor`
// says.
//
// Main thread, while every vCPU is out of the guest.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "qmp/machine.h"

namespace ringside::cli {

class QmpMachine;

// A task for a line that does something; null for one that looks.
std::unique_ptr<qmp::Task> begin_monitor_line(QmpMachine& machine, std::string_view line);
// What a line says that only looks, with lines ended as on a terminal.
std::string look_by_monitor(const QmpMachine& machine, std::string_view line, unsigned vcpu);

}  // namespace ringside::cli
