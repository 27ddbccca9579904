// Copies of guest memory that vCPUs may be using at the same moment. Each aligned word of at most 8
// bytes moves whole, as a processor moves it (SDM 3A 9.1.1, "Guaranteed Atomic Operations"), and no
// copy is a data race of the language. No order between words. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringside::hypervisor {

void copy_from_shared(std::span<std::byte> to, const std::uint8_t* from);
void copy_to_shared(std::uint8_t* to, std::span<const std::byte> from);

}  // namespace ringside::hypervisor
