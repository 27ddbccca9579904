// The Internet checksum (RFC 1071) of a frame whose driver leaves it to the card.
#pragma once

#include <cstddef>
#include <span>

namespace ringside::machine {

// Over everything from `start` on, where the field at `start` + `offset` has the sum of the pseudo
// header (virtio 1.2, 5.1.6.2). False: the field is not in the frame, which stays as it is.
bool fill_in_checksum(std::span<std::byte> frame, std::size_t start, std::size_t offset);

}  // namespace ringside::machine
