// What travels on the bus between interrupt controllers (SDM 3A 10.6 and 10.11).
#pragma once

#include <cstdint>

namespace ringside::machine {

enum class DeliveryMode : std::uint8_t {
  Fixed = 0,
  LowestPriority = 1,
  Smi = 2,
  Nmi = 4,
  Init = 5,
  StartUp = 6,
  ExtInt = 7,
};
enum class DestinationMode : std::uint8_t { Physical = 0, Logical = 1 };
enum class TriggerMode : std::uint8_t { Edge = 0, Level = 1 };

inline constexpr std::uint32_t kBroadcast = 0xffffffff;

struct ApicMessage {
  // An 8-bit sender's 0xff in physical mode is already widened to kBroadcast.
  std::uint32_t destination = 0;
  DestinationMode destination_mode = DestinationMode::Physical;
  DeliveryMode delivery_mode = DeliveryMode::Fixed;
  TriggerMode trigger_mode = TriggerMode::Edge;
  std::uint8_t vector = 0;
};

}  // namespace ringside::machine
