// What a task of Linux that no vCPU runs will do next: the registers that it left on its stack, and
// the addresses that its functions will return to.
#pragma once

#include <string>

#include "guests/linux/tasks.h"

namespace ringside::guests {

std::string describe_sleep(const LinuxKernel& kernel, const TaskLayout& layout, const Task& task);

}  // namespace ringside::guests
