// The interrupt controllers in words, for `monitor info lapic` and its like, after the layout that
// QEMU gave them.
#pragma once

#include <string>

#include "hypervisor/controllers.h"

namespace ringside::machine {

std::string describe(const hypervisor::LocalApicImage& apic);
std::string describe(const hypervisor::IoApicImage& apic);
std::string describe(const hypervisor::PicPairImage& pics);

}  // namespace ringside::machine
