// How large what the network card carries may be, for whoever is at the other end of its wire.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringside::machine {

// Bytes behind the Ethernet header. Far more than a real wire takes, because nothing makes a
// guest's transfers faster than fewer frames.
inline constexpr std::uint16_t kMtu = 65520;
inline constexpr std::size_t kEthernetHeader = 14;
inline constexpr std::size_t kMaxFrame = kEthernetHeader + kMtu;

}  // namespace ringside::machine
