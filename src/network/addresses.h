// Who is where in the guest's network: as in QEMU's user network, which guests' images and people's
// habits expect.
#pragma once

#include <cstdint>

namespace ringside::network {

inline constexpr const char* kNetwork = "10.0.2.0";
inline constexpr const char* kNetmask = "255.255.255.0";
inline constexpr const char* kGateway = "10.0.2.2";  // the host, by its loopback address
inline constexpr const char* kNameServer = "10.0.2.3";
inline constexpr const char* kGuest = "10.0.2.15";  // by DHCP
inline constexpr const char* kPrefix6 = "fec0::";
inline constexpr std::uint8_t kPrefix6Length = 64;
inline constexpr const char* kGateway6 = "fec0::2";
inline constexpr const char* kNameServer6 = "fec0::3";
inline constexpr const char* kHostName = "ringside";  // of the guest, by DHCP

}  // namespace ringside::network
